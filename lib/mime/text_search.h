#ifndef POSTHORN_LIB_MIME_TEXT_SEARCH_H_
#define POSTHORN_LIB_MIME_TEXT_SEARCH_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/mime/header_fields.h"
#include "lib/mime/structure.h"

namespace posthorn::mime {

// The form in which texts are compared and sorted, that of i;unicode-casemap (RFC 5051): each code
// point by its titlecase, decomposed. So "müller" finds "MÜLLER", and "muller" does not find it, but
// "mu" does. Equal texts have equal octets, and the order is that of the octets. Broken UTF-8 becomes
// U+FFFD.
std::string FoldForSearch(std::string_view utf8);

// Does the decoded value (RFC 2047 words, unfolded) of a header field contain `folded_needle`?
// `folded_needle` comes from FoldForSearch; empty: true.
bool HeaderValueContains(std::string_view raw_value, std::string_view folded_needle);

// Does any field `name` in the header block contain it? Empty needle: does such a field exist?
bool HeaderContains(std::string_view header_block, std::string_view name,
                    std::string_view folded_needle);

class MessageSearchImpl;

// Looks for substrings in the text of one message (RFC 3501 section 6.4.4), reading it once in
// pieces: text parts decoded from their transfer encoding and charset, and the headers of nested
// parts and messages. Other parts' contents (images) are not searched. Memory is bounded. The
// structure must be the message's own and outlive the search.
class MessageSearch {
 public:
  struct Needle {
    Needle(std::string folded_in, bool in_header_in)
        : folded(std::move(folded_in)), in_header(in_header_in) {}
    std::string folded;
    bool in_header;  // TEXT: also in the message's own header; BODY: not there
  };

  MessageSearch(const Structure& structure, std::vector<Needle> needles);
  ~MessageSearch();

  // Header fields that stand before the structure's offset 0 (a stored message's prefix), whole.
  void FeedPrefix(std::string_view header_block);
  // The next octets of the message's body (offset 0 of the structure first).
  void Feed(std::string_view bytes);
  // No octets follow.
  void Finish();
  // All needles are found: the rest need not be read.
  bool complete() const;
  // By needle. Valid at any time; final after Finish.
  const std::vector<bool>& found() const;

 private:
  std::unique_ptr<MessageSearchImpl> impl_;
};

// Gives out the text that MessageSearch looks at, for an index: what it finds in a message is within
// one such text, or, in the message's own header, begins in the name of a field and ends in its value.
// Texts are folded as FoldForSearch does.
class MessageText {
 public:
  enum class Kind {
    kPart,        // of the body, or of the header of a part
    kFieldName,   // of the message's own header
    kFieldValue,  // decoded
  };
  struct Piece {
    Kind kind = Kind::kPart;
    std::string_view folded;
    bool begins = true;                  // it is the first of another text
    const HeaderField* field = nullptr;  // of a name or value; as it stands in the header
  };
  using Sink = std::function<void(const Piece& piece)>;

  MessageText(const Structure& structure, Sink sink);
  ~MessageText();

  // As those of MessageSearch.
  void FeedPrefix(std::string_view header_block);
  void Feed(std::string_view bytes);
  void Finish();

 private:
  std::unique_ptr<MessageSearchImpl> impl_;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_TEXT_SEARCH_H_
