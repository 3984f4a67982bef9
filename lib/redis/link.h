#ifndef POSTHORN_LIB_REDIS_LINK_H_
#define POSTHORN_LIB_REDIS_LINK_H_

#include <atomic>
#include <future>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/net/event_loop.h"
#include "lib/net/stream.h"
#include "lib/redis/connect.h"
#include "lib/redis/nap.h"
#include "lib/redis/options.h"
#include "lib/redis/reply.h"

namespace posthorn::redis {

// What Node and Subscriber share: a connection that is opened again for as long as it is wanted: to
// the server, to the master that sentinels name (and to another once they name another), or to any
// node of a cluster that is in touch with the others.
// Everything but Start, Stop and up() belongs to the loop's thread. The owner implements Handler
// and passes itself to Start, which keeps it alive until the link has ended.
class Link {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnUp() = 0;              // connected and authenticated
    virtual void OnReply(Reply reply) = 0;
    virtual void OnDown() = 0;            // after every failed attempt or lost connection
  };

  Link(net::EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

  void Start(std::shared_ptr<Handler> handler);
  // Ends the connection and waits for it, unless called on the loop's own thread.
  void Stop();

  // What is written while a write is under way goes out with the next one.
  void Write(std::string_view bytes);
  // Drops the connection; a new one follows.
  void Break();
  bool up() const { return up_.load(std::memory_order_relaxed); }

  net::EventLoop& loop() { return loop_; }
  const Options& options() const { return options_; }

 private:
  using Opened = absl::StatusOr<std::unique_ptr<net::Stream>>;

  // `handler` keeps this link alive while the coroutines run.
  Task<void> Run(std::shared_ptr<Handler> handler);
  Task<absl::Status> Serve(Handler& handler);
  Task<Opened> Open();
  Task<void> WriteOut(std::shared_ptr<Handler> handler, std::shared_ptr<net::Stream> stream);
  // Drops the connection once sentinels name another master.
  Task<void> WatchMaster(std::shared_ptr<net::Stream> stream,
                         std::shared_ptr<OneShot<bool>> ended);

  net::EventLoop& loop_;
  const Options options_;
  std::atomic<bool> up_{false};
  std::atomic<bool> stopping_{false};
  std::promise<void> ended_;
  std::weak_ptr<Handler> handler_;

  Endpoint endpoint_;       // of the connection or the attempt
  std::size_t next_ = 0;    // the sentinel or node to ask first
  std::shared_ptr<net::Stream> stream_;
  std::string out_;
  bool writing_ = false;
  Nap backoff_nap_;
  Nap watch_nap_;
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_LINK_H_
