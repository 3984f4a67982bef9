#include "services/delivery/connection_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {
namespace {

// Owns the connection, and its place, until QUIT is written.
Task<void> SayQuit(std::unique_ptr<ConnectionPlace> place, std::unique_ptr<Connection> connection) {
  co_await connection->Quit();
  connection.reset();
  place.reset();
}

}  // namespace

ConnectionPool::Checkout::Checkout(ConnectionPool* pool, std::string key,
                                   std::unique_ptr<Entry> entry)
    : pool_(pool), key_(std::move(key)), entry_(std::move(entry)) {
  pool_->in_use_.insert(entry_->connection.get());
}

ConnectionPool::Checkout::Checkout(Checkout&& other) noexcept
    : pool_(other.pool_), key_(std::move(other.key_)), entry_(std::move(other.entry_)) {}

ConnectionPool::Checkout::~Checkout() {
  if (entry_ == nullptr) return;
  pool_->in_use_.erase(entry_->connection.get());
  ++entry_->transactions;
  pool_->Release(key_, std::move(entry_));
}

ConnectionPool::ConnectionPool(PoolOptions options, ConnectionOptions connection_options,
                               Executor& executor, Connector& connector, const Clock& clock)
    : options_(options),
      connection_options_(std::move(connection_options)),
      executor_(executor),
      connector_(connector),
      clock_(clock),
      self_(std::make_shared<ConnectionPool*>(this)) {}

ConnectionPool::~ConnectionPool() { *self_ = nullptr; }

std::string ConnectionPool::KeyOf(const Host& host, const TlsRule& rule) {
  std::string key = absl::StrCat(host.ip, " ", host.port, " ", static_cast<int>(host.protocol), " ",
                                 rule.Key(host.name));
  if (host.access != nullptr && !host.access->username.empty()) {
    // Who has changed the password wants to see whether it works.
    absl::StrAppend(&key, " ", host.access->username, " ",
                    std::hash<std::string>()(host.access->password));
  }
  return key;
}

void ConnectionPool::Observe(const TlsRule& rule, const Host& host, const absl::Status& failure) {
  if (connection_options_.tls_observer == nullptr) return;
  TlsOutcome outcome;
  outcome.result = TlsResultOf(failure);
  if (outcome.result.empty()) return;
  outcome.host = host.name;
  outcome.ip = host.ip;
  outcome.sending_ip = TlsSendingIpOf(failure);
  outcome.text = PeerText(failure);
  connection_options_.tls_observer->OnTlsSession(rule, outcome);
}

void ConnectionPool::Observe(const TlsRule& rule, const Host& host, const Connection& connection) {
  if (connection_options_.tls_observer == nullptr || rule.level == TlsLevel::kOff) return;
  TlsOutcome outcome;
  outcome.host = host.name;
  outcome.ip = host.ip;
  outcome.sending_ip = connection.local_ip();
  if (!connection.tls_active()) outcome.result = "starttls-not-supported";
  if (connection.tls_active() && rule.observe) outcome.result = connection.tls_problem();
  connection_options_.tls_observer->OnTlsSession(rule, outcome);
}

