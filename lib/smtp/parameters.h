#ifndef POSTHORN_LIB_SMTP_PARAMETERS_H_
#define POSTHORN_LIB_SMTP_PARAMETERS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/smtp/command.h"
#include "lib/smtp/extensions.h"

namespace posthorn::smtp {

// An ESMTP parameter (RFC 5321 section 4.1.2).
struct Parameter {
  Parameter(std::string keyword_in, bool has_value_in, std::string value_in)
      : keyword(std::move(keyword_in)), has_value(has_value_in), value(std::move(value_in)) {}
  std::string keyword;  // upper case
  bool has_value;
  std::string value;  // may hold UTF-8
};

// What follows a path: nothing, or a space and parameters. kBadParameter if it is malformed or
// names a keyword twice.
absl::StatusOr<std::vector<Parameter>> ParseParameters(std::string_view text);

// The parameters of MAIL and of RCPT, each by its own grammar. kParameterNotImplemented for one
// that is unknown or belongs to an extension that is not `offered`; kBadParameter for a value that
// is malformed or out of range, and for parameters that exclude each other.
absl::Status ApplyMailParameters(const std::vector<Parameter>& parameters, ExtensionSet offered,
                                 MailCommand& mail);
absl::Status ApplyRcptParameters(const std::vector<Parameter>& parameters, ExtensionSet offered,
                                 RcptCommand& rcpt);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_PARAMETERS_H_
