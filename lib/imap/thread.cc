// RFC 5256 section 3. Nothing here recurses: threads may be as deep as there are messages.
#include "lib/imap/thread.h"

#include <algorithm>
#include <utility>

#include "lib/imap/format/format.h"
#include "lib/mime/base_subject.h"
#include "lib/mime/text_search.h"

namespace posthorn::imap {
namespace {

// Of one message; more are a header gone wrong.
constexpr std::size_t kMaxReferences = 200;
// A chain of messages longer than this is cut, so that looking for cycles stays cheap.
constexpr int kMaxDepth = 1000;

// The ids in "<a@b> <c@d>", without the brackets.
std::vector<std::string_view> IdsIn(std::string_view value, std::size_t limit) {
  std::vector<std::string_view> ids;
  std::size_t at = 0;
  while (ids.size() < limit) {
    at = value.find('<', at);
    if (at == std::string_view::npos) break;
    const std::size_t end = value.find_first_of("<> \t", ++at);
    if (end == std::string_view::npos) break;
    if (value[end] == '>' && end > at) ids.push_back(value.substr(at, end - at));
    at = end;
  }
  return ids;
}

}  // namespace

Threader::Index Threader::NewNode() {
  nodes_.emplace_back();
  octets_ += sizeof(Node);
  return static_cast<Index>(nodes_.size() - 1);
}

Threader::Index Threader::NodeOf(std::string_view id) {
  const auto [it, added] = ids_.try_emplace(std::string(id), kNone);
  if (added) {
    it->second = NewNode();
    octets_ += id.size() + sizeof(std::string) + sizeof(Index);
  }
  return it->second;
}

Threader::Index Threader::InternSubject(std::string folded) {
  if (folded.empty()) return 0;
  octets_ += folded.size();
  const auto next = static_cast<Index>(subjects_.size() + 1);
  return subjects_.try_emplace(std::move(folded), next).first->second;
}

bool Threader::Reaches(Index from, Index node) const {
  for (int depth = 0; from != kNone; from = nodes_[from].parent) {
    if (from == node || ++depth > kMaxDepth) return true;
  }
  return false;
}

void Threader::Link(Index parent, Index child) {
  // Whoever refers in circles on purpose is not followed for ever.
  if (refused_links_ > 1000 + items_.size()) return;
  if (Reaches(parent, child)) {
    ++refused_links_;
  } else {
    nodes_[child].parent = parent;
  }
}

void Threader::Add(const Message& message) {
  Item item;
  item.number = message.number;
  item.sent = message.sent;
  mime::BaseSubject subject = mime::BaseSubjectOf(message.subject);
  item.subject = InternSubject(mime::FoldForSearch(subject.text));
  item.reply = subject.reply_or_forward;

  // Step 1: a second message of the same id is one of its own.
  const std::vector<std::string_view> own = IdsIn(message.message_id, 1);
  Index node = own.empty() ? NewNode() : NodeOf(own.front());
  if (!IsDummy(node)) node = NewNode();
  nodes_[node].item = static_cast<Index>(items_.size());
  items_.push_back(item);
  octets_ += sizeof(Item);

  std::vector<std::string_view> references = IdsIn(message.references, kMaxReferences);
  if (references.empty()) references = IdsIn(message.in_reply_to, 1);
  Index last = kNone;
  for (const std::string_view id : references) {
    const Index reference = NodeOf(id);
    if (last != kNone && nodes_[reference].parent == kNone) Link(last, reference);
    last = reference;
  }
  // The message itself knows best, even if others suggested another parent.
  nodes_[node].parent = kNone;
  if (last != kNone) Link(last, node);
}

// Steps 2 and 3: the children of the root; dummies stay only there, with two children or more.
std::vector<Threader::Index> Threader::Prune() {
  std::vector<Index> order;  // parents before children
  order.reserve(nodes_.size());
  for (Index node = 0; node < nodes_.size(); ++node) {
    if (nodes_[node].parent == kNone) {
      order.push_back(node);
    } else {
      nodes_[nodes_[node].parent].children.push_back(node);
    }
  }
  const std::size_t root_count = order.size();
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::vector<Index>& children = nodes_[order[i]].children;
    order.insert(order.end(), children.begin(), children.end());
  }
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    Node& node = nodes_[*it];
    if (std::none_of(node.children.begin(), node.children.end(),
                     [this](Index child) { return IsDummy(child); })) {
      continue;
    }
    std::vector<Index> kept;
    for (const Index child : node.children) {
      if (!IsDummy(child)) {
        kept.push_back(child);
      } else if (kept.empty()) {
        kept = std::move(nodes_[child].children);
      } else {
        kept.insert(kept.end(), nodes_[child].children.begin(), nodes_[child].children.end());
      }
    }
    node.children = std::move(kept);
  }
  std::vector<Index> roots;
  for (std::size_t i = 0; i < root_count; ++i) {
    const Index root = order[i];
    if (!IsDummy(root) || nodes_[root].children.size() > 1) {
      roots.push_back(root);
    } else if (!nodes_[root].children.empty()) {
      roots.push_back(nodes_[root].children.front());
    }
  }
  return roots;
}

