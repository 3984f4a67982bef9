#include "lib/imap/format/format.h"
#include "lib/imap/mailbox_name.h"

namespace posthorn::imap {

void AppendList(std::string_view command, const ListEntry& entry, bool utf8, std::string& out) {
  out += "* ";
  out += command;
  out += " (";
  bool first = true;
  for (const std::string& attribute : entry.attributes) {
    if (!first) out += ' ';
    out += attribute;
    first = false;
  }
  out += ") \"";
  out += kHierarchySeparator;
  out += "\" ";
  AppendMailbox(entry.name, utf8, out);
  if (!entry.child_info.empty()) {
    out += " (\"CHILDINFO\" (";
    for (std::size_t i = 0; i < entry.child_info.size(); ++i) {
      if (i > 0) out += ' ';
      AppendString(entry.child_info[i], out);
    }
    out += "))";
  }
  out += "\r\n";
}

void AppendStatus(std::string_view mailbox, const std::vector<StatusItem>& items,
                  const StatusValues& values, bool utf8, std::string& out) {
  out += "* STATUS ";
  AppendMailbox(mailbox, utf8, out);
  out += " (";
  bool first = true;
  for (const StatusItem item : items) {
    if (!first) out += ' ';
    first = false;
    switch (item) {
      case StatusItem::kMessages:
        out += "MESSAGES ";
        AppendNumber(values.messages, out);
        break;
      case StatusItem::kRecent:
        out += "RECENT ";
        AppendNumber(values.recent, out);
        break;
      case StatusItem::kUidNext:
        out += "UIDNEXT ";
        AppendNumber(values.uid_next, out);
        break;
      case StatusItem::kUidValidity:
        out += "UIDVALIDITY ";
        AppendNumber(values.uid_validity, out);
        break;
      case StatusItem::kUnseen:
        out += "UNSEEN ";
        AppendNumber(values.unseen, out);
        break;
      case StatusItem::kSize:
        out += "SIZE ";
        AppendNumber(values.size, out);
        break;
      case StatusItem::kAppendLimit:
        out += "APPENDLIMIT ";
        AppendNumber(values.append_limit, out);
        break;
      case StatusItem::kHighestModSeq:
        out += "HIGHESTMODSEQ ";
        AppendNumber(static_cast<std::uint64_t>(values.highest_modseq), out);
        break;
      case StatusItem::kMailboxId:
        out += "MAILBOXID (";
        out += values.mailbox_id;
        out += ')';
        break;
      case StatusItem::kDeleted:
        out += "DELETED ";
        AppendNumber(values.deleted, out);
        break;
      case StatusItem::kDeletedStorage:
        out += "DELETED-STORAGE ";
        AppendNumber(values.deleted_size, out);
        break;
    }
  }
  out += ")\r\n";
}

}  // namespace posthorn::imap
