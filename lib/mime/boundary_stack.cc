#include "lib/mime/boundary_stack.h"

namespace posthorn::mime {

bool BoundaryStack::Find(std::string_view line, Match* match) const {
  line.remove_prefix(2);
  const bool trailing_dashes = line.size() >= 2 && line.substr(line.size() - 2) == "--";
  const Boundary* best = nullptr;
  for (auto it = open_.rbegin(); it != open_.rend(); ++it) {
    const std::string& text = it->text;
    if (line.substr(0, text.size()) != text) continue;
    if (best != nullptr && text.size() <= best->text.size()) continue;
    best = &*it;
    if (text.size() == line.size() || (trailing_dashes && text.size() == line.size() - 2)) break;
  }
  if (best == nullptr) return false;
  match->level = best->level;
  match->end = line.substr(best->text.size(), 2) == "--";
  return true;
}

}  // namespace posthorn::mime
