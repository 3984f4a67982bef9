// RFC 5321 section 4.2:
//   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
#include "lib/smtp/reply.h"

#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

constexpr std::size_t kMaxReplyLine = 512;  // with CRLF

}  // namespace

Reply ReplyFor(const absl::Status& status) {
  const FailureRow& row = RowOf(FailureOf(status));
  return Reply(row.smtp_code, row.enhanced, std::string(PeerText(status)));
}

Reply ThenClose(Reply reply) {
  reply.closes = true;
  return reply;
}

void AppendReply(const Reply& reply, std::string& out) {
  std::string_view rest = reply.text;
  const std::string code = std::to_string(reply.code);
  for (;;) {
    const std::size_t newline = rest.find('\n');
    const bool last = newline == std::string_view::npos;
    const std::string_view line = rest.substr(0, newline);
    const std::size_t begin = out.size();
    out += code;
    out += last ? ' ' : '-';
    if (!reply.enhanced.empty()) {
      out += reply.enhanced;
      out += ' ';
    }
    for (const char c : line) {
      if (out.size() - begin >= kMaxReplyLine - 2) break;
      const bool octet = static_cast<unsigned char>(c) >= 128;
      out += (c >= 32 && c < 127) || (octet && reply.utf8) ? c : '?';
    }
    out += "\r\n";
    if (last) return;
    rest.remove_prefix(newline + 1);
  }
}

}  // namespace posthorn::smtp
