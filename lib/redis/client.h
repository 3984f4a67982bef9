#ifndef POSTHORN_LIB_REDIS_CLIENT_H_
#define POSTHORN_LIB_REDIS_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/event_loop.h"
#include "lib/redis/options.h"
#include "lib/redis/reply.h"

namespace posthorn::redis {

class Cluster;
class Node;

// A Lua script, sent once by EVAL and then by its hash. All keys it touches have the slot of the
// first that it is given.
class Script {
 public:
  enum class Keys {
    kGiven,      // it touches those it is given
    kWholeSlot,  // it makes up others: in a cluster it waits while their slot is moving
  };
  explicit Script(std::string source, Keys keys = Keys::kGiven);
  const std::string& source() const { return source_; }
  const std::string& sha1() const { return sha1_; }
  Keys keys() const { return keys_; }

 private:
  std::string source_;
  std::string sha1_;
  Keys keys_;
};

// Keys and arguments of one run of a script.
struct ScriptCall {
  ScriptCall(std::vector<std::string> keys_in, std::vector<std::string> args_in)
      : keys(std::move(keys_in)), args(std::move(args_in)) {}
  std::vector<std::string> keys;
  std::vector<std::string> args;
};

// Where a walk over all keys stands.
struct ScanCursor {
  std::size_t master = 0;
  std::string cursor = "0";
  bool done = false;
};

// A Redis server, the master of a set that Sentinel watches, or a cluster, by one connection (to
// each master) that any number of callers share: what they send at the same time goes out as one
// pipeline. Connects by itself, comes back after every loss, with backoff, and follows failovers.
// Methods may be called from coroutines on any executor, which they continue on. The loop must
// outlive the client and must not be stopped before it; the destructor (or Stop) fails what is
// pending and waits for the connection to end, so it must not run on the loop's thread.
//
// Errors: kUnavailable while the server is away (at once, not after a timeout), or in a cluster the
// one with the key, or when the
// connection broke before the answer, in which case the command may or may not have run;
// absl::kInternal with the server's text when the server refused the command.
class Client {
 public:
  Client(net::EventLoop& loop, Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Task<absl::StatusOr<Reply>> Command(std::vector<std::string> args);
  // Several commands as one pipeline: they may run between those of others, not at once. An answer
  // each.
  Task<std::vector<absl::StatusOr<Reply>>> Commands(std::vector<std::vector<std::string>> commands);
  // The script must outlive the call.
  Task<absl::StatusOr<Reply>> Run(const Script& script, std::vector<std::string> keys,
                                  std::vector<std::string> args);
  // Several runs, sent together. An answer each.
  Task<std::vector<absl::StatusOr<Reply>>> RunAll(const Script& script,
                                                  std::vector<ScriptCall> calls);
  // Some keys that fit `pattern`, of all servers, and moves `cursor` on until it is done; keys that
  // come or go meanwhile may be missed or seen twice.
  Task<absl::StatusOr<std::vector<std::string>>> Scan(ScanCursor& cursor, std::string pattern);
  Task<absl::Status> Publish(std::string channel, std::string message);
  // Publishes without waiting for the outcome; what cannot be sent is dropped. Needs no executor.
  void PublishAndForget(std::string channel, std::string message);

  bool connected() const;  // a hint: may change at once
  void Stop();

 private:
  std::shared_ptr<Node> node_;        // one of the two
  std::shared_ptr<Cluster> cluster_;
};

// A connection that listens to channels. It comes back after every loss and subscribes again;
// messages published meanwhile are lost, so `on_connected` tells when to look at the truth. All
// callbacks run on the loop. Lifetime and destructor as for Client.
class Subscriber {
 public:
  using MessageCallback =
      absl::AnyInvocable<void(std::string_view channel, std::string_view message)>;
  using ConnectedCallback = absl::AnyInvocable<void()>;

  // `on_connected` may be null. It runs when the server has confirmed every subscription asked for
  // so far, after each connect.
  Subscriber(net::EventLoop& loop, Options options, MessageCallback on_message,
             ConnectedCallback on_connected);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // Channels by name; thread-safe; before or after the connection stands.
  void Subscribe(std::vector<std::string> channels);
  void Unsubscribe(std::vector<std::string> channels);
  // A glob pattern as in PSUBSCRIBE: "posthorn:hint:*".
  void SubscribePattern(std::string pattern);

  bool connected() const;
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_CLIENT_H_
