#ifndef POSTHORN_LIB_MIME_HEADER_FIELDS_H_
#define POSTHORN_LIB_MIME_HEADER_FIELDS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace posthorn::mime {

// One field of a header block; the views point into the block.
struct HeaderField {
  std::string_view name;   // without trailing spaces; empty for a line that has no colon
  std::string_view value;  // after the colon, with folds, without the last line end
  std::size_t offset = 0;  // of the field in the block
  std::size_t size = 0;    // of the whole field with its line ends
};

// Goes through the fields of a header block in order: CRLF and LF line ends, folded lines, any
// bytes. Stops at the blank line or the end. The block must outlive the reader.
//   HeaderReader reader(block);
//   while (std::optional<HeaderField> field = reader.Next()) ...
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view block) : block_(block) {}
  std::optional<HeaderField> Next();
  // After Next has returned nullopt: octets up to and with the blank line (all without one).
  std::size_t end() const { return position_; }

 private:
  std::string_view block_;
  std::size_t position_ = 0;
  bool done_ = false;
};

// Case-insensitive (ASCII).
bool NameIs(const HeaderField& field, std::string_view name);

// Without line ends (white space at folds stays) and without white space around it.
std::string Unfold(std::string_view value);

// Unfolded value of the first field of that name.
std::optional<std::string> FindHeader(std::string_view block, std::string_view name);

std::size_t CountHeader(std::string_view block, std::string_view name);

// Octets of the header at the start of `bytes`, blank line included; nullopt: no blank line yet.
std::optional<std::size_t> HeaderSize(std::string_view bytes);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_HEADER_FIELDS_H_
