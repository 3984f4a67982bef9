#ifndef POSTHORN_LIB_MIME_CHARSET_H_
#define POSTHORN_LIB_MIME_CHARSET_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthorn::mime {

// Does ToUtf8 know this charset? (IMAP SEARCH CHARSET)
bool IsKnownCharset(std::string_view charset);

// Converts to UTF-8; broken sequences become U+FFFD. nullopt: the charset is unknown.
std::optional<std::string> ToUtf8(std::string_view charset, std::string_view bytes);

// The same for bytes that arrive in pieces. An unknown charset reads as US-ASCII, with other
// octets as U+FFFD unless they form UTF-8.
class CharsetDecoder {
 public:
  explicit CharsetDecoder(std::string_view charset);
  ~CharsetDecoder();
  CharsetDecoder(CharsetDecoder&&) noexcept;
  CharsetDecoder& operator=(CharsetDecoder&&) noexcept;

  // Appends the UTF-8 of `bytes` to `*utf8`; `last` ends the text.
  void Decode(std::string_view bytes, bool last, std::string* utf8);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_CHARSET_H_
