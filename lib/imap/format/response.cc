#include "lib/base/failure.h"
#include "lib/imap/format/format.h"

namespace posthorn::imap {

void AppendStatusResponse(std::string_view tag, Condition condition, std::string_view code,
                          std::string_view text, std::string& out) {
  constexpr std::string_view kNames[] = {" OK ", " NO ", " BAD ", " BYE ", " PREAUTH "};
  out += tag.empty() ? std::string_view("*") : tag;
  out += kNames[static_cast<int>(condition)];
  if (!code.empty()) {
    out += '[';
    out += code;
    out += "] ";
  }
  // resp-text must not be empty.
  if (text.empty()) text = "Done";
  for (const char c : text) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  out += "\r\n";
}

void AppendContinuation(std::string_view text, std::string& out) {
  out += "+ ";
  out += text;
  out += "\r\n";
}

void AppendCount(std::uint32_t number, std::string_view what, std::string& out) {
  out += "* ";
  AppendNumber(number, out);
  out += ' ';
  out += what;
  out += "\r\n";
}

void AppendVanished(bool earlier, const std::vector<SequenceRange>& uids, std::string& out) {
  if (uids.empty()) return;
  out += earlier ? "* VANISHED (EARLIER) " : "* VANISHED ";
  for (std::size_t i = 0; i < uids.size(); ++i) {
    if (i > 0) out += ',';
    AppendRange(uids[i], out);
  }
  out += "\r\n";
}

bool IsBad(const absl::Status& status) {
  const Failure failure = FailureOf(status);
  return failure == Failure::kSyntax || failure == Failure::kUnknownCommand ||
         failure == Failure::kBadSequence;
}

void AppendFailure(std::string_view tag, const absl::Status& status, std::string& out) {
  const Failure failure = FailureOf(status);
  std::string_view code = RowOf(failure).imap_code;
  // BAD says enough by itself; RFC 3501 section 7.1: BADCHARSET lists what is supported.
  if (IsBad(status)) code = {};
  if (failure == Failure::kBadCharset) code = "BADCHARSET (US-ASCII UTF-8)";
  AppendStatusResponse(tag, IsBad(status) ? Condition::kBad : Condition::kNo, code,
                       PeerText(status), out);
}

}  // namespace posthorn::imap
