#ifndef POSTHORN_LIB_MIME_ASCII_H_
#define POSTHORN_LIB_MIME_ASCII_H_

#include <cstddef>
#include <string_view>

namespace posthorn::mime {

inline char AsciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline char AsciiUpper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (AsciiLower(a[i]) != AsciiLower(b[i])) return false;
  }
  return true;
}

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_ASCII_H_
