#include "services/gateway/imap/snapshot_cache.h"

#include <iterator>
#include <utility>

namespace posthorn::gateway {

std::unique_ptr<SelectedMailbox> SnapshotCache::Find(TenantId tenant, AccountId account,
                                                     const std::string& name, bool read_only) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(Key(tenant, account, name));
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->mailbox->Share(read_only);
}

void SnapshotCache::Put(TenantId tenant, AccountId account, SelectedMailbox& mailbox) {
  Key key(tenant, account, mailbox.name());
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    const SelectedMailbox& known = *found->second->mailbox;
    // Two sessions may have read at once; nothing new needs no other copy.
    const bool same = known.id() == mailbox.id() && known.uid_validity() == mailbox.uid_validity();
    if (same && known.modseq() >= mailbox.modseq()) return;
    Remove(found->second);
  }
  const std::size_t messages = mailbox.messages().size();
  if (messages < kMinMessages || messages > max_messages_) return;
  entries_.push_front(Entry{key, mailbox.Share(true)});
  by_key_[std::move(key)] = entries_.begin();
  messages_ += messages;
  while (messages_ > max_messages_) Remove(std::prev(entries_.end()));
}

void SnapshotCache::Drop(TenantId tenant, AccountId account, const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(Key(tenant, account, name));
  if (found != by_key_.end()) Remove(found->second);
}

void SnapshotCache::Remove(Entries::iterator entry) {
  messages_ -= entry->mailbox->messages().size();
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace posthorn::gateway
