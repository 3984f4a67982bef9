#include "apps/posthornctl/mail/mbox.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "apps/posthornctl/mail/maildir.h"

namespace posthorn::ctl {
namespace {

constexpr std::string_view kFrom = "From ";
constexpr char kOurs[] = "X-Posthorn:";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string MboxHead(const MboxMeta& meta) {
  const absl::Time received = absl::FromUnixMicros(meta.received_micros);
  std::string x_status;
  if ((meta.flags & kAnswered) != 0) x_status += 'A';
  if ((meta.flags & kFlagged) != 0) x_status += 'F';
  if ((meta.flags & kDraft) != 0) x_status += 'T';
  if ((meta.flags & kDeleted) != 0) x_status += 'D';
  std::string more = absl::StrCat("Status: ", (meta.flags & kSeen) != 0 ? "RO" : "O", "\n");
  int lines = 2;
  if (!x_status.empty()) {
    absl::StrAppend(&more, "X-Status: ", x_status, "\n");
    ++lines;
  }
  if (!meta.keywords.empty()) {
    absl::StrAppend(&more, "X-Keywords: ", absl::StrJoin(meta.keywords, " "), "\n");
    ++lines;
  }
  return absl::StrCat("From posthorn@localhost ",
                      absl::FormatTime("%a %b %e %H:%M:%S %E4Y", received, absl::UTCTimeZone()),
                      "\n", kOurs, " lines=", lines, " eol=", meta.crlf ? "crlf" : "raw",
                      " octets=", meta.octets, " received=", meta.received_micros, "\n", more);
}

bool IsFromLine(std::string_view line) { return line.starts_with(kFrom); }

std::optional<std::int64_t> TimeOfFromLine(std::string_view line) {
  if (!IsFromLine(line)) return std::nullopt;
  line.remove_prefix(kFrom.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  absl::string_view rest = absl::StripAsciiWhitespace(View(line.substr(space)));
  absl::Time time;
  std::string error;
  for (const char* format :
       {"%a %b %d %H:%M:%S %E4Y", "%a %b %d %H:%M:%S %E4Y %z", "%a %b %d %H:%M:%S %z %E4Y"}) {
    if (absl::ParseTime(format, rest, &time, &error)) return absl::ToUnixSeconds(time);
  }
  return std::nullopt;
}

void MboxQuoter::Put(char c, std::string& out) {
  out += c;
  last_ = c;
  at_start_ = c == '\n';
}

std::string MboxQuoter::Feed(std::string_view piece) {
  std::string out;
  out.reserve(piece.size() + 16);
  for (const char c : piece) {
    if (crlf_ && c == '\r') continue;
    if (at_start_ && match_ == 0 && c == '>') {
      out += c;
      last_ = c;
      continue;
    }
    if (at_start_ && c == kFrom[match_]) {
      if (++match_ < kFrom.size()) continue;
      match_ = 0;
      out += '>';
      for (const char f : kFrom) Put(f, out);
      continue;
    }
    for (const char f : kFrom.substr(0, std::exchange(match_, 0))) Put(f, out);
    Put(c, out);
  }
  return out;
}

std::string MboxQuoter::Finish() {
  std::string out;
  for (const char f : kFrom.substr(0, std::exchange(match_, 0))) Put(f, out);
  if (last_ != '\n') out += '\n';
  return out + '\n';
}

void LineEnds::Feed(std::string_view piece) {
  for (const char c : piece) {
    mixed_ = mixed_ || (c == '\n') != (last_ == '\r');
    last_ = c;
  }
}

void MboxReader::HeaderLine() {
  absl::string_view line = absl::StripTrailingAsciiWhitespace(line_);
  if (first_ && absl::StartsWith(line, kOurs)) {
    ours_ = true;
    for (const absl::string_view field : absl::StrSplit(line, ' ')) {
      const std::pair<absl::string_view, absl::string_view> parts =
          absl::StrSplit(field, absl::MaxSplits('=', 1));
      if (parts.first == "lines" && !absl::SimpleAtoi(parts.second, &skip_)) skip_ = 1;
      if (parts.first == "octets") (void)absl::SimpleAtoi(parts.second, &meta_.octets);
      if (parts.first == "received") (void)absl::SimpleAtoi(parts.second, &meta_.received_micros);
      if (parts.first == "eol") meta_.crlf = parts.second == "crlf";
    }
  }
  const auto value = [&line](absl::string_view name) -> std::optional<absl::string_view> {
    if (!absl::StartsWithIgnoreCase(line, name)) return std::nullopt;
    return absl::StripAsciiWhitespace(line.substr(name.size()));
  };
  if (ours_ && skip_ <= 0) return;
  if (const auto status = value("Status:")) {
    if (absl::StrContains(*status, 'R')) meta_.flags |= kSeen;
  } else if (const auto x_status = value("X-Status:")) {
    if (absl::StrContains(*x_status, 'A')) meta_.flags |= kAnswered;
    if (absl::StrContains(*x_status, 'F')) meta_.flags |= kFlagged;
    if (absl::StrContains(*x_status, 'T')) meta_.flags |= kDraft;
    if (absl::StrContains(*x_status, 'D')) meta_.flags |= kDeleted;
  } else if (const auto keywords = value("X-Keywords:")) {
    for (const absl::string_view word : absl::StrSplit(*keywords, ' ', absl::SkipEmpty())) {
      meta_.keywords.emplace_back(word);
    }
  }
}

void MboxReader::Emit(std::string_view text, std::string& out) {
  if (ours_) text = text.substr(0, std::min<std::uint64_t>(text.size(), meta_.octets - emitted_));
  emitted_ += text.size();
  out += text;
}

void MboxReader::Put(char c, std::string& out) {
  if (!ours_ && c == '\r') {
    if (std::exchange(cr_, true)) Emit("\r", out);
    return;
  }
  // Of a foreign file a line may end either way.
  if (std::exchange(cr_, false) && c != '\n') {
    Emit("\r", out);
    last_ = '\r';
  }
  const char before = std::exchange(last_, c);
  const bool crlf = !ours_ || meta_.crlf;
  if (!ours_) {
    // An empty line is the message's only if something follows.
    if (std::exchange(blank_, false)) Emit("\r\n", out);
    if (c == '\n' && before == '\n') {
      blank_ = true;
      return;
    }
  }
  if (crlf && c == '\n') {
    Emit("\r\n", out);
  } else {
    Emit(std::string_view(&c, 1), out);
  }
}

void MboxReader::Flush(std::string& out) {
  for (std::size_t i = std::exchange(quotes_, 0); i > 0; --i) Put('>', out);
  for (const char f : kFrom.substr(0, std::exchange(match_, 0))) Put(f, out);
}

void MboxReader::Unquote(char c, std::string& out) {
  if (at_start_ && match_ == 0 && c == '>') {
    ++quotes_;
    return;
  }
  if (at_start_ && c == kFrom[match_]) {
    if (++match_ < kFrom.size()) return;
    if (quotes_ > 0) --quotes_;
    at_start_ = false;
    Flush(out);
    return;
  }
  Flush(out);
  Put(c, out);
  at_start_ = c == '\n';
}

std::string MboxReader::Feed(std::string_view piece) {
  std::string out;
  out.reserve(piece.size() + piece.size() / 32);
  for (const char c : piece) {
    const bool skipped = skip_ > 0;
    if (in_header_) {
      if (line_.size() < kMaxLine) line_ += c;
      if (c == '\n') {
        const bool was_first = first_;
        const bool empty = line_ == "\n" || line_ == "\r\n";
        HeaderLine();
        first_ = false;
        line_.clear();
        // The head that an export wrote was held back as a line, so that it is seen first.
        if (was_first && ours_) {
          held_first_.clear();
          --skip_;
          continue;
        }
        if (skipped) {
          --skip_;
          continue;
        }
        if (was_first) {
          held_first_ += c;
          for (const char h : std::exchange(held_first_, std::string())) Unquote(h, out);
          in_header_ = !empty;
          continue;
        }
        in_header_ = !empty;
      } else if (skipped) {
        continue;
      } else if (first_) {
        held_first_ += c;
        if (held_first_.size() < kMaxLine) continue;
        first_ = false;  // too long to be ours
        for (const char h : std::exchange(held_first_, std::string())) Unquote(h, out);
        continue;
      }
    }
    Unquote(c, out);
  }
  return out;
}

std::string MboxReader::Finish() {
  std::string out;
  for (const char h : std::exchange(held_first_, std::string())) Unquote(h, out);
  Flush(out);
  if (std::exchange(cr_, false)) Emit("\r", out);
  return out;
}

std::string MboxPathOf(std::string_view mailbox) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string path;
  bool start = true;
  for (const char c : mailbox) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '%' || octet < 0x20 || octet == 0x7f || (start && c == '.')) {
      path += {'%', kHex[octet >> 4], kHex[octet & 15]};
    } else {
      path += c;
    }
    start = c == '/';
  }
  return path;
}

std::string MailboxOfMboxPath(std::string_view path) {
  std::string mailbox;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const int high = i + 2 < path.size() ? HexDigit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? HexDigit(path[i + 2]) : -1;
    if (path[i] == '%' && high >= 0 && low >= 0) {
      mailbox += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      mailbox += path[i];
    }
  }
  return mailbox;
}

}  // namespace posthorn::ctl
