#ifndef POSTHORN_SERVICES_MAILBOX_TYPES_H_
#define POSTHORN_SERVICES_MAILBOX_TYPES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/ids.h"

namespace posthorn::mailbox {

// System flags as bits, as in posthorn.mailbox.v1.Flags.
inline constexpr std::uint32_t kFlagSeen = 1;
inline constexpr std::uint32_t kFlagDeleted = 8;
inline constexpr std::uint32_t kAllFlags = 31;

struct Account {
  Account() = default;
  Account(TenantId tenant_in, AccountId account_in) : tenant(tenant_in), account(account_in) {}
  TenantId tenant;
  AccountId account;
};

// UIDs `first` to `last`, inclusive.
struct UidRange {
  UidRange() = default;
  UidRange(Uid first_in, Uid last_in) : first(first_in), last(last_in) {}
  Uid first = 0;
  Uid last = 0;
  friend bool operator==(const UidRange&, const UidRange&) = default;
};

// Sorted, disjoint, not touching; empty ones (first > last) are dropped.
std::vector<UidRange> Normalised(std::vector<UidRange> ranges);

struct MailboxInfo {
  MailboxId id;
  std::string name;
  std::string special_use;
  bool subscribed = false;
  std::uint32_t uid_validity = 0;
  Uid uid_next = 0;
  std::uint32_t messages = 0;
  std::uint32_t unseen = 0;
  std::uint32_t recent = 0;
  ModSeq highest_modseq = 0;
  std::uint64_t size = 0;
  // Counted only where asked for: messages with \Deleted, and their octets.
  std::uint32_t deleted = 0;
  std::uint64_t deleted_size = 0;
};

struct Quota {
  std::uint64_t used_octets = 0;
  std::uint64_t limit_octets = 0;  // 0: none
  std::uint64_t used_messages = 0;
  std::uint64_t limit_messages = 0;  // 0: none
};

struct Entry {
  Uid uid = 0;
  ModSeq modseq = 0;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  std::uint64_t size = 0;
  EmailId email;
  absl::Time received_at;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TYPES_H_
