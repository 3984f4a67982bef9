// RFC 4616 section 2:
//   message   = [authzid] UTF8NUL authcid UTF8NUL passwd
//   authcid   = 1*SAFE ; passwd = 1*SAFE    any character but NUL, at most 255 octets expected
#include "services/gateway/session/sasl.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kMaxField = 1024;

absl::string_view ToAbsl(std::string_view s) { return absl::string_view(s.data(), s.size()); }

}  // namespace

absl::StatusOr<std::string> DecodeSaslBase64(std::string_view text) {
  if (text == "=") return std::string();
  std::string decoded;
  // absl skips white space and takes missing padding; SASL allows neither.
  if (text.size() % 4 != 0 || text.find_first_of(" \t\r\n") != std::string_view::npos ||
      !absl::Base64Unescape(ToAbsl(text), &decoded)) {
    return MakeFailure(Failure::kSyntax, "Invalid base64");
  }
  return decoded;
}

absl::StatusOr<NameAndPassword> ParseSaslPlain(std::string_view message) {
  const std::size_t first = message.find('\0');
  if (first == std::string_view::npos) return MakeFailure(Failure::kSyntax, "Invalid PLAIN message");
  const std::size_t second = message.find('\0', first + 1);
  if (second == std::string_view::npos ||
      message.find('\0', second + 1) != std::string_view::npos) {
    return MakeFailure(Failure::kSyntax, "Invalid PLAIN message");
  }
  const std::string_view authzid = message.substr(0, first);
  const std::string_view name = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (name.empty() || password.empty() || name.size() > kMaxField || password.size() > kMaxField) {
    return MakeFailure(Failure::kSyntax, "Invalid PLAIN message");
  }
  if (!authzid.empty() && !absl::EqualsIgnoreCase(ToAbsl(authzid), ToAbsl(name))) {
    return MakeFailure(Failure::kAuthenticationFailed);
  }
  return NameAndPassword(std::string(name), std::string(password));
}

}  // namespace posthorn::gateway