const Threader::Item& Threader::ItemOf(Index node) const {
  if (IsDummy(node)) node = nodes_[node].children.front();
  return items_[nodes_[node].item];
}

void Threader::SortSiblings(std::vector<Index>& siblings) const {
  std::sort(siblings.begin(), siblings.end(), [this](Index a, Index b) {
    const Item& first = ItemOf(a);
    const Item& second = ItemOf(b);
    return first.sent != second.sent ? first.sent < second.sent : first.number < second.number;
  });
}

// Step 5.
void Threader::MergeBySubject(std::vector<Index>& roots) {
  absl::flat_hash_map<Index, Index> table;
  for (const Index root : roots) {
    const Item& item = ItemOf(root);
    if (item.subject == 0) continue;
    const auto [it, added] = table.try_emplace(item.subject, root);
    if (added || IsDummy(it->second)) continue;
    if (IsDummy(root) || (ItemOf(it->second).reply && !item.reply)) it->second = root;
  }
  std::vector<Index> merged;
  absl::flat_hash_map<Index, std::size_t> place;  // in `merged`
  for (const Index root : roots) {
    const Item& item = ItemOf(root);
    const auto it = table.find(item.subject);
    if (it == table.end() || it->second == root) {
      place[root] = merged.size();
      merged.push_back(root);
      continue;
    }
    const Index other = it->second;
    if (IsDummy(other) && IsDummy(root)) {
      std::vector<Index> children = std::move(nodes_[root].children);
      nodes_[other].children.insert(nodes_[other].children.end(), children.begin(), children.end());
    } else if (IsDummy(other) || (item.reply && !ItemOf(other).reply)) {
      nodes_[other].children.push_back(root);
    } else {
      // Neither answers the other: siblings below a dummy in the other's place, which comes before:
      // only one that all before it answer stands later.
      const Index dummy = NewNode();
      nodes_[dummy].children = {other, root};
      it->second = dummy;
      merged[place[other]] = dummy;
    }
  }
  roots = std::move(merged);
}

std::string Threader::References() {
  std::vector<Index> roots = Prune();
  for (const Index root : roots) {
    if (IsDummy(root)) SortSiblings(nodes_[root].children);
  }
  SortSiblings(roots);
  MergeBySubject(roots);
  for (Node& node : nodes_) SortSiblings(node.children);
  SortSiblings(roots);
  return Format(roots);
}

std::string Threader::OrderedSubject() {
  std::vector<Item> items = items_;
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.sent != b.sent ? a.sent < b.sent : a.number < b.number;
  });
  absl::flat_hash_map<Index, std::size_t> group_of;
  std::vector<std::vector<std::uint32_t>> groups;
  for (const Item& item : items) {
    const auto [it, added] = group_of.try_emplace(item.subject, groups.size());
    if (added) groups.emplace_back();
    groups[it->second].push_back(item.number);
  }
  std::string out;
  for (const std::vector<std::uint32_t>& group : groups) {
    out += '(';
    AppendNumber(group.front(), out);
    if (group.size() > 1) out += ' ';
    for (std::size_t i = 1; i < group.size(); ++i) {
      if (group.size() > 2) out += '(';
      AppendNumber(group[i], out);
      if (group.size() > 2) out += ')';
    }
    out += ')';
  }
  return out;
}

// thread-list    = "(" (thread-members / thread-nested) ")"
// thread-members = nz-number *(SP nz-number) [SP thread-nested]      thread-nested = 2*thread-list
std::string Threader::Format(const std::vector<Index>& roots) const {
  struct Open {
    const std::vector<Index>* children;
    std::size_t next;
  };
  std::string out;
  std::vector<Open> open;
  // A chain as far as it does not branch.
  const auto begin = [&](Index node) {
    out += '(';
    bool first = true;
    for (;;) {
      if (!IsDummy(node)) {
        if (!first) out += ' ';
        AppendNumber(items_[nodes_[node].item].number, out);
        first = false;
      }
      const std::vector<Index>& children = nodes_[node].children;
      if (children.empty()) {
        out += ')';
        return;
      }
      if (children.size() > 1) {
        if (!first) out += ' ';
        open.push_back(Open{&children, 0});
        return;
      }
      node = children.front();
    }
  };
  for (const Index root : roots) {
    begin(root);
    while (!open.empty()) {
      Open& top = open.back();
      if (top.next == top.children->size()) {
        out += ')';
        open.pop_back();
      } else {
        begin((*top.children)[top.next++]);
      }
    }
  }
  return out;
}

}  // namespace posthorn::imap
