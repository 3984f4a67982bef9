#ifndef POSTHORN_LIB_MIME_HEADER_WALKER_H_
#define POSTHORN_LIB_MIME_HEADER_WALKER_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace posthorn::mime {

// Cuts the header of a message into fields while it arrives, in pieces of any size and with any
// octets in it. Holds back the beginning of a line until it is known what it is, at most
// kMaxNameOctets. Lines end with LF; the header ends at the blank line. A line that is neither a
// field nor the continuation of one does not end it: what many readers still take for a header must
// not be missed here.
class HeaderWalker {
 public:
  // A name is decided by what was seen so far if its colon is farther away.
  static constexpr std::size_t kMaxNameOctets = 1024;

  class Visitor {
   public:
    virtual ~Visitor() = default;
    // `name`: without white space before the colon; empty for a line that is no field. Valid
    // during the call.
    virtual void OnField(std::string_view name) = 0;
    // Octets of the field that OnField named, in order: name, colon, value, folds and line ends.
    virtual void OnOctets(std::string_view bytes) = 0;
  };

  // `visitor` outlives it.
  explicit HeaderWalker(Visitor& visitor) : visitor_(visitor) {}

  // Returns how many octets of `bytes` were taken: all of them while the header lasts. At its end
  // done() becomes true and held_back() is the beginning of the blank line; neither the blank line
  // nor what follows is reported.
  std::size_t Feed(std::string_view bytes);
  // The message ends here. What is held back is reported.
  void Finish();

  bool done() const { return done_; }
  // What Feed took and has not reported: part of the blank line once done().
  const std::string& held_back() const { return line_; }

 private:
  void Decide(std::string_view name);

  Visitor& visitor_;
  std::string line_;      // the beginning of a line that is not yet decided
  bool in_line_ = false;  // decided: the rest of the line belongs to the field
  bool any_ = false;      // a line was reported before
  bool done_ = false;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_HEADER_WALKER_H_
