#include "lib/sasl/base64.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace posthorn::sasl {
namespace {

absl::string_view ToAbsl(std::string_view s) { return absl::string_view(s.data(), s.size()); }

bool IsBase64Char(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

}  // namespace

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string decoded;
  // absl skips white space and takes missing padding; SASL allows neither.
  if (text.size() % 4 != 0 || text.find_first_of(" \t\r\n\v\f") != std::string_view::npos ||
      !absl::Base64Unescape(ToAbsl(text), &decoded)) {
    return std::nullopt;
  }
  return decoded;
}

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return IsBase64Char(c) || c == '-' || c == '_';
  });
  std::string decoded;
  if (!clean || text.size() % 4 == 1 || !absl::WebSafeBase64Unescape(ToAbsl(text), &decoded)) {
    return std::nullopt;
  }
  return decoded;
}

std::string EncodeBase64(std::string_view octets) { return absl::Base64Escape(ToAbsl(octets)); }

std::optional<std::string> DecodeResponse(std::string_view text) {
  if (text == "=") return std::string();
  return DecodeBase64(text);
}

}  // namespace posthorn::sasl
