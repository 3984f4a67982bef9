#ifndef POSTHORN_LIB_REDIS_NODE_H_
#define POSTHORN_LIB_REDIS_NODE_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/net/event_loop.h"
#include "lib/redis/link.h"
#include "lib/redis/options.h"
#include "lib/redis/reply.h"

namespace posthorn::redis {

// kUnavailable: Redis is away, or answered nothing.
absl::Status Away();

// One server and the connection to it, as Client describes it. Thread-safe. Made by make_shared,
// then started; stopped before the loop is.
class Node final : public Link::Handler, public std::enable_shared_from_this<Node> {
 public:
  using Answer = absl::StatusOr<Reply>;

  Node(net::EventLoop& loop, Options options) : link_(loop, std::move(options)) {}

  void Start() { link_.Start(shared_from_this()); }
  void Stop();
  bool up() const { return link_.up(); }

  // Errors: those of Client. What the server says is behind kServerError.
  static constexpr char kServerError[] = "Redis: ";
  Task<Answer> Call(std::string wire);
  // Right after ASKING, which lets a command follow a slot that is moving.
  Task<Answer> CallAsking(std::string wire);
  // Answers in the order of the commands.
  Task<std::vector<Answer>> CallAll(std::vector<std::string> wires);
  // Nobody waits for the answer; what cannot be sent is dropped.
  void Send(std::string wire);

  void OnUp() override;
  void OnReply(Reply reply) override;
  void OnDown() override { FailAll(false); }

 private:
  struct Request {
    std::string wire;
    OneShot<Answer>* done;  // null: nobody waits
  };
  struct Pending {
    OneShot<Answer>* done;
    absl::Time deadline;
  };

  // Fails if it returns a status; otherwise each `done` will be set.
  absl::Status Submit(std::vector<Request> requests);
  void Flush();
  // One timer watches the oldest pending command.
  void Watch();
  void FailAll(bool stopped);

  Link link_;

  // Callers put requests into `incoming_`; the loop moves them to `pending_` as it writes them. A
  // server that is away answers at once, an attempt to connect is waited for.
  std::mutex mutex_;
  std::vector<Request> incoming_;    // guarded by mutex_
  std::size_t pending_count_ = 0;    // guarded by mutex_
  bool flush_posted_ = false;        // guarded by mutex_
  bool away_ = false;                // guarded by mutex_
  bool up_ = false;                  // guarded by mutex_
  bool stopped_ = false;             // guarded by mutex_

  std::deque<Pending> pending_;  // of the loop
  bool watching_ = false;        // of the loop
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_NODE_H_
