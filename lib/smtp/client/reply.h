#ifndef POSTHORN_LIB_SMTP_CLIENT_REPLY_H_
#define POSTHORN_LIB_SMTP_CLIENT_REPLY_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::smtp::client {

// A server's reply (RFC 5321 section 4.2).
struct Reply {
  int code = 0;          // 200 to 599
  std::string enhanced;  // "5.1.1" (RFC 2034), when the server gave one of the code's class
  // Text of each line without code, enhanced code and line end; control octets are '?'.
  std::vector<std::string> lines;

  bool positive() const { return code / 100 == 2; }
  bool intermediate() const { return code / 100 == 3; }
  bool temporary() const { return code / 100 == 4; }
  bool permanent() const { return code / 100 == 5; }
  // All lines on one, for logs and DSNs.
  std::string text() const;
};

// Cuts the server's bytes into replies. Bounded: a line may have kMaxLine octets, a reply kMaxLines
// lines of which kMaxText octets are kept. Also takes lines that end in a bare LF.
class ReplyParser {
 public:
  static constexpr std::size_t kMaxLine = 4096;  // 512 in RFC 5321 4.5.3.1.5; some send more
  static constexpr std::size_t kMaxLines = 512;
  static constexpr std::size_t kMaxText = 16 * 1024;

  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next complete reply; nullopt: needs more bytes. An error (kSyntax) is final: what the
  // server says is no SMTP, or over a limit.
  absl::StatusOr<std::optional<Reply>> Next();
  // Octets fed that no reply has used.
  bool HasUnread() const { return position_ < buffer_.size() || !partial_.lines.empty(); }
  void Clear();

 private:
  absl::Status AddLine(std::string_view line, bool& last);

  std::string buffer_;
  std::size_t position_ = 0;
  Reply partial_;
  std::size_t text_octets_ = 0;
};

}  // namespace posthorn::smtp::client

#endif  // POSTHORN_LIB_SMTP_CLIENT_REPLY_H_
