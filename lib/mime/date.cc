// date-time = [ day-of-week [","] ] day month year [hour ":" minute [":" second]] [zone]
// zone      = ("+" / "-") 4DIGIT / "UT" / "GMT" / "EST" / ...    with comments anywhere
#include "lib/mime/date.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"

namespace posthorn::mime {
namespace {

// Comments and what only separates become spaces.
std::string Separated(std::string_view text) {
  std::string result;
  int depth = 0;
  for (const char c : text) {
    if (c == '(') {
      ++depth;
    } else if (c == ')' && depth > 0) {
      --depth;
      result += ' ';
    } else if (depth == 0) {
      result += c == ',' ? ' ' : c;
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

// "14 Nov 2023" at `words`, or "14-Nov-2023" in one word. Words used; 0: no day there.
std::size_t TakeDay(const std::vector<absl::string_view>& words, std::size_t at,
                    absl::CivilDay& result) {
  std::vector<absl::string_view> parts = absl::StrSplit(words[at], '-');
  std::size_t used = 1;
  if (parts.size() != 3) {
    if (at + 2 >= words.size()) return 0;
    parts = {words[at], words[at + 1], words[at + 2]};
    used = 3;
  }
  int day = 0;
  int year = 0;
  const int month = MonthOf(parts[1]);
  if (!absl::SimpleAtoi(parts[0], &day) || month == 0 || !absl::SimpleAtoi(parts[2], &year)) {
    return 0;
  }
  // RFC 5322 section 4.3: years of two or three digits.
  if (parts[2].size() <= 2) {
    year += year < 50 ? 2000 : 1900;
  } else if (parts[2].size() == 3) {
    year += 1900;
  }
  if (day < 1 || day > 31 || year < 1 || year > 9999) return 0;
  result = absl::CivilDay(year, month, day);
  return result.day() == day ? used : 0;
}

absl::Duration TimeOfDay(absl::string_view word) {
  const std::vector<absl::string_view> parts = absl::StrSplit(word, ':');
  int numbers[3] = {0, 0, 0};
  if (parts.size() < 2 || parts.size() > 3) return absl::ZeroDuration();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const int limit = i == 0 ? 23 : i == 1 ? 59 : 60;
    if (!absl::SimpleAtoi(parts[i], &numbers[i]) || numbers[i] < 0 || numbers[i] > limit) {
      return absl::ZeroDuration();
    }
  }
  return absl::Hours(numbers[0]) + absl::Minutes(numbers[1]) + absl::Seconds(numbers[2]);
}

absl::Duration Zone(absl::string_view word) {
  if (word.size() == 5 && (word[0] == '+' || word[0] == '-')) {
    int digits = 0;
    if (!absl::SimpleAtoi(word.substr(1), &digits) || digits < 0 || digits % 100 > 59) {
      return absl::ZeroDuration();
    }
    const absl::Duration offset = absl::Hours(digits / 100) + absl::Minutes(digits % 100);
    return word[0] == '-' ? -offset : offset;
  }
  static constexpr struct {
    const char* name;
    int hours;
  } kZones[] = {{"edt", -4}, {"est", -5}, {"cdt", -5}, {"cst", -6},
                {"mdt", -6}, {"mst", -7}, {"pdt", -7}, {"pst", -8}};
  const std::string lower = absl::AsciiStrToLower(word);
  for (const auto& zone : kZones) {
    if (lower == zone.name) return absl::Hours(zone.hours);
  }
  return absl::ZeroDuration();
}

}  // namespace

std::optional<absl::Time> ParseDate(std::string_view value) {
  const std::string text = Separated(value);
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  // The first word may be the day of the week.
  for (std::size_t i = 0; i < words.size() && i < 2; ++i) {
    absl::CivilDay day;
    const std::size_t used = TakeDay(words, i, day);
    if (used == 0) continue;
    absl::Time time = absl::FromCivil(day, absl::UTCTimeZone());
    const std::size_t next = i + used;
    if (next < words.size()) time += TimeOfDay(words[next]);
    if (next + 1 < words.size()) time -= Zone(words[next + 1]);
    return time;
  }
  return std::nullopt;
}

}  // namespace posthorn::mime
