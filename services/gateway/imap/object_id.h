#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_OBJECT_ID_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_OBJECT_ID_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace posthorn::gateway {

// Object ids as clients see them (RFC 8474 section 4): a letter, so that none is a number, and the
// store's id.
inline constexpr char kMailboxLetter = 'M';
inline constexpr char kEmailLetter = 'E';
inline constexpr char kThreadLetter = 'T';

inline std::string ObjectId(char letter, std::int64_t id) {
  return absl::StrCat(absl::string_view(&letter, 1), id);
}

// nullopt: the server gives out no such id.
inline std::optional<std::int64_t> ParseObjectId(char letter, std::string_view text) {
  std::int64_t id = 0;
  if (text.empty() || text.front() != letter) return std::nullopt;
  text.remove_prefix(1);
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &id) || id <= 0 ||
      absl::StrCat(id) != absl::string_view(text.data(), text.size())) {
    return std::nullopt;
  }
  return id;
}

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_OBJECT_ID_H_
