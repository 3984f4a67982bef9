#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_ENVELOPE_OPTIONS_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_ENVELOPE_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "lib/smtp/command.h"

namespace posthorn::gateway {

// By when a message is to be delivered (RFC 2852), as a point in time.
struct DeliverBy {
  DeliverBy() = default;
  DeliverBy(absl::Time by_in, bool notify_in, bool trace_in)
      : by(by_in), notify(notify_in), trace(trace_in) {}
  absl::Time by;
  bool notify = false;  // tell the sender when it is late and go on; else return the message
  bool trace = false;
};

// What the sender asked for with parameters of MAIL; EnvelopeOptions in queue.proto.
struct EnvelopeOptions {
  EnvelopeOptions() = default;
  // True if only the queue can do what is asked: the message goes there from the start, also where
  // all recipients are mailboxes of this platform.
  bool NeedsQueue() const {
    return require_tls || hold_until.has_value() || deliver_by.has_value() ||
           !verp_delimiters.empty();
  }
  std::string envelope_id;  // printable ASCII, at most 100 octets
  smtp::DsnReturn ret = smtp::DsnReturn::kUnspecified;
  bool require_tls = false;
  std::optional<absl::Time> hold_until;
  int priority = 0;  // -9 to 9
  std::optional<DeliverBy> deliver_by;
  bool smtputf8 = false;        // the envelope or the header needs it
  bool body_is_binary = false;  // BODY=BINARYMIME
  std::string verp_delimiters;  // each recipient has a reverse-path of its own; empty: not so
};

// What the sender asked for with parameters of RCPT; RecipientOptions in queue.proto.
struct RecipientOptions {
  RecipientOptions() = default;
  // A message whose success is to be told goes to the queue: that is who writes DSNs.
  bool NeedsQueue() const { return notify.success; }
  std::string original_recipient;  // "rfc822;bob@example.net"; empty: not given
  smtp::DsnNotify notify;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_ENVELOPE_OPTIONS_H_
