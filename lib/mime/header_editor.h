#ifndef POSTHORN_LIB_MIME_HEADER_EDITOR_H_
#define POSTHORN_LIB_MIME_HEADER_EDITOR_H_

#include <string>
#include <string_view>
#include <vector>

#include "lib/mime/header_walker.h"

namespace posthorn::mime {

// What to change in a header.
struct HeaderEdits {
  bool empty() const { return removed.empty() && added.empty(); }
  std::vector<std::string> removed;  // names of fields, in lower case; every one of them goes
  std::string added;                 // whole fields, each with its CRLF
  // The message begins with its text: what is added needs a blank line behind it.
  bool no_header = false;
};

// Changes the header of a message that passes through, in pieces of any size; every octet that is
// not named in the edits stays as it is, and in its place. What is added stands below the fields
// that are there, before the blank line or the first line that is no field. Not thread-safe; used for one message.
class HeaderEditor final : private HeaderWalker::Visitor {
 public:
  explicit HeaderEditor(HeaderEdits edits) : edits_(std::move(edits)) {}
  HeaderEditor(const HeaderEditor&) = delete;
  HeaderEditor& operator=(const HeaderEditor&) = delete;

  // Appends what is known of the new message to `out`.
  void Feed(std::string_view bytes, std::string& out);
  // The message is complete.
  void Finish(std::string& out);

 private:
  void OnField(std::string_view name) override;
  void OnOctets(std::string_view bytes) override;
  void Add();

  HeaderEdits edits_;
  HeaderWalker walker_{*this};
  std::string* out_ = nullptr;  // during a call
  bool removing_ = false;
  bool no_field_ = false;   // the octets to come begin a line that is none
  bool first_ = true;       // no line yet
  bool added_ = false;
  bool passed_ = false;     // the header is behind
  char last_ = '\n';        // of what was written
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_HEADER_EDITOR_H_
