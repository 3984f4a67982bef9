#include "services/gateway/imap/sort_keys.h"

#include <algorithm>
#include <iterator>

namespace posthorn::gateway {

void SortColumn::Add(Uid uid, std::string_view key) {
  rows_.emplace_back(uid, static_cast<std::uint32_t>(octets_.size()));
  octets_ += key;
}

std::string_view SortColumn::key(std::size_t row) const {
  const std::size_t end = row + 1 < rows_.size() ? rows_[row + 1].second : octets_.size();
  return std::string_view(octets_).substr(rows_[row].second, end - rows_[row].second);
}

std::size_t SortColumn::LowerBound(Uid uid, std::size_t from) const {
  // What is looked for is mostly the next one.
  if (from < rows_.size() && rows_[from].first >= uid) return from;
  const auto it = std::lower_bound(
      rows_.begin() + static_cast<std::ptrdiff_t>(from), rows_.end(), uid,
      [](const std::pair<Uid, std::uint32_t>& row, Uid wanted) { return row.first < wanted; });
  return static_cast<std::size_t>(it - rows_.begin());
}

std::shared_ptr<const SortColumn> SortKeyCache::Find(const Mailbox& mailbox, Kind kind) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(Key(mailbox.tenant, mailbox.mailbox, mailbox.uid_validity, kind));
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->second;
}

void SortKeyCache::Put(const Mailbox& mailbox, Kind kind,
                       std::shared_ptr<const SortColumn> column) {
  const Key key(mailbox.tenant, mailbox.mailbox, mailbox.uid_validity, kind);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) Remove(found->second);
  if (column->octets() > max_octets_ / 2) return;
  octets_ += column->octets();
  entries_.emplace_front(key, std::move(column));
  by_key_[key] = entries_.begin();
  while (octets_ > max_octets_) Remove(std::prev(entries_.end()));
}

void SortKeyCache::Remove(Entries::iterator entry) {
  octets_ -= entry->second->octets();
  by_key_.erase(entry->first);
  entries_.erase(entry);
}

}  // namespace posthorn::gateway
