#ifndef POSTHORN_LIB_REDIS_CLUSTER_H_
#define POSTHORN_LIB_REDIS_CLUSTER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <future>
#include <map>
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
#include "lib/redis/nap.h"
#include "lib/redis/node.h"
#include "lib/redis/options.h"
#include "lib/redis/slot_map.h"

namespace posthorn::redis {

// A Redis Cluster: a connection to each master, and the map of slots, which is asked for again
// whenever a node is away or sends a command elsewhere. A command whose slot has no master now
// fails at once with kUnavailable, and so does one whose connection broke; one whose slot is
// moving waits for options.command_timeout at most. Thread-safe. Made by make_shared, then
// started; stopped before the loop is, not on the loop's thread.
class Cluster : public std::enable_shared_from_this<Cluster> {
 public:
  using Answer = absl::StatusOr<Reply>;

  Cluster(net::EventLoop& loop, Options options);

  void Start();
  void Stop();
  bool up() const;  // all slots of the map have a connection

  // `whole_slot`: the command needs keys that it does not name; while its slot is moving, and they
  // are on either side, it waits.
  Task<Answer> Call(std::vector<std::string> command, bool whole_slot);
  void Send(std::vector<std::string> command);
  // Of all masters. kUnavailable: not known now.
  Task<absl::StatusOr<std::vector<std::shared_ptr<Node>>>> Masters();

 private:
  struct Table {
    std::vector<std::shared_ptr<Node>> nodes;
    std::vector<Endpoint> endpoints;
    std::array<std::uint16_t, kSlots> owner;
  };
  struct Pooled {
    std::shared_ptr<Node> node;
    absl::Time wanted;  // when it was last asked for by name
  };
  struct Target {
    std::shared_ptr<Node> node;
    Endpoint endpoint;
  };

  // Keeps the map up to date until Stop.
  Task<void> Keep(std::shared_ptr<Cluster> self);
  Task<absl::StatusOr<SlotMap>> Load();
  void Install(const SlotMap& map);
  void AnswerWaiting();
  // Asks for the map again, soon.
  void Refresh();
  // The table there is, or the one that is on its way; null: there is none.
  Task<std::shared_ptr<const Table>> Known();
  // With mutex_ held.
  std::shared_ptr<Node> NodeAt(const Endpoint& endpoint);
  // Who serves a slot (-1: anyone); null node: nobody.
  static Target Find(const Table& table, int slot);

  net::EventLoop& loop_;
  const Options options_;
  std::atomic<bool> stopping_{false};
  std::promise<void> ended_;

  mutable std::mutex mutex_;
  std::shared_ptr<const Table> table_;       // guarded by mutex_
  std::map<std::string, Pooled> pool_;       // by endpoint; guarded by mutex_
  std::vector<OneShot<bool>*> waiting_;      // for the first map; guarded by mutex_
  bool tried_ = false;                       // guarded by mutex_

  bool asked_ = false;     // for a new map; of the loop
  std::size_t turn_ = 0;   // which node to ask first; of the loop
  Nap pause_nap_;          // of the loop
  Nap idle_nap_;           // of the loop
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_CLUSTER_H_
