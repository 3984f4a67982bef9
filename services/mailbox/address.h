#ifndef POSTHORN_SERVICES_MAILBOX_ADDRESS_H_
#define POSTHORN_SERVICES_MAILBOX_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace posthorn::mailbox {

// An addr-spec as the directory compares it: both parts in lower case (ASCII), a quoted local part
// without its quotes where it needs none.
struct DirectoryAddress {
  std::string local;
  std::string domain;
  std::string ToString() const { return local + "@" + domain; }
  // The address without "+tag"; the same if there is none.
  std::string WithoutTag() const;
};

// kBadAddress.
absl::StatusOr<DirectoryAddress> ParseDirectoryAddress(std::string_view address);

// Letters, digits, hyphens and dots as in DNS, lower case, at least one dot; kBadAddress.
absl::StatusOr<std::string> ParseDomainName(std::string_view name);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADDRESS_H_
