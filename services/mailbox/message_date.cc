#include "services/mailbox/message_date.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"

// date = [ day-of-week [","] ] day month year ...    with comments in parentheses anywhere

namespace posthorn::mailbox {
namespace {

std::string WithoutComments(std::string_view text) {
  std::string result;
  int depth = 0;
  for (const char c : text) {
    if (c == '(') {
      ++depth;
    } else if (c == ')' && depth > 0) {
      --depth;
      result += ' ';
    } else if (depth == 0) {
      result += c == ',' || c == '-' ? ' ' : c;
    }
  }
  return result;
}

int MonthOf(absl::string_view word) {
  static constexpr const char* kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
  const std::string lower = absl::AsciiStrToLower(word.substr(0, 3));
  for (int i = 0; i < 12; ++i) {
    if (lower == kMonths[i]) return i + 1;
  }
  return 0;
}

}  // namespace

std::optional<std::int64_t> SentDay(std::string_view date) {
  const std::string text = WithoutComments(date);
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  for (std::size_t i = 0; i + 2 < words.size() && i < 2; ++i) {
    int day = 0;
    int year = 0;
    const int month = MonthOf(words[i + 1]);
    if (!absl::SimpleAtoi(words[i], &day) || month == 0 || !absl::SimpleAtoi(words[i + 2], &year)) {
      continue;
    }
    // RFC 5322 section 4.3: years of two or three digits.
    if (words[i + 2].size() <= 2) {
      year += year < 50 ? 2000 : 1900;
    } else if (words[i + 2].size() == 3) {
      year += 1900;
    }
    if (day < 1 || day > 31 || year < 1 || year > 9999) return std::nullopt;
    const absl::CivilDay civil(year, month, day);
    if (civil.day() != day) return std::nullopt;
    return civil - absl::CivilDay(1970, 1, 1);
  }
  return std::nullopt;
}

}  // namespace posthorn::mailbox
