// LIST (RFC 3501 section 6.3.8, with the options of RFC 5258 that RFC 6154 refers to) and LSUB
// (6.3.9). CHILDREN (RFC 3348) and SPECIAL-USE attributes are always there.
#include <algorithm>
#include <map>
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {
namespace {

using imap::kHierarchySeparator;

class Pattern {
 public:
  explicit Pattern(const imap::ListCommand& command) {
    for (const std::string& pattern : command.patterns) {
      // A pattern that starts at the root ignores the reference.
      patterns_.push_back(pattern.front() == kHierarchySeparator ? pattern
                                                                 : command.reference + pattern);
    }
  }
  bool Matches(std::string_view name) const {
    return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& pattern) {
      return imap::MatchesPattern(name, pattern);
    });
  }

 private:
  std::vector<std::string> patterns_;
};

bool HasChildren(const std::vector<MailboxInfo>& mailboxes, const std::string& name) {
  const std::string prefix = name + kHierarchySeparator;
  return std::any_of(mailboxes.begin(), mailboxes.end(), [&](const MailboxInfo& mailbox) {
    return mailbox.name.compare(0, prefix.size(), prefix) == 0;
  });
}

// Parents of `name` that match a pattern although the name itself does not: LSUB "%" shows them
// as \Noselect when only a child is subscribed (RFC 3501 section 6.3.9).
void AddParents(const Pattern& pattern, const std::string& name,
                std::map<std::string, bool>& found) {
  for (std::size_t at = name.rfind(kHierarchySeparator); at != std::string::npos && at > 0;
       at = name.rfind(kHierarchySeparator, at - 1)) {
    const std::string parent = name.substr(0, at);
    if (pattern.Matches(parent)) found.emplace(parent, false);
  }
}

void Lsub(const MailboxList& list, const Pattern& pattern, std::string& out) {
  std::map<std::string, bool> found;  // name -> subscribed itself
  std::vector<std::string> subscribed = list.other_subscriptions;
  for (const MailboxInfo& mailbox : list.mailboxes) {
    if (mailbox.subscribed) subscribed.push_back(mailbox.name);
  }
  for (const std::string& name : subscribed) {
    if (pattern.Matches(name)) {
      found[name] = true;
    } else {
      AddParents(pattern, name, found);
    }
  }
  for (const auto& [name, itself] : found) {
    imap::ListEntry entry;
    if (!itself) entry.attributes.push_back("\\Noselect");
    entry.name = name;
    imap::AppendList("LSUB", entry, out);
  }
}

void List(const imap::ListCommand& command, const MailboxList& list, const Pattern& pattern,
          std::string& out) {
  for (const MailboxInfo& mailbox : list.mailboxes) {
    if (!pattern.Matches(mailbox.name)) continue;
    if (command.select_subscribed && !mailbox.subscribed) continue;
    if (command.select_special_use && mailbox.special_use.empty()) continue;
    imap::ListEntry entry;
    entry.name = mailbox.name;
    if (command.return_subscribed && mailbox.subscribed) entry.attributes.push_back("\\Subscribed");
    entry.attributes.push_back(HasChildren(list.mailboxes, mailbox.name) ? "\\HasChildren"
                                                                         : "\\HasNoChildren");
    if (!mailbox.special_use.empty()) entry.attributes.push_back(mailbox.special_use);
    imap::AppendList("LIST", entry, out);
  }
  if (!command.select_subscribed || command.select_special_use) return;
  for (const std::string& name : list.other_subscriptions) {
    if (!pattern.Matches(name)) continue;
    imap::ListEntry entry;
    entry.name = name;
    entry.attributes = {"\\Subscribed", "\\NonExistent"};
    imap::AppendList("LIST", entry, out);
  }
}

}  // namespace

Task<ImapReply> HandleList(ImapState& state, imap::ListCommand command) {
  const char* done = command.lsub ? "Lsub completed" : "List completed";
  // An empty pattern asks for the separator and the root of the reference.
  if (command.patterns.size() == 1 && command.patterns.front().empty()) {
    imap::ListEntry root;
    root.attributes.push_back("\\Noselect");
    imap::AppendList(command.lsub ? "LSUB" : "LIST", root, state.out);
    co_return ImapReply::Ok(done);
  }
  command.patterns.erase(std::remove(command.patterns.begin(), command.patterns.end(), ""),
                         command.patterns.end());
  absl::StatusOr<MailboxList> list =
      co_await state.store().ListMailboxes(state.tenant(), state.account());
  if (!list.ok()) co_return ImapReply::Failed(list.status());
  const Pattern pattern(command);
  if (command.lsub) {
    Lsub(*list, pattern, state.out);
  } else {
    List(command, *list, pattern, state.out);
  }
  co_return ImapReply::Ok(done);
}

}  // namespace posthorn::gateway
