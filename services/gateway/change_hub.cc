#include "services/gateway/change_hub.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "services/gateway/clients/mail_store.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kAccountsPerCall = 1000;

}  // namespace

struct ChangeHub::Entry {
  Key key;
  Executor* executor = nullptr;
  std::function<void()> on_change;
  ModSeq seen = 0;    // guarded by the hub's mutex
  bool alive = true;  // touched on `executor` only
};

ChangeHub::Watch::Watch(ChangeHub* hub, std::shared_ptr<Entry> entry)
    : hub_(hub), entry_(std::move(entry)) {}

ChangeHub::Watch& ChangeHub::Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    Release();
    hub_ = other.hub_;
    entry_ = std::move(other.entry_);
  }
  return *this;
}

ChangeHub::Watch::~Watch() { Release(); }

void ChangeHub::Watch::Release() {
  if (!entry_) return;
  entry_->alive = false;
  entry_->on_change = nullptr;
  std::lock_guard lock(hub_->mutex_);
  auto found = hub_->entries_.find(entry_->key);
  std::vector<std::shared_ptr<Entry>>& watches = found->second;
  watches.erase(std::find(watches.begin(), watches.end(), entry_));
  if (watches.empty()) hub_->entries_.erase(found);
  entry_.reset();
}

void ChangeHub::Watch::Seen(ModSeq modseq) {
  if (!entry_) return;
  std::lock_guard lock(hub_->mutex_);
  entry_->seen = std::max(entry_->seen, modseq);
}

ChangeHub::ChangeHub(MailStore& store, Executor& poll_executor, absl::Duration poll_interval)
    : store_(store),
      executor_(poll_executor),
      poll_interval_(poll_interval),
      running_(std::make_shared<std::atomic<bool>>(false)) {}

ChangeHub::~ChangeHub() { Stop(); }

void ChangeHub::Start() {
  *running_ = true;
  Spawn(executor_, PollLoop(running_, this));
}

void ChangeHub::Stop() { *running_ = false; }

ChangeHub::Watch ChangeHub::Register(TenantId tenant, AccountId account, ModSeq seen,
                                     std::function<void()> on_change) {
  auto entry = std::make_shared<Entry>();
  entry->key = Key(tenant, account);
  entry->executor = Executor::Current();
  entry->on_change = std::move(on_change);
  entry->seen = seen;
  {
    std::lock_guard lock(mutex_);
    entries_[entry->key].push_back(entry);
  }
  return Watch(this, std::move(entry));
}

void ChangeHub::Notify(const Key& key, ModSeq modseq) {
  std::vector<std::shared_ptr<Entry>> woken;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    for (const std::shared_ptr<Entry>& entry : found->second) {
      if (entry->seen >= modseq) continue;
      entry->seen = modseq;
      woken.push_back(entry);
    }
  }
  for (std::shared_ptr<Entry>& entry : woken) {
    Executor* executor = entry->executor;
    executor->Post([entry = std::move(entry)] {
      if (entry->alive) entry->on_change();
    });
  }
}

void ChangeHub::OnHint(std::string_view payload) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(payload.data(), payload.size()), ' ');
  std::int64_t tenant = 0;
  std::int64_t account = 0;
  ModSeq modseq = 0;
  if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &tenant) ||
      !absl::SimpleAtoi(fields[1], &account) || !absl::SimpleAtoi(fields[2], &modseq)) {
    return;
  }
  Notify(Key(TenantId(tenant), AccountId(account)), modseq);
}

void ChangeHub::OnResubscribed() {
  if (!*running_) return;
  Spawn(executor_, PollOnce(running_, this));
}

std::size_t ChangeHub::watched() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

// The hub may be gone whenever `running` is false.
Task<void> ChangeHub::PollLoop(std::shared_ptr<std::atomic<bool>> running, ChangeHub* hub) {
  for (;;) {
    co_await SleepFor(hub->poll_interval_);
    if (!*running) co_return;
    co_await PollOnce(running, hub);
    if (!*running) co_return;
  }
}

Task<void> ChangeHub::PollOnce(std::shared_ptr<std::atomic<bool>> running, ChangeHub* hub) {
  if (!*running) co_return;
  if (hub->polling_) {
    hub->poll_again_ = true;
    co_return;
  }
  hub->polling_ = true;
  do {
    hub->poll_again_ = false;
    std::vector<Key> keys;
    {
      std::lock_guard lock(hub->mutex_);
      keys.reserve(hub->entries_.size());
      for (const auto& [key, watches] : hub->entries_) keys.push_back(key);
    }
    for (std::size_t at = 0; at < keys.size(); at += kAccountsPerCall) {
      std::vector<Key> batch(
          keys.begin() + static_cast<std::ptrdiff_t>(at),
          keys.begin() + static_cast<std::ptrdiff_t>(std::min(at + kAccountsPerCall, keys.size())));
      absl::StatusOr<std::vector<ModSeq>> marks = co_await hub->store_.GetWatermarks(batch);
      if (!*running) co_return;
      // The store is away: the next poll is soon enough.
      if (!marks.ok()) break;
      for (std::size_t i = 0; i < batch.size() && i < marks->size(); ++i) {
        hub->Notify(batch[i], (*marks)[i]);
      }
    }
  } while (hub->poll_again_);
  hub->polling_ = false;
}

}  // namespace posthorn::gateway
