#ifndef POSTHORN_SERVICES_DELIVERY_CONNECTION_POOL_H_
#define POSTHORN_SERVICES_DELIVERY_CONNECTION_POOL_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "services/delivery/connection.h"

namespace posthorn::delivery {

struct PoolOptions {
  int connections_per_host = 8;
  absl::Duration idle_time = absl::Seconds(5);
  std::size_t max_idle = 256;                   // over all hosts
  // Where so many wait for a host, and the first of them for so long, others come back later: they
  // would take the places of mail for other hosts.
  std::size_t max_waiting = 16;
  absl::Duration max_wait = absl::Seconds(2);
  absl::Duration max_age = absl::Minutes(5);
  // A host whose TLS handshake failed is asked in clear at once for this long.
  absl::Duration clear_time = absl::Minutes(1);
  // A host that did not answer a connect is not waited for again for this long.
  absl::Duration down_time = absl::Minutes(1);
};

// The right to have one of the connections that a site is limited to; given back when destroyed.
class ConnectionPlace {
 public:
  virtual ~ConnectionPlace() = default;
};

class PlaceGiver;

// What a connection is opened for, besides its host. The pool fills in the last two.
struct ConnectionShape {
  Origin origin;
  int messages_per_connection = 0;  // 0: no limit
  bool probe = false;               // also to a host that did not answer lately
  TenantId tenant;
  std::string site;
  std::string rule;
  int connections = 0;           // what the rule limits the site to
  PlaceGiver* places = nullptr;  // asked before a connection is opened
  // Not a failure: there is no room before.
  absl::Time refused_until = absl::InfinitePast();
  smtp::client::Reply refusal;  // of a server that does not want us
};

class PlaceGiver {
 public:
  virtual ~PlaceGiver() = default;
  // An error after `shape.refused_until` was set. `shape` outlives the call.
  virtual Task<absl::StatusOr<std::unique_ptr<ConnectionPlace>>> Take(ConnectionShape& shape) = 0;
};

// Open connections by source, host, port, login and TLS rule, shared by all messages and tenants; at most
// `connections_per_host` to each, further callers wait their turn. Belongs to one executor, which
// together with `connector` and `clock` outlives it; nothing may be waiting when it is destroyed.
class ConnectionPool {
 public:
  ConnectionPool(PoolOptions options, ConnectionOptions connection_options, Executor& executor,
                 Connector& connector, const Clock& clock);
  ~ConnectionPool();

  // A connection that goes back by itself when the checkout ends: kept if it is of use.
  class Checkout {
   public:
    Checkout(Checkout&& other) noexcept;
    Checkout& operator=(Checkout&&) = delete;
    ~Checkout();
    Connection& connection() { return *entry_->connection; }
    // It has served before, so it may turn out stale.
    bool reused() const { return entry_->transactions > 0; }

   private:
    friend class ConnectionPool;
    struct Entry {
      std::unique_ptr<ConnectionPlace> place;  // outlives the connection
      std::unique_ptr<Connection> connection;
      std::string site, rule;  // of the place
      int max_transactions = 0;
      absl::Time opened;
      absl::Time idle_since;
      int transactions = 0;
    };
    Checkout(ConnectionPool* pool, std::string key, std::unique_ptr<Entry> entry);
    ConnectionPool* pool_;
    std::string key_;
    std::unique_ptr<Entry> entry_;
  };

  // `fresh`: a new connection, because a reused one was stale; idle ones to the host are closed.
  // `shape` outlives the call; nullptr: as it comes.
  Task<absl::StatusOr<Checkout>> Acquire(Host host, bool fresh,
                                         TlsRule rule = TlsRule(),
                                         ConnectionShape* shape = nullptr);

  // Closes every connection, those in use too: what they do fails.
  void CloseAll();
  std::size_t idle() const { return idle_; }

 private:
  using Entry = Checkout::Entry;
  struct Waiter : OneShot<std::unique_ptr<Entry>> {
    explicit Waiter(absl::Time since_in) : since(since_in) {}
    const absl::Time since;
  };
  struct HostState {
    int open = 0;  // idle, in use or being opened
    std::deque<std::unique_ptr<Entry>> idle;
    std::deque<Waiter*> waiters;
    absl::Time clear_until = absl::InfinitePast();
    absl::Time down_until = absl::InfinitePast();
    std::string down_reason;
  };

  static std::string KeyOf(const Host& host, const TlsRule& rule);
  void Observe(const TlsRule& rule, const Host& host, const absl::Status& failure);
  void Observe(const TlsRule& rule, const Host& host, const Connection& connection);

  Task<absl::StatusOr<std::unique_ptr<Entry>>> Open(Host host, std::string key, TlsRule rule,
                                                    ConnectionShape* shape);
  std::unique_ptr<ConnectionPlace> TakeIdlePlace(const ConnectionShape& shape);
  void Release(const std::string& key, std::unique_ptr<Entry> entry);
  void GiveSlot(const std::string& key);
  void Retire(std::unique_ptr<Entry> entry);
  void Sweep();
  void ScheduleSweep();

  const PoolOptions options_;
  const ConnectionOptions connection_options_;
  Executor& executor_;
  Connector& connector_;
  const Clock& clock_;
  absl::flat_hash_map<std::string, std::unique_ptr<HostState>> hosts_;
  absl::flat_hash_set<Connection*> in_use_;
  std::size_t idle_ = 0;
  bool closed_ = false;
  bool sweep_scheduled_ = false;
  std::shared_ptr<ConnectionPool*> self_;  // cleared when destroyed, for timers
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CONNECTION_POOL_H_
