#include "lib/imap/date_time.h"

#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/time/civil_time.h"

namespace posthorn::imap {
namespace {

constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Exactly `digits` digits at the front of `text`, removed from it; -1 if there are none.
int TakeDigits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return -1;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(text[i]))) return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool TakeChar(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// "-Feb-1994" after the day.
std::optional<absl::CivilDay> TakeMonthAndYear(std::string_view& text, int day) {
  if (!TakeChar(text, '-') || text.size() < 3) return std::nullopt;
  int month = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string_view name = text.substr(0, 3);
    if (absl::EqualsIgnoreCase(absl::string_view(name.data(), name.size()),
                               absl::string_view(kMonths[i].data(), 3))) {
      month = i + 1;
    }
  }
  text.remove_prefix(3);
  if (month == 0 || !TakeChar(text, '-')) return std::nullopt;
  const int year = TakeDigits(text, 4);
  if (year < 0) return std::nullopt;
  const absl::CivilDay date(year, month, day);
  // CivilDay normalises 31-Feb to 3-Mar: such a day does not exist.
  if (day < 1 || date.month() != month || date.day() != day) return std::nullopt;
  return date;
}

}  // namespace

std::optional<std::int32_t> ParseDate(std::string_view text) {
  const std::size_t digits = text.size() > 1 && text[1] != '-' ? 2 : 1;
  const int day = TakeDigits(text, digits);
  const std::optional<absl::CivilDay> date = TakeMonthAndYear(text, day);
  if (!date || !text.empty()) return std::nullopt;
  return static_cast<std::int32_t>(*date - absl::CivilDay(1970, 1, 1));
}

std::optional<absl::Time> ParseDateTime(std::string_view text) {
  const bool padded = TakeChar(text, ' ');
  // Some clients send one digit without the space.
  const std::size_t digits = padded || (text.size() > 1 && text[1] == '-') ? 1 : 2;
  const int day = TakeDigits(text, digits);
  const std::optional<absl::CivilDay> date = TakeMonthAndYear(text, day);
  if (!date || !TakeChar(text, ' ')) return std::nullopt;
  const int hour = TakeDigits(text, 2);
  if (!TakeChar(text, ':')) return std::nullopt;
  const int minute = TakeDigits(text, 2);
  if (!TakeChar(text, ':')) return std::nullopt;
  const int second = TakeDigits(text, 2);
  if (!TakeChar(text, ' ') || text.empty()) return std::nullopt;
  const char sign = text.front();
  text.remove_prefix(1);
  const int zone_hours = TakeDigits(text, 2);
  const int zone_minutes = TakeDigits(text, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 ||
      zone_hours < 0 || zone_minutes < 0 || zone_minutes > 59 || (sign != '+' && sign != '-') ||
      !text.empty()) {
    return std::nullopt;
  }
  const absl::Time local = absl::FromCivil(
      absl::CivilSecond(date->year(), date->month(), date->day(), hour, minute, second),
      absl::UTCTimeZone());
  const absl::Duration offset = absl::Hours(zone_hours) + absl::Minutes(zone_minutes);
  return sign == '+' ? local - offset : local + offset;
}

std::string FormatDateTime(absl::Time time) {
  const absl::CivilSecond civil = absl::ToCivilSecond(time, absl::UTCTimeZone());
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%02d-%s-%04d %02d:%02d:%02d +0000", civil.day(),
                kMonths[civil.month() - 1].data(), static_cast<int>(civil.year()), civil.hour(),
                civil.minute(), civil.second());
  return buffer;
}

std::int32_t DayOf(absl::Time time) {
  return static_cast<std::int32_t>(absl::ToCivilDay(time, absl::UTCTimeZone()) -
                                   absl::CivilDay(1970, 1, 1));
}

}  // namespace posthorn::imap
