#ifndef POSTHORN_SERVICES_MAILBOX_ADDRESS_H_
#define POSTHORN_SERVICES_MAILBOX_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace posthorn::mailbox {

// An addr-spec as the directory compares it: both parts in lower case, the local part in NFC, the
// domain in A-labels, so that every spelling of an internationalised address is the same one; a
// quoted local part without its quotes where it needs none.
struct DirectoryAddress {
  std::string local;
  std::string domain;
  std::string ToString() const { return local + "@" + domain; }
  // The address without "+tag"; the same if there is none.
  std::string WithoutTag() const;
};

// kBadAddress.
absl::StatusOr<DirectoryAddress> ParseDirectoryAddress(std::string_view address);

// The name as in DNS: A-labels of letters, digits and hyphens, in lower case. U-labels are taken
// too (RFC 5890). kBadAddress.
absl::StatusOr<std::string> ParseDomainName(std::string_view name);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADDRESS_H_
