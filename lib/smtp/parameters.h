#ifndef POSTHORN_LIB_SMTP_PARAMETERS_H_
#define POSTHORN_LIB_SMTP_PARAMETERS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/smtp/command.h"

namespace posthorn::smtp {

// An ESMTP parameter (RFC 5321 section 4.1.2).
struct Parameter {
  Parameter(std::string keyword_in, bool has_value_in, std::string value_in)
      : keyword(std::move(keyword_in)), has_value(has_value_in), value(std::move(value_in)) {}
  std::string keyword;  // upper case
  bool has_value;
  std::string value;
};

// What follows a path: nothing, or a space and parameters. kBadParameter if it is malformed or
// names a keyword twice.
absl::StatusOr<std::vector<Parameter>> ParseParameters(std::string_view text);

// SIZE (RFC 1870), BODY (RFC 6152) and AUTH (RFC 4954 section 5, checked and ignored).
// kParameterNotImplemented for any other, kBadParameter for a value out of range.
absl::Status ApplyMailParameters(const std::vector<Parameter>& parameters, MailCommand& mail);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_PARAMETERS_H_
