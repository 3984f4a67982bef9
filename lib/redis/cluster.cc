#include "lib/redis/cluster.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/executor.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::redis {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(50);
// Between two requests for the map, however many ask for it, and without any that asks.
constexpr absl::Duration kShortest = absl::Milliseconds(100);
constexpr absl::Duration kLongest = absl::Seconds(60);
// A node that the map does not have stays this long for commands that were sent to it.
constexpr absl::Duration kLinger = absl::Seconds(10);
constexpr int kMaxRedirects = 5;
// Between two tries of a command whose slot is moving.
constexpr absl::Duration kMovingPause = absl::Milliseconds(25);

// Each node has one address.
Options ForNode(Options options, const Endpoint& endpoint) {
  options.topology = Topology::kStandalone;
  options.address = endpoint.ToString();
  return options;
}

}  // namespace

Cluster::Cluster(net::EventLoop& loop, Options options)
    : loop_(loop), options_(std::move(options)) {}

void Cluster::Start() { Spawn(loop_, Keep(shared_from_this())); }

void Cluster::Stop() {
  if (stopping_.exchange(true)) return;
  loop_.Post([self = shared_from_this()] {
    self->pause_nap_.Wake();
    self->idle_nap_.Wake();
  });
  const absl::Duration bound = options_.connect_timeout * 4 + absl::Seconds(2);
  ended_.get_future().wait_for(absl::ToChronoMilliseconds(bound));
  std::map<std::string, Pooled> pool;
  {
    std::lock_guard lock(mutex_);
    pool.swap(pool_);
  }
  for (const auto& [address, pooled] : pool) pooled.node->Stop();
}

bool Cluster::up() const {
  std::lock_guard lock(mutex_);
  return table_ != nullptr && std::all_of(table_->nodes.begin(), table_->nodes.end(),
                                          [](const auto& node) { return node->up(); });
}

std::shared_ptr<Node> Cluster::NodeAt(const Endpoint& endpoint) {
  if (stopping_) return nullptr;
  Pooled& pooled = pool_[endpoint.ToString()];
  pooled.wanted = absl::Now();
  if (pooled.node == nullptr) {
    pooled.node = std::make_shared<Node>(loop_, ForNode(options_, endpoint));
    pooled.node->Start();
  }
  return pooled.node;
}

void Cluster::Refresh() {
  loop_.Post([self = shared_from_this()] {
    self->asked_ = true;
    self->idle_nap_.Wake();
  });
}

Task<absl::StatusOr<SlotMap>> Cluster::Load() {
  // Those first that can answer now; another one first each time, because one may be wrong.
  std::vector<Endpoint> ask;
  {
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; table_ != nullptr && i < table_->nodes.size(); ++i) {
      const std::size_t at = (i + turn_) % table_->nodes.size();
      if (table_->nodes[at]->up()) ask.push_back(table_->endpoints[at]);
    }
  }
  for (std::size_t i = 0; i < options_.addresses.size(); ++i) {
    const absl::StatusOr<Endpoint> seed =
        ParseEndpoint(options_.addresses[(i + turn_) % options_.addresses.size()]);
    if (!seed.ok()) co_return seed.status();
    if (std::find(ask.begin(), ask.end(), *seed) == ask.end()) ask.push_back(*seed);
  }
  ++turn_;
  absl::Status last = absl::UnavailableError("no node to ask");
  for (const Endpoint& endpoint : ask) {
    if (stopping_) break;
    std::vector<std::string> command;
    command.push_back("CLUSTER");
    command.push_back("SLOTS");
    const absl::StatusOr<Reply> reply = co_await AskOnce(
        options_, endpoint, options_.user, options_.password, std::move(command));
    if (!reply.ok()) {
      last = absl::UnavailableError(
          absl::StrCat(endpoint.ToString(), ": ", reply.status().message()));
      continue;
    }
    absl::StatusOr<SlotMap> map = ParseSlotMap(*reply, endpoint);
    if (map.ok()) co_return map;
    last = map.status();
  }
  co_return last;
}

void Cluster::Install(const SlotMap& map) {
  std::vector<std::shared_ptr<Node>> gone;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    auto table = std::make_shared<Table>();
    table->owner = map.owner;
    table->endpoints = map.masters;
    for (const Endpoint& master : map.masters) table->nodes.push_back(NodeAt(master));
    const absl::Time now = absl::Now();
    for (auto it = pool_.begin(); it != pool_.end();) {
      const bool kept = std::find(table->nodes.begin(), table->nodes.end(), it->second.node) !=
                        table->nodes.end();
      if (kept || now - it->second.wanted < kLinger) {
        ++it;
      } else {
        gone.push_back(std::move(it->second.node));
        it = pool_.erase(it);
      }
    }
    table_ = std::move(table);
  }
  for (const std::shared_ptr<Node>& node : gone) node->Stop();  // on the loop: does not wait
}

