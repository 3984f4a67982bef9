#include "lib/mime/case_fold.h"

#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/unistr.h>
#include <unicode/ustring.h>

#include <cstdint>
#include <vector>

#include "lib/mime/charset.h"

namespace posthorn::mime {

std::optional<std::string> LowerCaseNfc(std::string_view utf8) {
  UErrorCode error = U_ZERO_ERROR;
  std::vector<UChar> buffer(utf8.size() + 1);  // never more units than octets
  int32_t length = 0;
  u_strFromUTF8(buffer.data(), static_cast<int32_t>(buffer.size()), &length, utf8.data(),
                static_cast<int32_t>(utf8.size()), &error);
  if (U_FAILURE(error)) return std::nullopt;
  const icu::Normalizer2* const nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return std::nullopt;
  icu::UnicodeString text(buffer.data(), length);
  text = nfc->normalize(text.toLower(icu::Locale::getRoot()), error);
  if (U_FAILURE(error)) return std::nullopt;
  std::string lower;
  text.toUTF8String(lower);
  return lower;
}

std::string FoldCompatible(std::string_view utf8) {
  std::string out;
  const std::string whole = ToUtf8("utf-8", utf8).value_or("");
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* const folder = icu::Normalizer2::getNFKCCasefoldInstance(error);
  if (U_FAILURE(error)) return whole;
  icu::StringByteSink<std::string> sink(&out);
  folder->normalizeUTF8(0, icu::StringPiece(whole.data(), static_cast<int32_t>(whole.size())), sink,
                        nullptr, error);
  return out;
}

}  // namespace posthorn::mime
