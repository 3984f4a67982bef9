#ifndef POSTHORN_LIB_SMTP_ADDRESS_H_
#define POSTHORN_LIB_SMTP_ADDRESS_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::smtp {

// A mailbox name (RFC 5321 section 4.1.2, RFC 6531 section 3.3). The local part is kept without its
// quoting, so that `"alice"@example.test` and `alice@example.test` are the same mailbox; both parts
// may hold UTF-8, and keep their case.
struct Mailbox {
  Mailbox() = default;
  Mailbox(std::string local_part_in, std::string domain_in)
      : local_part(std::move(local_part_in)), domain(std::move(domain_in)) {}

  // The null reverse-path.
  bool IsNull() const { return local_part.empty() && domain.empty(); }
  // addr-spec, quoted where it must be; empty for the null path.
  std::string ToString() const;
  // Needs SMTPUTF8 (RFC 6531 section 3.4).
  bool IsInternational() const;
  // The domain is an address literal (RFC 5321 section 4.1.3).
  bool HasLiteral() const { return domain.starts_with('['); }

  friend bool operator==(const Mailbox&, const Mailbox&) = default;

  std::string local_part;
  std::string domain;  // as given; a literal with its brackets; empty only for bare "postmaster"
};

enum class PathSyntax {
  // People and old clients: a space after the colon, no angle brackets, comments and spaces between
  // the parts (RFC 5322 section 3.2.2), quoted and plain words in one local part (section 4.4).
  kLenient,
  kStrict,  // RFC 5321 section 3.3 to the letter
};

// Reads a path from the front of `input` and removes it. Source routes are read and ignored
// (RFC 5321 appendix C). Errors: kBadAddress.
//
// Reverse-path: "<>" is the null path. A domain is required otherwise, unless there is a
// `default_domain` for names without one.
absl::StatusOr<Mailbox> ConsumeReversePath(std::string_view& input, PathSyntax syntax,
                                           std::string_view default_domain = {});
// Forward-path: "postmaster" may stand without a domain (RFC 5321 section 4.5.1); null is refused.
absl::StatusOr<Mailbox> ConsumeForwardPath(std::string_view& input, PathSyntax syntax,
                                           std::string_view default_domain = {});

// A whole addr-spec, as an API gives it. Errors: kBadAddress.
absl::StatusOr<Mailbox> ParseMailbox(std::string_view text);

// Is this a domain name, of A- or U-labels, or an address literal? Underscores pass: names in use
// have them.
bool IsDomainOrLiteral(std::string_view text);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_ADDRESS_H_
