// LIST (RFC 3501 section 6.3.8, RFC 5258, RFC 5819) and LSUB (6.3.9). CHILDREN (RFC 3348) and
// SPECIAL-USE (RFC 6154) attributes are always there.
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

// One name of the tree, there or not.
struct Node {
  const MailboxInfo* info = nullptr;
  bool subscribed = false;
  bool has_children = false;   // mailboxes below it
  bool child_matches = false;  // RECURSIVEMATCH: something below it is selected and not listed
};
using Tree = std::map<std::string, Node>;

template <typename F>
void ForEachParent(const std::string& name, F f) {
  for (std::size_t at = name.rfind(kHierarchySeparator); at != std::string::npos && at > 0;
       at = name.rfind(kHierarchySeparator, at - 1)) {
    f(name.substr(0, at));
  }
}

Tree TreeOf(const MailboxList& list) {
  Tree tree;
  for (const MailboxInfo& mailbox : list.mailboxes) {
    Node& node = tree[mailbox.name];
    node.info = &mailbox;
    node.subscribed = mailbox.subscribed;
    ForEachParent(mailbox.name,
                  [&](const std::string& parent) { tree[parent].has_children = true; });
  }
  for (const std::string& name : list.other_subscriptions) tree[name].subscribed = true;
  return tree;
}

// Parents of `name` that match a pattern although the name itself does not: LSUB "%" shows them
// as \Noselect when only a child is subscribed (RFC 3501 section 6.3.9).
void AddParents(const Pattern& pattern, const std::string& name,
                std::map<std::string, bool>& found) {
  ForEachParent(name, [&](const std::string& parent) {
    if (pattern.Matches(parent)) found.emplace(parent, false);
  });
}

void Lsub(const MailboxList& list, const Pattern& pattern, bool utf8, std::string& out) {
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
    imap::AppendList("LSUB", entry, utf8, out);
  }
}

// What the selection options ask for (RFC 5258 section 3.1).
bool IsSelected(const imap::ListCommand& command, const Node& node) {
  if (command.select_subscribed && !node.subscribed) return false;
  if (command.select_special_use && (node.info == nullptr || node.info->special_use.empty())) {
    return false;
  }
  // A name that is not there shows where mailboxes lie below it, or to whom it is subscribed.
  return node.info != nullptr || node.has_children || command.select_subscribed;
}

imap::ListEntry EntryOf(const imap::ListCommand& command, const std::string& name,
                        const Node& node) {
  imap::ListEntry entry;
  entry.name = name;
  if (command.return_subscribed && node.subscribed) entry.attributes.push_back("\\Subscribed");
  // RFC 5258 section 3: \NonExistent implies \Noselect, which older clients know.
  if (node.info == nullptr) {
    entry.attributes.push_back(command.extended ? "\\NonExistent" : "\\Noselect");
  }
  if (node.has_children) {
    entry.attributes.push_back("\\HasChildren");
  } else if (node.info != nullptr) {
    entry.attributes.push_back("\\HasNoChildren");
  }
  if (node.info != nullptr && !node.info->special_use.empty()) {
    entry.attributes.push_back(node.info->special_use);
  }
  if (node.child_matches) {
    if (command.select_subscribed) entry.child_info.push_back("SUBSCRIBED");
    if (command.select_special_use) entry.child_info.push_back("SPECIAL-USE");
  }
  return entry;
}

void List(ImapState& state, const imap::ListCommand& command, const MailboxList& list,
          const Pattern& pattern) {
  Tree tree = TreeOf(list);
  if (command.recursive_match) {
    std::vector<std::string> parents;
    for (const auto& [name, node] : tree) {
      // RFC 5258 section 3.5: CHILDINFO tells of what is not listed itself.
      if (!IsSelected(command, node) || pattern.Matches(name)) continue;
      ForEachParent(name, [&](std::string parent) { parents.push_back(std::move(parent)); });
    }
    for (const std::string& parent : parents) tree[parent].child_matches = true;
  }
  for (const auto& [name, node] : tree) {
    if (!IsSelected(command, node) && !node.child_matches) continue;
    if (!pattern.Matches(name)) continue;
    imap::AppendList("LIST", EntryOf(command, name, node), state.utf8_names(), state.out);
    // RFC 5819 section 2: not of what cannot be selected, nor of what only its children brought in.
    if (command.return_status.empty() || node.info == nullptr || !IsSelected(command, node)) {
      continue;
    }
    imap::AppendStatus(name, command.return_status, StatusValuesOf(state, *node.info),
                       state.utf8_names(), state.out);
  }
}

}  // namespace

Task<ImapReply> HandleList(ImapState& state, imap::ListCommand command) {
  const char* done = command.lsub ? "Lsub completed" : "List completed";
  // An empty pattern asks for the separator and the root of the reference.
  if (command.patterns.size() == 1 && command.patterns.front().empty()) {
    imap::ListEntry root;
    root.attributes.push_back("\\Noselect");
    imap::AppendList(command.lsub ? "LSUB" : "LIST", root, state.utf8_names(), state.out);
    co_return ImapReply::Ok(done);
  }
  command.patterns.erase(std::remove(command.patterns.begin(), command.patterns.end(), ""),
                         command.patterns.end());
  absl::StatusOr<MailboxList> list = co_await state.store().ListMailboxes(
      state.tenant(), state.account(), CountsDeleted(command.return_status));
  if (!list.ok()) co_return ImapReply::Failed(list.status());
  EnableCondstoreFor(command.return_status, state);
  const Pattern pattern(command);
  if (command.lsub) {
    Lsub(*list, pattern, state.utf8_names(), state.out);
  } else {
    List(state, command, *list, pattern);
  }
  co_return ImapReply::Ok(done);
}

}  // namespace posthorn::gateway
