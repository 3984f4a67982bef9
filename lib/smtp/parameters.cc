// RFC 5321 section 4.1.2:
//   esmtp-param   = esmtp-keyword ["=" esmtp-value]
//   esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
//   esmtp-value   = 1*(%d33-60 / %d62-126)
// RFC 1870: size-value = 1*20DIGIT.  RFC 6152: body-value = "7BIT" / "8BITMIME".
#include "lib/smtp/parameters.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

absl::Status Bad(std::string_view text) { return MakeFailure(Failure::kBadParameter, text); }

bool IsKeyword(std::string_view text) {
  return !text.empty() && absl::ascii_isalnum(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-'; });
}

bool IsValue(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c >= 33 && c <= 126 && c != '='; });
}

absl::StatusOr<std::uint64_t> ParseSize(const std::string& value) {
  const bool digits = std::all_of(value.begin(), value.end(), absl::ascii_isdigit);
  std::uint64_t size = 0;
  if (value.empty() || value.size() > 20 || !digits || !absl::SimpleAtoi(value, &size)) {
    return Bad("Invalid SIZE");
  }
  return size;
}

}  // namespace

absl::StatusOr<std::vector<Parameter>> ParseParameters(std::string_view text) {
  std::vector<Parameter> parameters;
  while (!text.empty()) {
    if (text.front() == ' ') {
      text.remove_prefix(1);
      continue;
    }
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    const std::size_t equals = word.find('=');
    const std::string_view keyword = word.substr(0, equals);
    const bool has_value = equals != std::string_view::npos;
    const std::string_view value = has_value ? word.substr(equals + 1) : std::string_view();
    if (!IsKeyword(keyword) || (has_value && !IsValue(value))) return Bad("Malformed parameter");
    std::string upper = absl::AsciiStrToUpper(absl::string_view(keyword.data(), keyword.size()));
    for (const Parameter& other : parameters) {
      if (other.keyword == upper) return Bad("Parameter given twice");
    }
    parameters.emplace_back(std::move(upper), has_value, std::string(value));
  }
  return parameters;
}

absl::Status ApplyMailParameters(const std::vector<Parameter>& parameters, MailCommand& mail) {
  for (const Parameter& parameter : parameters) {
    if (parameter.keyword == "SIZE") {
      const absl::StatusOr<std::uint64_t> size = ParseSize(parameter.value);
      if (!size.ok()) return size.status();
      mail.size = *size;
    } else if (parameter.keyword == "BODY") {
      if (absl::EqualsIgnoreCase(parameter.value, "8BITMIME")) {
        mail.body = BodyType::k8BitMime;
      } else if (!absl::EqualsIgnoreCase(parameter.value, "7BIT")) {
        return Bad("BODY is 7BIT or 8BITMIME");
      }
    } else if (parameter.keyword == "AUTH") {
      if (!parameter.has_value) return Bad("AUTH needs a value");
    } else {
      return MakeFailure(Failure::kParameterNotImplemented);
    }
  }
  return absl::OkStatus();
}

}  // namespace posthorn::smtp