Task<void> Cluster::Keep([[maybe_unused]] std::shared_ptr<Cluster> self) {
  absl::Duration backoff = kFirstBackoff;
  bool reported = false;
  while (!stopping_) {
    asked_ = false;
    const absl::StatusOr<SlotMap> map = co_await Load();
    if (map.ok()) Install(*map);
    AnswerWaiting();
    if (stopping_) break;
    if (!map.ok()) {
      if (!std::exchange(reported, true)) {
        log::Warn("redis", "no map of the cluster", {{"error", map.status()}});
      }
      co_await pause_nap_.Sleep(loop_, backoff);
      backoff = std::min(backoff * 2, options_.max_backoff);
      continue;
    }
    reported = false;
    backoff = kFirstBackoff;
    co_await pause_nap_.Sleep(loop_, kShortest);
    if (!asked_ && !stopping_) co_await idle_nap_.Sleep(loop_, kLongest);
  }
  AnswerWaiting();
  ended_.set_value();
}

void Cluster::AnswerWaiting() {
  std::vector<OneShot<bool>*> waiting;
  {
    std::lock_guard lock(mutex_);
    tried_ = true;
    waiting.swap(waiting_);
  }
  for (OneShot<bool>* one : waiting) one->Set(true);
}

Task<std::shared_ptr<const Cluster::Table>> Cluster::Known() {
  OneShot<bool> loaded;
  {
    std::lock_guard lock(mutex_);
    if (table_ != nullptr || tried_ || stopping_) co_return table_;
    waiting_.push_back(&loaded);
  }
  co_await loaded;
  std::lock_guard lock(mutex_);
  co_return table_;
}

Cluster::Target Cluster::Find(const Table& table, int slot) {
  Target target;
  std::size_t index = 0;
  if (slot >= 0) {
    const std::uint16_t owner = table.owner[static_cast<std::size_t>(slot)];
    if (owner == SlotMap::kNobody) return target;
    index = owner;
  } else {
    while (index + 1 < table.nodes.size() && !table.nodes[index]->up()) ++index;
  }
  target.node = table.nodes[index];
  target.endpoint = table.endpoints[index];
  return target;
}

Task<Cluster::Answer> Cluster::Call(std::vector<std::string> command, bool whole_slot) {
  const std::shared_ptr<Cluster> self = shared_from_this();
  const std::optional<std::string_view> key = KeyOf(command);
  const int slot = key ? SlotOf(*key) : -1;
  const std::string wire = FormatCommand(command);
  const absl::Time deadline = absl::Now() + options_.command_timeout;
  Target target;
  bool asking = false;
  for (int redirects = 0;;) {
    if (target.node == nullptr) {
      const std::shared_ptr<const Table> table = co_await Known();
      if (table != nullptr) target = Find(*table, slot);
    }
    if (target.node == nullptr || stopping_) {
      Refresh();
      co_return Away();
    }
    Answer answer = absl::UnknownError("");
    if (asking) {
      answer = co_await target.node->CallAsking(wire);
    } else {
      answer = co_await target.node->Call(wire);
    }
    if (answer.ok()) co_return answer;
    if (answer.status().code() != absl::StatusCode::kInternal) {
      // It may have run: not again.
      Refresh();
      co_return answer;
    }
    absl::string_view text = answer.status().message();
    absl::ConsumePrefix(&text, Node::kServerError);
    Redirect redirect =
        ParseRedirect(std::string_view(text.data(), text.size()), target.endpoint);
    if (redirect.kind == Redirect::Kind::kNone) co_return answer;
    if (redirect.kind == Redirect::Kind::kDown) {
      Refresh();
      co_return Away();
    }
    // A script could find some of its keys here and make the others anew, which are still there.
    const bool wait = redirect.kind == Redirect::Kind::kLater ||
                      (redirect.kind == Redirect::Kind::kAsk && whole_slot);
    asking = redirect.kind == Redirect::Kind::kAsk && !wait;
    if (redirect.kind == Redirect::Kind::kMoved) Refresh();
    if (wait) {
      if (absl::Now() > deadline) co_return Away();
      target = Target();
      co_await SleepFor(kMovingPause);
      continue;
    }
    if (++redirects > kMaxRedirects) co_return Away();
    std::lock_guard lock(mutex_);
    target.endpoint = redirect.to;
    target.node = NodeAt(redirect.to);
  }
}

void Cluster::Send(std::vector<std::string> command) {
  Target target;
  {
    const std::optional<std::string_view> key = KeyOf(command);
    std::lock_guard lock(mutex_);
    if (table_ == nullptr) return;
    target = Find(*table_, key ? SlotOf(*key) : -1);
  }
  if (target.node != nullptr) target.node->Send(FormatCommand(command));
}

Task<absl::StatusOr<std::vector<std::shared_ptr<Node>>>> Cluster::Masters() {
  const std::shared_ptr<Cluster> self = shared_from_this();
  const std::shared_ptr<const Table> table = co_await Known();
  if (table == nullptr || stopping_) co_return Away();
  co_return table->nodes;
}

}  // namespace posthorn::redis
