#include "lib/smtp/international.h"

#include <idn2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

std::string Lower(std::string_view text) {
  return absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
}

struct Free {
  void operator()(char* text) const { idn2_free(text); }
};
using Idn2Text = std::unique_ptr<char, Free>;

// How many octets the character at the front of `text` has; 0 if it is malformed (RFC 3629
// section 4).
std::size_t CharacterSize(std::string_view text) {
  const auto octet = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&octet](std::size_t i) { return octet(i) >= 0x80 && octet(i) <= 0xbf; };
  const unsigned first = octet(0);
  const unsigned second = octet(1);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second > 0x9f;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && second < 0x90;
    const bool too_large = first == 0xf4 && second > 0x8f;
    return tail(1) && tail(2) && tail(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool IsAscii(std::string_view text) {
  // All octets of a message pass here: eight at a time.
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080ULL) != 0) return false;
  }
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

absl::StatusOr<std::string> DomainToAscii(std::string_view domain) {
  if (IsAscii(domain)) return Lower(domain);
  const std::string name(domain);
  if (!IsUtf8(name) || name.find('\0') != std::string::npos) {
    return MakeFailure(Failure::kBadAddress, "Malformed domain");
  }
  char* out = nullptr;
  // TR46 folds case and width as people type them; nontransitional: "ß" is a letter of its own.
  const int result =
      idn2_to_ascii_8z(name.c_str(), &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const Idn2Text ascii(out);
  // A label may have become empty: some characters count for nothing.
  const std::string_view text = ascii != nullptr ? ascii.get() : "";
  if (result != IDN2_OK || text.starts_with('.') || text.find("..") != std::string_view::npos) {
    return MakeFailure(Failure::kBadAddress, "Malformed internationalised domain");
  }
  return Lower(text);
}

std::string DomainToUnicode(std::string_view domain) {
  std::string lower = Lower(domain);
  if (!absl::StrContains(lower, "xn--") || lower.find('\0') != std::string::npos) return lower;
  char* out = nullptr;
  const int result = idn2_to_unicode_8z8z(lower.c_str(), &out, 0);
  const Idn2Text unicode(out);
  return result == IDN2_OK && unicode != nullptr ? std::string(unicode.get()) : lower;
}

}  // namespace posthorn::smtp
