// The shape of a notification (RFC 3462, RFC 3464 section 2):
//   multipart/report; report-type=delivery-status
//     text/plain                what happened and what to do
//     message/delivery-status   per-message fields, blank line, per-recipient fields ...
//     text/rfc822-headers       of the message returned, or
//     message/rfc822            the message (message/global if its header is UTF-8, RFC 6533)

#include "lib/dsn/dsn.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/dsn/text.h"

namespace posthorn::dsn {
namespace {

constexpr std::size_t kMaxRecipients = 100;
constexpr std::size_t kMaxDiagnostic = 1024;
constexpr std::size_t kMaxAddress = 900;
constexpr std::size_t kMaxEnvelopeId = 100;  // RFC 3461 section 4.4
constexpr std::size_t kMaxLine = 998;        // RFC 5322 section 2.1.1

struct Hint {
  absl::string_view status;  // a prefix after the class: "1.1"
  absl::string_view what;
  absl::string_view advice;
};

// What the detail of RFC 3463 means for a sender. The first match counts.
constexpr Hint kHints[] = {
    {"1.1", "There is no such mailbox.", "Check the address for typing errors."},
    {"1.2", "The domain of the address does not exist.", "Check the part after the @."},
    {"1.3", "The address is malformed.", "Check the address for typing errors."},
    {"1.10", "The domain does not accept mail.", "Check the part after the @."},
    {"2.1", "The mailbox is disabled.", "Reach the recipient in another way."},
    {"2.2", "The mailbox is full.", "Reach the recipient in another way, or try again later."},
    {"3.4", "The message is too large for the recipient's system.",
     "Send a smaller message, for instance a link in place of an attachment."},
    {"2.3", "The message is too large for the mailbox.",
     "Send a smaller message, for instance a link in place of an attachment."},
    {"7.30", "The sender asked for protection on the whole way, which the recipient's mail server "
             "does not offer.",
     "Send it without requiring TLS, or reach the recipient in another way."},
    {"6.7", "The recipient's system takes no mail with international addresses.",
     "Use an address without accents or other special letters."},
    {"6.3", "The recipient's system does not take messages in this format.",
     "Send the message in another format."},
    {"4.7", "It could not be delivered in time.",
     "Try again later, or reach the recipient in another way."},
    {"4.6", "The message was going round in a loop.",
     "Tell the administrator of the recipient's domain."},
    {"4.4", "The domain of the address has no mail server.", "Check the part after the @."},
    {"4.", "The recipient's mail server can't be reached.",
     "Try again later, or reach the recipient in another way."},
    {"7.", "The recipient's system refused the message by its policy.",
     "The text below may say why; the recipient's administrator can tell more."},
    {"", "The recipient's system did not take the message.",
     "The text below may say why; the recipient's administrator can tell more."},
};

std::string StatusOf(Kind kind, const Recipient& recipient) {
  if (recipient.status.size() >= 5) return OneLine(recipient.status, 16);
  switch (kind) {
    case Kind::kFailure: return "5.0.0";
    case Kind::kDelay: return "4.0.0";
    case Kind::kDelivered:
    case Kind::kRelayed:
    case Kind::kExpanded: break;
  }
  return "2.0.0";
}

const char* ActionOf(Kind kind) {
  switch (kind) {
    case Kind::kFailure: return "failed";
    case Kind::kDelay: return "delayed";
    case Kind::kDelivered: return "delivered";
    case Kind::kRelayed: return "relayed";
    case Kind::kExpanded: return "expanded";
  }
  return "failed";
}

const char* SubjectOf(Kind kind) {
  switch (kind) {
    case Kind::kFailure: return "Undelivered mail returned to sender";
    case Kind::kDelay: return "Delayed mail (still being tried)";
    case Kind::kDelivered: return "Your mail has been delivered";
    case Kind::kRelayed:
    case Kind::kExpanded: return "Your mail has been passed on";
  }
  return "";
}

std::string Opening(const Notification& n) {
  switch (n.kind) {
    case Kind::kFailure:
      return "Your message could not be delivered to the recipients below. It will not\r\n"
             "be tried again.\r\n";
    case Kind::kDelay:
      return absl::StrCat(
          "Your message has not been delivered yet to the recipients below. You need\r\n"
          "not do anything: it will be tried again until\r\n",
          DateTime(n.retry_until), ", and you will hear if it fails.\r\n");
    case Kind::kDelivered:
      return "You asked to be told: your message is in the mailboxes of the recipients\r\n"
             "below. You need not do anything.\r\n";
    case Kind::kRelayed:
      return "You asked to be told: your message has been taken by the mail servers of the\r\n"
             "recipients below. From here on they answer for it, and you may hear no more of\r\n"
             "it. You need not do anything.\r\n";
    case Kind::kExpanded:
      return "You asked to be told: the addresses below stand for several recipients, and\r\n"
             "your message has been sent on to them. You will hear no more unless that\r\n"
             "fails. You need not do anything.\r\n";
  }
  return "";
}

const Hint& HintFor(absl::string_view status) {
  const absl::string_view detail = status.substr(2);
  for (const Hint& hint : kHints) {
    const bool whole = !hint.status.empty() && hint.status.back() != '.';
    if (whole ? detail == hint.status : absl::StartsWith(detail, hint.status)) return hint;
  }
  return kHints[0];
}

const std::string& OriginalOf(const Recipient& recipient) {
  return recipient.original_address.empty() ? recipient.final_address : recipient.original_address;
}

std::string ReadableText(const Notification& n, std::size_t recipients, bool returns_all) {
  std::string text = absl::StrCat("This is the mail system at ", n.reporting_host, ".\r\n\r\n");
  text.append(Opening(n));
  for (std::size_t i = 0; i < recipients; ++i) {
    const Recipient& recipient = n.recipients[i];
    absl::StrAppend(&text, "\r\n<", OneLineUtf8(OriginalOf(recipient), kMaxAddress), ">\r\n");
    if (n.kind == Kind::kFailure) {
      const std::string status = StatusOf(n.kind, recipient);
      const Hint& hint = HintFor(status);
      text.append(Wrap("    ", "    ", std::string_view(hint.what.data(), hint.what.size())));
      text.append(Wrap("    ", "    ", std::string_view(hint.advice.data(), hint.advice.size())));
    }
    const std::string diagnostic = OneLine(recipient.diagnostic, kMaxDiagnostic);
    if (diagnostic.empty()) continue;
    const std::string said = recipient.remote_host.empty()
                                 ? diagnostic
                                 : absl::StrCat(OneLine(recipient.remote_host, 300),
                                                recipient.diagnostic_is_smtp ? " said: " : ": ",
                                                diagnostic);
    text.append(Wrap("    ", "    ", said));
  }
  if (n.recipients.size() > recipients) {
    absl::StrAppend(&text, "\r\nand ", n.recipients.size() - recipients, " more.\r\n");
  }
  text.append(returns_all ? "\r\nYour message is attached.\r\n"
                          : "\r\nThe header lines of your message are attached.\r\n");
  return text;
}

std::string DeliveryStatus(const Notification& n, std::size_t recipients) {
  std::string fields = absl::StrCat("Reporting-MTA: dns; ", n.reporting_host,
                                    "\r\n");
  const std::string envelope_id = OneLine(n.envelope_id, kMaxEnvelopeId);
  if (!envelope_id.empty()) {
    absl::StrAppend(&fields, "Original-Envelope-Id: ", envelope_id, "\r\n");
  }
  absl::StrAppend(&fields, "Arrival-Date: ", DateTime(n.arrival), "\r\n");
  for (std::size_t i = 0; i < recipients; ++i) {
    const Recipient& recipient = n.recipients[i];
    absl::StrAppend(&fields, "\r\n");
    if (!recipient.original_recipient.empty()) {
      absl::StrAppend(&fields, "Original-Recipient: ",
                      TypedAddressField(recipient.original_recipient), "\r\n");
    } else if (!recipient.original_address.empty()) {
      absl::StrAppend(&fields, "Original-Recipient: ", AddressField(recipient.original_address),
                      "\r\n");
    }
    absl::StrAppend(&fields, "Final-Recipient: ", AddressField(recipient.final_address),
                    "\r\nAction: ", ActionOf(n.kind), "\r\nStatus: ", StatusOf(n.kind, recipient), "\r\n");
    if (!recipient.remote_host.empty()) {
      absl::StrAppend(&fields, "Remote-MTA: dns; ", OneLine(recipient.remote_host, 300), "\r\n");
    }
    const std::string diagnostic = OneLine(recipient.diagnostic, kMaxDiagnostic);
    if (!diagnostic.empty()) {
      fields.append(Wrap(recipient.diagnostic_is_smtp ? "Diagnostic-Code: smtp; "
                                                      : "Diagnostic-Code: X-Posthorn; ",
                         "    ", diagnostic));
    }
    absl::StrAppend(&fields, "Last-Attempt-Date: ", DateTime(n.now), "\r\n");
    if (n.kind == Kind::kDelay) {
      absl::StrAppend(&fields, "Will-Retry-Until: ", DateTime(n.retry_until), "\r\n");
    }
  }
  return fields;
}

// A boundary that no line of the parts starts with.
std::string BoundaryFor(const Notification& n, const std::string& parts) {
  std::string boundary;
  int number = 0;
  do {
    boundary = absl::StrCat("=_", OneLine(n.message_id, 40), "/", number++);
  } while (absl::StrContains(parts, boundary));
  return boundary;
}

std::string PartHeader(absl::string_view type, const std::string& content) {
  return absl::StrCat("Content-Type: ", type, Is8Bit(content) ? "; charset=utf-8" : "",
                      "\r\nContent-Transfer-Encoding: ", Is8Bit(content) ? "8bit" : "7bit",
                      "\r\n\r\n", content, "\r\n");
}

// What comes back of the message, with the type of its part.
struct Returned {
  std::string part;
  bool is_8bit = false;
};

Returned ReturnedPart(const Notification& n, bool all) {
  Returned returned;
  if (!all) {
    const std::string headers = HeaderSection(n.original, kMaxHeaders);
    returned.is_8bit = Is8Bit(headers);
    returned.part = PartHeader("text/rfc822-headers", headers);
    return returned;
  }
  returned.is_8bit = Is8Bit(n.original);
  const bool utf8_header = Is8Bit(HeaderSection(n.original, kMaxFull));
  returned.part = absl::StrCat("Content-Type: message/", utf8_header ? "global" : "rfc822",
                               "\r\nContent-Transfer-Encoding: ", returned.is_8bit ? "8bit" : "7bit",
                               "\r\n\r\n",
                               absl::string_view(n.original.data(), n.original.size()), "\r\n");
  return returned;
}

}  // namespace

bool IsReturnable(std::string_view message) {
  if (message.size() > kMaxFull) return false;
  std::size_t line = 0;
  for (std::size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    if (c == '\0' || c == '\n') return false;
    if (c == '\r') {
      if (i + 1 == message.size() || message[i + 1] != '\n') return false;
      ++i;
      line = 0;
    } else if (++line > kMaxLine) {
      return false;
    }
  }
  return true;
}

Composed Compose(const Notification& n) {
  const bool all = n.full && IsReturnable(n.original);
  const std::size_t recipients = std::min(n.recipients.size(), kMaxRecipients);
  const std::string text = ReadableText(n, recipients, all);
  const std::string status = DeliveryStatus(n, recipients);
  const Returned returned = ReturnedPart(n, all);

  Composed composed;
  composed.body_is_8bit = Is8Bit(text) || returned.is_8bit || Is8Bit(n.to);
  const std::string boundary = BoundaryFor(n, absl::StrCat(text, status, returned.part));
  const absl::string_view encoding = composed.body_is_8bit ? "8bit" : "7bit";
  composed.message = absl::StrCat(
      "From: Mail Delivery System <MAILER-DAEMON@", n.reporting_host, ">\r\nTo: <",
      OneLineUtf8(n.to, kMaxAddress), ">\r\nSubject: ",
      SubjectOf(n.kind), "\r\nDate: ", DateTime(n.now), "\r\nMessage-ID: <", OneLine(n.message_id, 200), "@",
      n.reporting_host,
      ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"",
      boundary, "\"\r\nContent-Transfer-Encoding: ", encoding,
      "\r\n\r\nThis is a MIME-encapsulated message.\r\n\r\n--", boundary, "\r\n",
      PartHeader("text/plain", text), "--", boundary, "\r\n");
  absl::StrAppend(&composed.message,
                  "Content-Type: message/delivery-status\r\n"
                  "Content-Transfer-Encoding: 7bit\r\n\r\n",
                  status, "\r\n--", boundary, "\r\n", returned.part, "--", boundary, "--\r\n");
  return composed;
}

}  // namespace posthorn::dsn
