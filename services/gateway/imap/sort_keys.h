#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_SORT_KEYS_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_SORT_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/ids.h"
#include "lib/imap/command.h"

namespace posthorn::gateway {

// What one SORT key (RFC 5256) makes of messages of one mailbox: octets whose order is that of the
// messages. By UID, ascending.
class SortColumn {
 public:
  void Add(Uid uid, std::string_view key);

  std::size_t size() const { return rows_.size(); }
  Uid uid(std::size_t row) const { return rows_[row].first; }
  std::string_view key(std::size_t row) const;
  // The first row at or behind `from` with this UID or a higher one; size(): none.
  std::size_t LowerBound(Uid uid, std::size_t from = 0) const;
  std::size_t octets() const { return octets_.size() + rows_.size() * sizeof(rows_[0]); }

 private:
  std::vector<std::pair<Uid, std::uint32_t>> rows_;  // and where the key begins
  std::string octets_;
};

// The columns that were made lately. A message never changes, so a column is right for ever; only
// messages may be missing. Thread-safe.
class SortKeyCache {
 public:
  using Kind = imap::SortKey::Kind;
  static constexpr std::size_t kMaxOctets = 64 * 1024 * 1024;

  explicit SortKeyCache(std::size_t max_octets = kMaxOctets) : max_octets_(max_octets) {}

  struct Mailbox {
    TenantId tenant;
    MailboxId mailbox;
    std::uint32_t uid_validity = 0;
  };
  // None: there is no such column.
  std::shared_ptr<const SortColumn> Find(const Mailbox& mailbox, Kind kind);
  // Instead of what there is.
  void Put(const Mailbox& mailbox, Kind kind, std::shared_ptr<const SortColumn> column);

 private:
  using Key = std::tuple<TenantId, MailboxId, std::uint32_t, Kind>;
  using Entries = std::list<std::pair<Key, std::shared_ptr<const SortColumn>>>;

  void Remove(Entries::iterator entry);

  const std::size_t max_octets_;
  std::mutex mutex_;
  // Guarded by mutex_.
  Entries entries_;  // last used first
  absl::flat_hash_map<Key, Entries::iterator> by_key_;
  std::size_t octets_ = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_SORT_KEYS_H_
