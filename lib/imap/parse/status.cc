// status     = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
// status-att = "MESSAGES" / "RECENT" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN" /
//              "SIZE" / "APPENDLIMIT" / "HIGHESTMODSEQ" / "MAILBOXID" / "DELETED" /
//              "DELETED-STORAGE"   (RFC 8438, RFC 7889, RFC 7162, RFC 8474, RFC 9208)
#include <algorithm>
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<std::vector<StatusItem>> ParseStatusItems(Cursor& in) {
  if (!in.Consume('(')) return SyntaxError("Expected status items");
  constexpr std::pair<std::string_view, StatusItem> kItems[] = {
      {"MESSAGES", StatusItem::kMessages},       {"RECENT", StatusItem::kRecent},
      {"UIDNEXT", StatusItem::kUidNext},         {"UIDVALIDITY", StatusItem::kUidValidity},
      {"UNSEEN", StatusItem::kUnseen},           {"SIZE", StatusItem::kSize},
      {"APPENDLIMIT", StatusItem::kAppendLimit}, {"HIGHESTMODSEQ", StatusItem::kHighestModSeq},
      {"MAILBOXID", StatusItem::kMailboxId},     {"DELETED-STORAGE", StatusItem::kDeletedStorage},
      {"DELETED", StatusItem::kDeleted}};
  std::vector<StatusItem> items;
  do {
    const auto* item =
        std::find_if(std::begin(kItems), std::end(kItems),
                     [&](const auto& candidate) { return in.ConsumeWord(candidate.first); });
    if (item == std::end(kItems)) return SyntaxError("Unknown status item");
    if (std::find(items.begin(), items.end(), item->second) == items.end()) {
      items.push_back(item->second);
    }
  } while (in.ConsumeSpace() && in.Peek() != ')');
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  return items;
}

absl::StatusOr<CommandBody> ParseStatus(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  StatusCommand command{*std::move(mailbox), {}};
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::vector<StatusItem>> items = ParseStatusItems(in);
  if (!items.ok()) return items.status();
  command.items = *std::move(items);
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