Task<absl::StatusOr<ConnectionPool::Checkout>> ConnectionPool::Acquire(Host host, bool fresh,
                                                                       TlsRule rule,
                                                                       ConnectionShape* shape) {
  std::string key = KeyOf(host, rule);
  if (shape != nullptr) absl::StrAppend(&key, " ", shape->origin.ip, " ", shape->origin.hostname);
  std::unique_ptr<HostState>& slot = hosts_[key];
  if (slot == nullptr) slot = std::make_unique<HostState>();
  HostState& state = *slot;
  if (closed_) co_return MakeFailure(Failure::kShuttingDown);
  if (clock_.Now() < state.down_until && (shape == nullptr || !shape->probe)) {
    co_return MakeFailure(Failure::kConnectFailed, state.down_reason);
  }
  std::unique_ptr<Entry> entry;
  if (fresh) {
    while (!state.idle.empty()) {
      std::unique_ptr<Entry> stale = std::move(state.idle.back());
      state.idle.pop_back();
      --state.open;
      --idle_;
      Retire(std::move(stale));
    }
  }
  if (!state.idle.empty()) {
    entry = std::move(state.idle.back());  // the one most likely to be alive
    state.idle.pop_back();
    --idle_;
  } else if (state.open < options_.connections_per_host) {
    ++state.open;
  } else {
    const absl::Time now = clock_.Now();
    const bool slow = state.waiters.size() >= options_.max_waiting &&
                      now - state.waiters.front()->since >= options_.max_wait;
    if (slow && shape != nullptr) {
      shape->refused_until = now + options_.max_wait;
      co_return MakeFailure(Failure::kUnavailable, "all connections to the server are in use");
    }
    Waiter waiter(now);
    state.waiters.push_back(&waiter);
    entry = co_await waiter;  // a connection, or only the right to open one
    if (closed_) {
      if (entry == nullptr) {
        GiveSlot(key);
      } else {
        Release(key, std::move(entry));
      }
      co_return MakeFailure(Failure::kShuttingDown);
    }
    if (fresh && entry != nullptr && entry->transactions > 0) {
      Retire(std::move(entry));
      entry = nullptr;
    }
  }
  if (entry == nullptr) {
    absl::StatusOr<std::unique_ptr<Entry>> opened =
        co_await Open(std::move(host), key, rule, shape);
    if (!opened.ok()) {
      GiveSlot(key);
      co_return opened.status();
    }
    entry = *std::move(opened);
  }
  co_return Checkout(this, std::move(key), std::move(entry));
}

Task<absl::StatusOr<std::unique_ptr<ConnectionPool::Entry>>> ConnectionPool::Open(
    Host host, std::string key, TlsRule rule, ConnectionShape* shape) {
  HostState& state = *hosts_[key];
  std::unique_ptr<ConnectionPlace> place;
  if (shape != nullptr && shape->places != nullptr) {
    place = TakeIdlePlace(*shape);
    if (place == nullptr) {
      absl::StatusOr<std::unique_ptr<ConnectionPlace>> taken =
          co_await shape->places->Take(*shape);
      if (!taken.ok()) co_return taken.status();
      place = *std::move(taken);
    }
  }
  const Origin origin = shape == nullptr ? Origin() : shape->origin;
  smtp::client::Reply* const refusal = shape == nullptr ? nullptr : &shape->refusal;
  const absl::Time started = clock_.Now();
  const bool optional = rule.level == TlsLevel::kOpportunistic && !rule.must_encrypt &&
                        host.protocol != Protocol::kSmtps;
  TlsRule used = rule;
  if (optional && started < state.clear_until) used.level = TlsLevel::kOff;
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      co_await Connection::Open(connector_, host, connection_options_, used, origin, refusal);
  const bool tls_failed =
      !connection.ok() && FailureOf(connection.status()) == Failure::kTlsFailed;
  if (tls_failed) {
    Metrics().tls_failures.Increment();
    Observe(rule, host, connection.status());
  }
  if (tls_failed && !optional) {
    log::Warn("delivery", "tls failed, the server is left alone",
              {{"host", host.ToString()}, {"error", connection.status()}});
  }
  if (tls_failed && optional) {
    // Opportunistic TLS (RFC 7435): better in clear than not at all.
    log::Info("delivery", "tls failed, going on in clear",
              {{"host", host.ToString()}, {"error", connection.status()}});
    state.clear_until = clock_.Now() + options_.clear_time;
    used.level = TlsLevel::kOff;
    connection = co_await Connection::Open(connector_, host, connection_options_, used, origin,
                                           refusal);
  } else if (connection.ok()) {
    Observe(used, host, **connection);
  }
  if (!connection.ok()) {
    Metrics().connect_failures.Increment();
    // Refused at once costs nothing to ask again; silence costs a timeout each time.
    if (clock_.Now() - started >= connection_options_.connect_timeout) {
      state.down_until = clock_.Now() + options_.down_time;
      state.down_reason = std::string(connection.status().message());
    }
    co_return connection.status();
  }
  Metrics().connections.Increment();
  auto entry = std::make_unique<Entry>();
  entry->connection = *std::move(connection);
  entry->place = std::move(place);
  if (shape != nullptr) {
    entry->site = shape->site;
    entry->rule = shape->rule;
    entry->max_transactions = shape->messages_per_connection;
  }
  entry->opened = clock_.Now();
  co_return std::move(entry);
}

