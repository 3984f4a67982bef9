#ifndef POSTHORN_LIB_DSN_DSN_H_
#define POSTHORN_LIB_DSN_DSN_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace posthorn::dsn {

enum class Kind {
  kFailure,  // delivery has ended without success for these recipients
  kDelay,    // not yet delivered, still being tried
};

struct Recipient {
  std::string final_address;     // where we tried to deliver
  std::string original_address;  // as the sender gave it; empty: the same
  std::string status;            // RFC 3463, "5.1.1"; empty: "5.0.0" or "4.0.0" by kind
  std::string diagnostic;        // a server's words with its code, or ours
  bool diagnostic_is_smtp = false;  // `diagnostic` is an SMTP reply
  std::string remote_host;       // that gave the reply; empty: none did
};

struct Notification {
  Kind kind = Kind::kFailure;
  std::string reporting_host;  // this platform's host name
  std::string to;              // the reverse-path of the message, not null
  std::string message_id;      // of this notification, without angle brackets and host
  absl::Time now;
  absl::Time arrival;          // of the message
  absl::Time retry_until;      // kDelay: when we give up
  std::vector<Recipient> recipients;  // at least one
  // Header section of the message (and what follows: the body is left out).
  std::string_view original_headers;
};

// Octets of the original's header section that a notification repeats at most.
inline constexpr std::size_t kMaxHeaders = 32 * 1024;

struct Composed {
  std::string message;        // RFC 5322, lines end in CRLF; no bare CR or LF, no NUL
  bool body_is_8bit = false;  // some octet is over 127
};

// Composes a delivery status notification (RFC 3464): multipart/report with a text for people, a
// message/delivery-status for programs and the header section of the original (RFC 3461 RET=HDRS).
// It is to be sent with a null reverse-path, and never in answer to one. Its size is bounded:
// kMaxHeaders of headers, 100 recipients, 1 KiB of diagnostic text each.
Composed Compose(const Notification& notification);

}  // namespace posthorn::dsn

#endif  // POSTHORN_LIB_DSN_DSN_H_
