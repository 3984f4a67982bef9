#include "lib/mime/charset.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_err.h>

#include <algorithm>
#include <array>

#include "lib/mime/ascii.h"

namespace posthorn::mime {
namespace {

constexpr char kReplacement[] = "\xef\xbf\xbd";

// ICU takes names of any length; longer ones than this are no charset's.
constexpr std::size_t kMaxName = 60;

UConverter* OpenConverter(std::string_view charset) {
  if (charset.empty() || charset.size() > kMaxName) return nullptr;
  // A comma starts converter options, and control characters end the name.
  for (const char c : charset) {
    if (c == ',' || static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f) {
      return nullptr;
    }
  }
  const std::string name(charset);
  UErrorCode error = U_ZERO_ERROR;
  UConverter* converter = ucnv_open(name.c_str(), &error);
  if (U_FAILURE(error)) return nullptr;
  return converter;
}

bool IsUtf8Name(std::string_view charset) {
  return EqualsIgnoreCase(charset, "utf-8") || EqualsIgnoreCase(charset, "utf8") ||
         EqualsIgnoreCase(charset, "us-ascii") || EqualsIgnoreCase(charset, "ascii");
}

}  // namespace

struct CharsetDecoder::Impl {
  explicit Impl(std::string_view charset) {
    // US-ASCII is read as UTF-8, of which it is a part: mail that says nothing is often UTF-8.
    from = IsUtf8Name(charset) ? nullptr : OpenConverter(charset);
    if (from == nullptr) from = OpenConverter("UTF-8");
    to = OpenConverter("UTF-8");
  }
  ~Impl() {
    if (from != nullptr) ucnv_close(from);
    if (to != nullptr) ucnv_close(to);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  UConverter* from;
  UConverter* to;
  std::array<UChar, 1024> pivot;
  UChar* pivot_source = pivot.data();
  UChar* pivot_target = pivot.data();
  bool started = false;
};

CharsetDecoder::CharsetDecoder(std::string_view charset)
    : impl_(std::make_unique<Impl>(charset)) {}
CharsetDecoder::~CharsetDecoder() = default;
CharsetDecoder::CharsetDecoder(CharsetDecoder&&) noexcept = default;
CharsetDecoder& CharsetDecoder::operator=(CharsetDecoder&&) noexcept = default;

void CharsetDecoder::Decode(std::string_view bytes, bool last, std::string* utf8) {
  const char* source = bytes.data();
  const char* const end = source + bytes.size();
  std::array<char, 4096> buffer;
  for (;;) {
    char* target = buffer.data();
    UErrorCode error = U_ZERO_ERROR;
    ucnv_convertEx(impl_->to, impl_->from, &target, buffer.data() + buffer.size(), &source, end,
                   impl_->pivot.data(), &impl_->pivot_source, &impl_->pivot_target,
                   impl_->pivot.data() + impl_->pivot.size(), !impl_->started, last, &error);
    impl_->started = true;
    utf8->append(buffer.data(), target - buffer.data());
    if (error == U_BUFFER_OVERFLOW_ERROR) continue;
    if (U_FAILURE(error) && source < end) {  // cannot be converted at all: go on after it
      utf8->append(kReplacement);
      ++source;
      continue;
    }
    return;
  }
}

bool IsKnownCharset(std::string_view charset) {
  if (IsUtf8Name(charset)) return true;
  UConverter* converter = OpenConverter(charset);
  if (converter == nullptr) return false;
  ucnv_close(converter);
  return true;
}

std::optional<std::string> ToUtf8(std::string_view charset, std::string_view bytes) {
  if (!IsKnownCharset(charset)) return std::nullopt;
  CharsetDecoder decoder(charset);
  std::string utf8;
  utf8.reserve(bytes.size() + bytes.size() / 4);
  decoder.Decode(bytes, true, &utf8);
  return utf8;
}

}  // namespace posthorn::mime
