// The shape of a notification (RFC 3462, RFC 3464 section 2):
//   multipart/report; report-type=delivery-status
//     text/plain                what happened and what to do
//     message/delivery-status   per-message fields, blank line, per-recipient fields ...
//     text/rfc822-headers       of the message returned

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
  return kind == Kind::kFailure ? "5.0.0" : "4.0.0";
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

std::string ReadableText(const Notification& n, std::size_t recipients) {
  std::string text = absl::StrCat("This is the mail system at ", n.reporting_host, ".\r\n\r\n");
  if (n.kind == Kind::kFailure) {
    text.append(
        "Your message could not be delivered to the recipients below. It will not\r\n"
        "be tried again.\r\n");
  } else {
    text.append(
        "Your message has not been delivered yet to the recipients below. You need\r\n"
        "not do anything: it will be tried again");
    absl::StrAppend(&text, " until\r\n", DateTime(n.retry_until),
                    ", and you will hear if it fails.\r\n");
  }
  for (std::size_t i = 0; i < recipients; ++i) {
    const Recipient& recipient = n.recipients[i];
    absl::StrAppend(&text, "\r\n<", OneLineUtf8(OriginalOf(recipient), kMaxAddress), ">\r\n");
    if (n.kind == Kind::kFailure) {
      const std::string status = StatusOf(n.kind, recipient);
      const Hint& hint = HintFor(status);
      absl::StrAppend(&text, "    ", hint.what, "\r\n    ", hint.advice, "\r\n");
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
  text.append("\r\nThe header lines of your message are attached.\r\n");
  return text;
}

std::string DeliveryStatus(const Notification& n, std::size_t recipients) {
  std::string fields = absl::StrCat("Reporting-MTA: dns; ", n.reporting_host,
                                    "\r\nArrival-Date: ", DateTime(n.arrival), "\r\n");
  for (std::size_t i = 0; i < recipients; ++i) {
    const Recipient& recipient = n.recipients[i];
    absl::StrAppend(&fields, "\r\n");
    if (!recipient.original_address.empty()) {
      absl::StrAppend(&fields, "Original-Recipient: ", AddressField(recipient.original_address),
                      "\r\n");
    }
    absl::StrAppend(&fields, "Final-Recipient: ", AddressField(recipient.final_address),
                    "\r\nAction: ", n.kind == Kind::kFailure ? "failed" : "delayed",
                    "\r\nStatus: ", StatusOf(n.kind, recipient), "\r\n");
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

}  // namespace

Composed Compose(const Notification& n) {
  const std::size_t recipients = std::min(n.recipients.size(), kMaxRecipients);
  const std::string text = ReadableText(n, recipients);
  const std::string status = DeliveryStatus(n, recipients);
  const std::string headers = HeaderSection(n.original_headers, kMaxHeaders);

  Composed composed;
  composed.body_is_8bit = Is8Bit(text) || Is8Bit(headers) || Is8Bit(n.to);
  const std::string boundary = BoundaryFor(n, absl::StrCat(text, status, headers));
  const absl::string_view encoding = composed.body_is_8bit ? "8bit" : "7bit";
  composed.message = absl::StrCat(
      "From: Mail Delivery System <MAILER-DAEMON@", n.reporting_host, ">\r\nTo: <",
      OneLineUtf8(n.to, kMaxAddress), ">\r\nSubject: ",
      n.kind == Kind::kFailure ? "Undelivered mail returned to sender"
                               : "Delayed mail (still being tried)",
      "\r\nDate: ", DateTime(n.now), "\r\nMessage-ID: <", OneLine(n.message_id, 200), "@",
      n.reporting_host,
      ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"",
      boundary, "\"\r\nContent-Transfer-Encoding: ", encoding,
      "\r\n\r\nThis is a MIME-encapsulated message.\r\n\r\n--", boundary, "\r\n",
      PartHeader("text/plain", text), "--", boundary, "\r\n");
  absl::StrAppend(&composed.message,
                  "Content-Type: message/delivery-status\r\n"
                  "Content-Transfer-Encoding: 7bit\r\n\r\n",
                  status, "\r\n--", boundary, "\r\n", PartHeader("text/rfc822-headers", headers),
                  "--", boundary, "--\r\n");
  return composed;
}

}  // namespace posthorn::dsn
