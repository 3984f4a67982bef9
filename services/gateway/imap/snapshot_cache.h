#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_SNAPSHOT_CACHE_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_SNAPSHOT_CACHE_H_

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "lib/base/ids.h"
#include "services/gateway/imap/selected_mailbox.h"

namespace posthorn::gateway {

// What sessions of this gateway have read of mailboxes lately, so that the next SELECT asks only for
// what has changed since, and sessions of one mailbox share most of what they keep. Only of mailboxes
// that are large enough to be worth it. What is in here may be old, but was true at its MODSEQ.
// Thread-safe.
class SnapshotCache {
 public:
  // Mailboxes with fewer messages are read anew, which costs no more than asking for changes.
  static constexpr std::size_t kMinMessages = 500;
  // Of all mailboxes in here together: 24 octets each. The longest unused goes first.
  static constexpr std::size_t kMaxMessages = 3'000'000;

  explicit SnapshotCache(std::size_t max_messages = kMaxMessages) : max_messages_(max_messages) {}

  // For a new session; none: not in here. `name` is canonical.
  std::unique_ptr<SelectedMailbox> Find(TenantId tenant, AccountId account,
                                        const std::string& name, bool read_only);
  // What a session knows at its SELECT.
  void Put(TenantId tenant, AccountId account, SelectedMailbox& mailbox);
  void Drop(TenantId tenant, AccountId account, const std::string& name);

 private:
  using Key = std::tuple<TenantId, AccountId, std::string>;
  struct Entry {
    Key key;
    std::unique_ptr<SelectedMailbox> mailbox;
  };
  using Entries = std::list<Entry>;

  void Remove(Entries::iterator entry);

  const std::size_t max_messages_;
  std::mutex mutex_;
  // Guarded by mutex_.
  Entries entries_;  // last used first
  absl::flat_hash_map<Key, Entries::iterator> by_key_;
  std::size_t messages_ = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_SNAPSHOT_CACHE_H_
