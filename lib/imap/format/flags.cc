#include "lib/imap/format/format.h"

namespace posthorn::imap {

void AppendFlags(std::uint32_t system, const std::vector<std::string>& keywords, std::string& out) {
  struct Name {
    std::uint32_t bit;
    std::string_view name;
  };
  constexpr Name kNames[] = {{kAnswered, "\\Answered"}, {kFlagged, "\\Flagged"},
                             {kDeleted, "\\Deleted"},   {kSeen, "\\Seen"},
                             {kDraft, "\\Draft"},       {kRecent, "\\Recent"}};
  out += '(';
  bool first = true;
  for (const Name& flag : kNames) {
    if ((system & flag.bit) == 0) continue;
    if (!first) out += ' ';
    out += flag.name;
    first = false;
  }
  for (const std::string& keyword : keywords) {
    if (!first) out += ' ';
    out += keyword;
    first = false;
  }
  out += ')';
}

}  // namespace posthorn::imap
