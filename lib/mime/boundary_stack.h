#ifndef POSTHORN_LIB_MIME_BOUNDARY_STACK_H_
#define POSTHORN_LIB_MIME_BOUNDARY_STACK_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace posthorn::mime {

// The boundaries of the multiparts that are open, innermost last.
class BoundaryStack {
 public:
  struct Match {
    std::size_t level = 0;  // as given to Push
    bool end = false;       // "--boundary--"
  };

  bool empty() const { return open_.empty(); }
  void Push(std::size_t level, std::string_view boundary) {
    open_.push_back({level, std::string(boundary)});
  }
  // Forgets the boundaries of `level` and of what lies in it.
  void PopFrom(std::size_t level) {
    while (!open_.empty() && open_.back().level >= level) open_.pop_back();
  }

  // `line` without its line end, starting with "--". As RFC 2046 section 5.1.2 asks, a line counts
  // if it begins with a boundary, and the innermost multipart goes first; a longer match or an
  // exact one wins over it, so that boundaries that begin alike are told apart.
  bool Find(std::string_view line, Match* match) const;

 private:
  struct Boundary {
    std::size_t level;
    std::string text;
  };
  std::vector<Boundary> open_;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_BOUNDARY_STACK_H_
