#ifndef POSTHORN_SERVICES_MAILBOX_RECIPIENT_LOOKUP_H_
#define POSTHORN_SERVICES_MAILBOX_RECIPIENT_LOOKUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/address.h"

namespace posthorn::mailbox {

// What the directory has under one address.
struct RecipientEntry {
  enum class Kind {
    kForeign,  // the domain is not ours
    kUnknown,  // the local part is not
    kAccount,
    kAlias,  // `targets`
    kList,
  };
  Kind kind = Kind::kForeign;
  // Of the domain, where it is ours.
  TenantId tenant;
  bool domain_suspended = false;
  std::string catch_all;   // empty: none
  std::string postmaster;  // empty: not named

  // In the domain itself where an alias was asked; without its tag if it has none of its own.
  std::string address;
  std::string tag;      // what was left; the base is `address`
  std::string tagged;   // `address` with its tag, as it was asked
  AccountId account;
  bool disabled = false;              // the account is suspended
  std::optional<std::uint64_t> room;  // octets left under the account's quota; none: no quota
  std::vector<std::string> targets;
};

// One entry an address, in order: the exact one, else the one without its tag, the longest base
// first. One round trip.
Task<absl::StatusOr<std::vector<RecipientEntry>>> LookUpRecipients(
    postgres::Database& database, std::string_view tag_separators,
    std::vector<DirectoryAddress> addresses);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_RECIPIENT_LOOKUP_H_
