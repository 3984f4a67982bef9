#include "lib/smtp/verp.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/smtp/address.h"

namespace posthorn::smtp {

bool IsVerpDelimiters(std::string_view text) {
  return text.size() == 2 && std::all_of(text.begin(), text.end(), [](char c) {
    return c == '-' || c == '=' || c == '+';
  });
}

std::string VerpSender(std::string_view reverse_path, std::string_view recipient,
                       std::string_view delimiters) {
  const absl::StatusOr<Mailbox> from = ParseMailbox(reverse_path);
  const absl::StatusOr<Mailbox> to = ParseMailbox(recipient);
  if (!from.ok() || !to.ok() || from->domain.empty() || to->domain.empty() ||
      !IsVerpDelimiters(delimiters)) {
    return std::string(reverse_path);
  }
  std::string local_part = absl::StrCat(from->local_part, std::string(1, delimiters[0]),
                                        to->local_part, std::string(1, delimiters[1]), to->domain);
  return Mailbox(std::move(local_part), from->domain).ToString();
}

}  // namespace posthorn::smtp
