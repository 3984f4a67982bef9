// Grammar (RFC 2047 section 2): "=?" charset ["*" language] "?" ("B" / "Q") "?" text "?="

#include "lib/mime/encoded_word.h"

#include <optional>
#include <utility>

#include "lib/mime/ascii.h"
#include "lib/mime/charset.h"
#include "lib/mime/transfer_decoder.h"

namespace posthorn::mime {
namespace {

// RFC 2047 allows 75 octets a word; real ones are longer.
constexpr std::size_t kMaxWord = 2048;

struct Word {
  std::string_view charset;
  std::string bytes;
  std::size_t size = 0;  // octets of the header value
};

std::string DecodeQ(std::string_view text) {
  std::string spaced(text);
  for (char& c : spaced) {
    if (c == '_') c = ' ';
  }
  TransferDecoder decoder("quoted-printable");
  std::string out;
  // Blanks at the end are meant: nothing here is padding.
  for (std::size_t i = 0; i < spaced.size(); ++i) {
    if (spaced[i] == ' ') {
      decoder.Finish(&out);
      out.push_back(' ');
    } else {
      decoder.Decode(std::string_view(spaced).substr(i, 1), &out);
    }
  }
  decoder.Finish(&out);
  return out;
}

std::string DecodeB(std::string_view text) {
  TransferDecoder decoder("base64");
  std::string out;
  decoder.Decode(text, &out);
  return out;
}

// The encoded word that `text` starts with.
std::optional<Word> TakeWord(std::string_view text) {
  if (text.substr(0, 2) != "=?") return std::nullopt;
  const std::string_view window = text.substr(0, kMaxWord);
  const std::size_t charset_end = window.find('?', 2);
  if (charset_end == std::string_view::npos || charset_end + 2 >= window.size() ||
      window[charset_end + 2] != '?') {
    return std::nullopt;
  }
  const char encoding = AsciiLower(window[charset_end + 1]);
  const std::size_t start = charset_end + 3;
  const std::size_t end = window.find("?=", start);
  if (end == std::string_view::npos || (encoding != 'b' && encoding != 'q')) return std::nullopt;
  Word word;
  word.charset = window.substr(2, charset_end - 2);
  // RFC 2231 section 5.
  word.charset = word.charset.substr(0, word.charset.find('*'));
  const std::string_view content = window.substr(start, end - start);
  if (content.find('?') != std::string_view::npos) return std::nullopt;
  word.bytes = encoding == 'b' ? DecodeB(content) : DecodeQ(content);
  word.size = end + 2;
  return word;
}

}  // namespace

std::string DecodeHeaderText(std::string_view value) {
  std::string out;
  std::string plain;       // not yet decoded text outside of words
  std::string charset;     // of the words that wait
  std::string bytes;       // theirs
  bool words = false;
  const auto flush_words = [&] {
    if (!words) return;
    out += ToUtf8(charset, bytes).value_or("");
    bytes.clear();
    words = false;
  };
  const auto flush_plain = [&] {
    if (plain.empty()) return;
    out += ToUtf8("utf-8", plain).value_or("");
    plain.clear();
  };
  for (std::size_t i = 0; i < value.size();) {
    if (value[i] == '=') {
      std::optional<Word> word = TakeWord(value.substr(i));
      if (word && IsKnownCharset(word->charset)) {
        const bool only_blanks = plain.find_first_not_of(" \t\r\n") == std::string::npos;
        if (words && only_blanks) {
          plain.clear();
          if (!EqualsIgnoreCase(charset, word->charset)) flush_words();
        } else {
          flush_words();
          flush_plain();
        }
        charset = std::string(word->charset);
        bytes += word->bytes;
        words = true;
        i += word->size;
        continue;
      }
    }
    plain.push_back(value[i++]);
    if (words && !IsBlank(plain.back()) && plain.back() != '\r' && plain.back() != '\n') {
      flush_words();
    }
  }
  flush_words();
  flush_plain();
  return out;
}

}  // namespace posthorn::mime
