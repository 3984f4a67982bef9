#ifndef POSTHORN_SERVICES_MAILBOX_ADDRESS_H_
#define POSTHORN_SERVICES_MAILBOX_ADDRESS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::mailbox {

// An addr-spec as the directory compares it. The local part is in Unicode form C (RFC 6531 section
// 3.1 asks for it) without regard to case, and without quotes where it needs none; the domain is in
// lower case and A-labels, so that both spellings of an internationalised name are the same.
struct DirectoryAddress {
  // A local part that a tag was added to: "alice" and "tag" of "alice+tag".
  struct Tagged {
    Tagged(std::string base_in, std::string tag_in)
        : base(std::move(base_in)), tag(std::move(tag_in)) {}
    std::string base;
    std::string tag;  // may be empty
  };
  // With `separators` "+-" the local part "a-b+c" is tag "c" of "a-b", or tag "b+c" of "a". The
  // longest base first, at most three; none where the local part is quoted.
  static constexpr std::size_t kMaxTagged = 3;
  std::vector<Tagged> WithoutTag(std::string_view separators) const;

  std::string ToString() const { return local + "@" + domain; }

  std::string local;
  std::string domain;
};

// kBadAddress. Reads addr-spec as in MAIL and RCPT, in UTF-8.
absl::StatusOr<DirectoryAddress> ParseDirectoryAddress(std::string_view address);

// The address as mail is sent to it: the local part as given, because other systems may tell case
// apart, the domain in lower case and A-labels. kBadAddress.
absl::StatusOr<std::string> ParseRemoteAddress(std::string_view address);

// The name as in DNS: A-labels of letters, digits and hyphens, in lower case. U-labels are taken
// too (RFC 5890). kBadAddress.
absl::StatusOr<std::string> ParseDomainName(std::string_view name);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADDRESS_H_