void ConnectionPool::Release(const std::string& key, std::unique_ptr<Entry> entry) {
  HostState& state = *hosts_[key];
  const absl::Time now = clock_.Now();
  const bool used_up =
      entry->max_transactions > 0 && entry->transactions >= entry->max_transactions;
  const bool keep = entry->connection->reusable() && !closed_ && !used_up &&
                    now - entry->opened < options_.max_age;
  if (keep && !state.waiters.empty()) {
    Waiter* waiter = state.waiters.front();
    state.waiters.pop_front();
    waiter->Set(std::move(entry));
    return;
  }
  if (keep && options_.idle_time > absl::ZeroDuration() && idle_ < options_.max_idle) {
    entry->idle_since = now;
    state.idle.push_back(std::move(entry));
    ++idle_;
    ScheduleSweep();
    return;
  }
  Retire(std::move(entry));
  GiveSlot(key);
}

// An idle connection to another server of the site makes room for one to this.
std::unique_ptr<ConnectionPlace> ConnectionPool::TakeIdlePlace(const ConnectionShape& shape) {
  for (auto& [key, state] : hosts_) {
    for (auto it = state->idle.begin(); it != state->idle.end(); ++it) {
      Entry& entry = **it;
      if (entry.place == nullptr || entry.site != shape.site || entry.rule != shape.rule) continue;
      std::unique_ptr<ConnectionPlace> place = std::move(entry.place);
      std::unique_ptr<Entry> closed = std::move(*it);
      state->idle.erase(it);
      --state->open;
      --idle_;
      Retire(std::move(closed));
      return place;
    }
  }
  return nullptr;
}

// A slot is free: the next in line may open a connection.
void ConnectionPool::GiveSlot(const std::string& key) {
  HostState& state = *hosts_[key];
  if (!state.waiters.empty()) {
    Waiter* waiter = state.waiters.front();
    state.waiters.pop_front();
    waiter->Set(nullptr);
    return;
  }
  --state.open;
}

void ConnectionPool::Retire(std::unique_ptr<Entry> entry) {
  if (closed_ || !entry->connection->reusable()) return;
  Spawn(executor_, SayQuit(std::move(entry->place), std::move(entry->connection)));
}

void ConnectionPool::ScheduleSweep() {
  if (sweep_scheduled_) return;
  sweep_scheduled_ = true;
  executor_.PostAfter(absl::Seconds(1), [self = self_] {
    if (*self != nullptr) (*self)->Sweep();
  });
}

void ConnectionPool::Sweep() {
  sweep_scheduled_ = false;
  const absl::Time now = clock_.Now();
  for (auto it = hosts_.begin(); it != hosts_.end();) {
    HostState& state = *it->second;
    while (!state.idle.empty() && now - state.idle.front()->idle_since >= options_.idle_time) {
      std::unique_ptr<Entry> entry = std::move(state.idle.front());
      state.idle.pop_front();
      --state.open;
      --idle_;
      Retire(std::move(entry));
    }
    const bool forget =
        state.open == 0 && state.waiters.empty() && now >= state.clear_until &&
        now >= state.down_until;
    if (forget) {
      hosts_.erase(it++);
    } else {
      ++it;
    }
  }
  if (!hosts_.empty()) ScheduleSweep();
}

void ConnectionPool::CloseAll() {
  closed_ = true;
  for (Connection* connection : in_use_) connection->Abort();
  for (auto& [key, state] : hosts_) {
    while (!state->idle.empty()) {
      state->idle.pop_back();
      --state->open;
      --idle_;
    }
    // Each gets the slot to find out that the pool is closed, and passes it on.
    if (!state->waiters.empty() && state->open == 0) {
      Waiter* waiter = state->waiters.front();
      state->waiters.pop_front();
      ++state->open;
      waiter->Set(nullptr);
    }
  }
}

}  // namespace posthorn::delivery
