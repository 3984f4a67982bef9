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
  // Only where the sender asked for them (RFC 3461 NOTIFY=SUCCESS):
  kDelivered,  // in the mailbox
  kRelayed,    // taken by a server that sends no notifications
  kExpanded,   // sent on to the several addresses of an alias or list
};

struct Recipient {
  std::string final_address;     // where we tried to deliver
  std::string original_address;  // as the sender gave it; empty: the same
  // ORCPT with its type, decoded: "rfc822;bob@example.net" (RFC 3461 section 4.2); empty: none.
  std::string original_recipient;
  std::string status;            // RFC 3463, "5.1.1"; empty: "5.0.0", "4.0.0" or "2.0.0" by kind
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
  std::string envelope_id;     // ENVID, decoded; empty: none
  absl::Time retry_until;      // kDelay: when we give up
  std::vector<Recipient> recipients;  // at least one
  // The message: its header section is repeated, and what follows is left out, unless `full`.
  std::string_view original;
  // RET=FULL (RFC 3461 section 4.3): `original` is the whole message, and goes back whole if it is
  // fit to (see IsReturnable).
  bool full = false;
};

// Octets of the original's header section that a notification repeats at most.
inline constexpr std::size_t kMaxHeaders = 32 * 1024;
// Octets of the largest message that goes back whole.
inline constexpr std::size_t kMaxFull = 100 * 1024;

// Whether a message can stand in a part of a notification as it is: of at most kMaxFull octets,
// lines of at most 998 that end in CRLF, no NUL.
bool IsReturnable(std::string_view message);

struct Composed {
  std::string message;        // RFC 5322, lines end in CRLF; no bare CR or LF, no NUL
  bool body_is_8bit = false;  // some octet is over 127
};

// Composes a delivery status notification (RFC 3464): multipart/report with a text for people, a
// message/delivery-status for programs, and the header section of the original or all of it.
// It is to be sent with a null reverse-path, and never in answer to one. Its size is bounded:
// kMaxHeaders of headers or kMaxFull, 100 recipients, 1 KiB of diagnostic text each.
Composed Compose(const Notification& notification);

}  // namespace posthorn::dsn

#endif  // POSTHORN_LIB_DSN_DSN_H_
