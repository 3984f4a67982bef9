#include "apps/posthornctl/input.h"

#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace posthorn::ctl {
namespace {

void StripLineEnd(std::string& line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
}

// Echo off while it lives.
class Silence {
 public:
  Silence() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    active_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~Silence() {
    if (active_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  termios before_{};
  bool active_ = false;
};

absl::StatusOr<std::string> Ask(const std::string& prompt) {
  std::cerr << prompt << ": " << std::flush;
  std::string line;
  bool good = false;
  {
    const Silence silence;
    good = static_cast<bool>(std::getline(std::cin, line));
  }
  std::cerr << "\n";
  if (!good) return absl::CancelledError("no password was given");
  return line;
}

// One record may span lines, when a quoted field holds a line end.
enum class Record { kFields, kEnd, kUnclosedQuote, kTextAfterQuote };

Record ReadRecord(std::istream& stream, int& line, std::vector<std::string>& fields) {
  fields.assign(1, "");
  bool any = false;
  bool quoted = false;
  bool closed = false;
  for (int c = stream.get(); c != std::istream::traits_type::eof(); c = stream.get()) {
    any = true;
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        fields.back() += static_cast<char>(c);
      } else if (stream.peek() == '"') {
        fields.back() += static_cast<char>(stream.get());
      } else {
        quoted = false;
        closed = true;
      }
    } else if (c == '\n') {
      return Record::kFields;
    } else if (c == '\r' && stream.peek() == '\n') {
      continue;
    } else if (c == ',') {
      fields.emplace_back();
      closed = false;
    } else if (c == '"' && fields.back().empty() && !closed) {
      quoted = true;
    } else if (closed) {
      return Record::kTextAfterQuote;
    } else {
      fields.back() += static_cast<char>(c);
    }
  }
  if (quoted) return Record::kUnclosedQuote;
  return any ? Record::kFields : Record::kEnd;
}

}  // namespace

absl::StatusOr<std::string> ReadPassword(const std::string& what, bool twice) {
  std::string password;
  if (isatty(STDIN_FILENO)) {
    absl::StatusOr<std::string> first = Ask(absl::StrCat("Password for ", what));
    if (!first.ok()) return first.status();
    if (twice) {
      const absl::StatusOr<std::string> second = Ask("Again");
      if (!second.ok()) return second.status();
      if (*first != *second) return absl::InvalidArgumentError("the two passwords differ");
    }
    password = *std::move(first);
  } else {
    std::getline(std::cin, password);
    StripLineEnd(password);
  }
  if (password.empty()) return absl::InvalidArgumentError("an empty password on standard input");
  return password;
}

absl::StatusOr<absl::Time> ParseTime(const std::string& text, absl::Time now) {
  absl::Time time;
  std::string error;
  for (const char* format : {"%E4Y-%m-%d", "%E4Y-%m-%d %H:%M", "%E4Y-%m-%d %H:%M:%S",
                             "%E4Y-%m-%d%ET%H:%M:%E*S%Ez"}) {
    if (absl::ParseTime(format, text, &time, &error)) return time;
  }
  std::int64_t number = 0;
  if (text.size() > 1 && absl::SimpleAtoi(text.substr(0, text.size() - 1), &number) && number >= 0) {
    switch (text.back()) {
      case 's': return now - absl::Seconds(number);
      case 'm': return now - absl::Minutes(number);
      case 'h': return now - absl::Hours(number);
      case 'd': return now - absl::Hours(24) * number;
      default: break;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("not a time: ", text, " (2024-05-01, \"2024-05-01 12:00\", 3h, 2d)"));
}

absl::StatusOr<std::vector<CsvAccount>> ReadAccounts(std::istream& stream) {
  std::vector<CsvAccount> accounts;
  std::vector<std::string> fields;
  int next_line = 1;
  while (true) {
    const int line = next_line;
    const Record record = ReadRecord(stream, next_line, fields);
    if (record == Record::kEnd) return accounts;
    if (record == Record::kUnclosedQuote) {
      return absl::InvalidArgumentError(absl::StrCat("line ", line, ": a quote is not closed"));
    }
    if (record == Record::kTextAfterQuote) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line, ": text after a closing quote"));
    }
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (line == 1 && fields.size() >= 2 && fields[0] == "address" && fields[1] == "password") {
      continue;
    }
    if (fields.size() == 2) fields.emplace_back();
    // A password or a hash, not both.
    if (fields.size() != 3 || fields[0].empty() || fields[1].empty() == fields[2].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line, ": must be address,password or address,,password_hash"));
    }
    CsvAccount account;
    account.address = fields[0];
    account.password = fields[1];
    account.password_hash = fields[2];
    account.line = line;
    accounts.push_back(std::move(account));
  }
}

}  // namespace posthorn::ctl
