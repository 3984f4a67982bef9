#ifndef POSTHORN_LIB_MIME_BASE_SUBJECT_H_
#define POSTHORN_LIB_MIME_BASE_SUBJECT_H_

#include <string>
#include <string_view>

namespace posthorn::mime {

// A subject without what replying and forwarding add to it (RFC 5256 section 2.1).
struct BaseSubject {
  std::string text;               // UTF-8; not folded
  bool reply_or_forward = false;  // something that says so was removed
};

// `value`: unfolded, as received (encoded words are decoded here).
BaseSubject BaseSubjectOf(std::string_view value);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_BASE_SUBJECT_H_
