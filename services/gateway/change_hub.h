#ifndef POSTHORN_SERVICES_GATEWAY_CHANGE_HUB_H_
#define POSTHORN_SERVICES_GATEWAY_CHANGE_HUB_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/executor.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"

namespace posthorn::gateway {

class MailStore;

// Tells sessions that their account has changed. Change hints come from Redis through OnHint and
// are only hints: the hub also compares all watched accounts with the store once a minute, and at
// once after OnResubscribed. Thread-safe. Must outlive the executor it polls on, or Stop must have
// returned and the poll in flight ended.
class ChangeHub {
 public:
  struct Entry;

  // While it lives, `on_change` runs on the executor that called Watch whenever the account is
  // known to have passed the MODSEQ last given to Seen. Destroy it on that executor: after that
  // the callback never runs again.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&&) noexcept = default;
    Watch& operator=(Watch&& other) noexcept;
    ~Watch();
    // What the session has read up to; a hint for this or less is ignored.
    void Seen(ModSeq modseq);

   private:
    friend class ChangeHub;
    Watch(ChangeHub* hub, std::shared_ptr<Entry> entry);
    void Release();
    ChangeHub* hub_ = nullptr;
    std::shared_ptr<Entry> entry_;
  };

  ChangeHub(MailStore& store, Executor& poll_executor,
            absl::Duration poll_interval = absl::Minutes(1));
  ~ChangeHub();
  ChangeHub(const ChangeHub&) = delete;
  ChangeHub& operator=(const ChangeHub&) = delete;

  // Starts the polling; Stop ends it (what is in flight ends on its own).
  void Start();
  void Stop();

  // From an executor. `seen`: the MODSEQ the session has read up to.
  Watch Register(TenantId tenant, AccountId account, ModSeq seen, std::function<void()> on_change);

  // "<tenant_id> <account_id> <modseq>", the payload on channel "posthorn:hint:*". Anything else
  // is ignored.
  void OnHint(std::string_view payload);
  // The subscription was lost and is back: hints may have been missed.
  void OnResubscribed();

  // Accounts watched now; for metrics and tests.
  std::size_t watched() const;

 private:
  using Key = std::pair<TenantId, AccountId>;

  void Notify(const Key& key, ModSeq modseq);
  static Task<void> PollLoop(std::shared_ptr<std::atomic<bool>> running, ChangeHub* hub);
  static Task<void> PollOnce(std::shared_ptr<std::atomic<bool>> running, ChangeHub* hub);

  MailStore& store_;
  Executor& executor_;
  const absl::Duration poll_interval_;
  std::shared_ptr<std::atomic<bool>> running_;
  // Touched on executor_ only.
  bool polling_ = false;
  bool poll_again_ = false;

  mutable std::mutex mutex_;
  // Guarded by mutex_. An account rarely has more than a few sessions.
  absl::flat_hash_map<Key, std::vector<std::shared_ptr<Entry>>> entries_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CHANGE_HUB_H_
