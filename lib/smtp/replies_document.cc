#include "lib/smtp/replies_document.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/reply.h"

namespace posthorn::smtp {
namespace {

// In the order of the codes. The failures that a code stands for come from the table.
constexpr CodeAdvice kCodes[] = {
    {421, "The connection ends here; nothing that was not answered with 250 was accepted.",
     "Connect again later, with fewer connections or fewer mistakes if the text says so. A mail "
     "server does this by itself.",
     "`too_many_connections`: raise `gateway.limits.connections` or `connections_per_address`, or "
     "look for the client that does not let go. `too_many_errors`, `too_many_unknown_recipients`: "
     "look in the log for a client that guesses, or that sends more than the listener's "
     "`commands_per_minute`. `timeout`: a slow or broken client; nothing to do. `shutting_down`: a "
     "restart."},
    {450, "The mailbox cannot take the message just now, or not so many from one address.",
     "Try again later.",
     "`mailbox_in_use`: some other session holds the mailbox; if it lasts, look for it. "
     "`rate_limited`: the listener's `messages_per_minute`. `account_suspended_for_now`, "
     "`domain_suspended_for_now`: somebody has suspended it; lift that with `posthornctl`."},
    {451, "Something here does not work for the moment; the message was not accepted.",
     "Keep the message and try again later. A mail server does this by itself.",
     "Look at `/readyz`, at the log and at PostgreSQL and the queue service: one of them is away or "
     "slow. From the delivery side: DNS or the other server failed for the moment."},
    {452, "There is no room for the message, or too many recipients in one transaction.",
     "`too_many_recipients`: send the rest in the next transaction. Otherwise try again later; a "
     "person whose mailbox is full has to make room.",
     "`over_quota`: `posthornctl account show`, then a larger quota or less mail. "
     "`insufficient_storage`: the disk of `gateway.staging_dir` or `gateway.staging_max_octets` is "
     "full. `queue_full`: look with `posthornctl queue summary` at what waits, and why; the limits "
     "are `queue.tenant_max_messages` and its neighbours."},
    {454, "AUTH or TLS failed for a temporary reason.", "Try again in a moment.",
     "`authentication_busy`: more logins at once than `mailbox.password_threads` can check, or the "
     "mailbox service is away. `tls_failed`: look at the log for the reason OpenSSL gave."},
    {500, "The command is not known, or a line is too long.",
     "Mend the client: it speaks another protocol, or sends lines over the limit.",
     "Nothing; for messages with very long lines raise `gateway.limits.line_octets`."},
    {501, "The command is known, its argument is not well formed.", "Mend the client.",
     "Nothing. A client that did nothing wrong: compare with RFC 5321 section 4.1."},
    {502, "The command is known, and not available here.",
     "Use the port that has it: AUTH is on the submission ports (587, 465), never on port 25.",
     "STARTTLS answers this where no certificate is configured (`tls.certificate_file`)."},
    {503, "The command came out of order: MAIL before EHLO, RCPT before MAIL, AUTH twice.",
     "Mend the client, or type the missing command first.", "Nothing."},
    {504, "A parameter's value is not implemented: an AUTH mechanism that is not offered.",
     "Choose one of the mechanisms that the answer to EHLO lists.", "Nothing."},
    {530, "Something has to come first: a login, on the submission ports, or STARTTLS.",
     "Configure user name and password, or STARTTLS, in the mail client.",
     "Servers that send without a login belong into `trusted_networks` of the listener. "
     "`tls_required`: the listener has `tls: required`, which is not for port 25."},
    {535, "The login was refused. A wrong name and a wrong password read alike.",
     "Check the full address and the password; a locked account says nothing else.",
     "`posthornctl account show`, `posthornctl account password`. Many from one address: "
     "somebody guesses."},
    {538, "This login would send the password in clear text.",
     "Switch STARTTLS or SSL/TLS on in the mail client.",
     "Nothing: passwords travel under TLS only."},
    {550, "Refused for good; trying the same again cannot help.",
     "Read the text. `no_such_recipient`: correct the address. `sender_not_allowed`: From, Sender "
     "and the envelope have to be the account's own address or alias. `relay_denied`: log in. "
     "`bare_newline`: the sending program writes LF or CR where CRLF belongs. `post_not_allowed`: "
     "ask the owner of the list. `require_tls_unmet`: the message was marked with REQUIRETLS, and the "
     "way to the recipient is not encrypted throughout.",
     "`sender_not_allowed`: add an alias for the account, or set the listener's `from_policy` to "
     "`rewrite`. `relay_denied`: the client did not log in and is in no trusted network. "
     "`account_disabled`, `domain_suspended`: the account or its domain is suspended. "
     "`bare_newline`: `bare_newlines: normalize` on the listener for devices that cannot be "
     "mended. `post_not_allowed`: the list's rule for posting, `posthornctl list show`."},
    {551, "The recipient is elsewhere, and the sender should go there (RFC 5321 section 3.4).",
     "Write to the address in the text.",
     "Posthorn never says this: an alias forwards. It may appear in reports of other servers."},
    {552, "The message is larger than is allowed, or a limit is exceeded for good.",
     "Send a smaller message. `mailbox_full`: the recipient has to make room first.",
     "`gateway.limits.message_octets`. `mailbox_full`: the tenant's policy refuses mail for full "
     "mailboxes for good; a larger quota, or the other policy."},
    {553, "The address is malformed, or of a kind that is not taken.",
     "Correct the address. `non_ascii_address`: the sending program has to ask for SMTPUTF8.",
     "Nothing. `strict_paths` of a listener makes the syntax of RFC 5321 binding to the letter; "
     "`domain_literals` allows addresses like user@[192.0.2.1]."},
    {554,
     "The transaction failed for good: the message goes round in a circle, or the client did not "
     "wait for a reply that it needed.",
     "`mail_loop`: look at the Received and Delivered-To fields of the message: a forward leads "
     "back. `pipelining`: mend the client.",
     "`mail_loop`: more than 100 Received fields, or a Delivered-To that names the mailbox the "
     "message is for. Take the forward or alias out that leads back. `pipelining`: nothing, it is "
     "mostly spam software."},
    {555, "A parameter of MAIL or RCPT is not known here.",
     "Use only what the answer to EHLO lists.", "Nothing."},
    {556, "The recipient's domain says that it takes no mail (RFC 7505).", "Correct the address.",
     "Nothing: the domain's null MX says so."},
};

std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

void AppendFailures(int code, std::string& out) {
  const FailureTable table = AllFailures();
  bool any = false;
  for (std::size_t i = 0; i < table.size; ++i) {
    const FailureRow& row = table.rows[i];
    const Reply reply = ReplyFor(MakeFailure(row.failure));
    if (reply.code != code) continue;
    if (!any) out += "\n| Failure | Enhanced code | Text |\n|---|---|---|\n";
    any = true;
    absl::StrAppend(&out, "| `", std::string(row.name), "` | ", reply.enhanced, " | ",
                    Cell(row.text), " |\n");
  }
}

}  // namespace

const CodeAdvice* AdviceFor(int code) {
  const auto* found = std::find_if(std::begin(kCodes), std::end(kCodes),
                                   [code](const CodeAdvice& row) { return row.code == code; });
  return found == std::end(kCodes) ? nullptr : found;
}

std::string RepliesDocument() {
  std::string out =
      "# What SMTP says when something is refused\n\n"
      "Generated by `smtp_replies_document` from `lib/base/failure.cc`; a test compares. The text "
      "stands where the call site says nothing better.\n\n"
      "A code that begins with 4 asks for another attempt later, one with 5 says that the same "
      "again cannot help. Failures of Posthorn itself (disk, database, another service) are always "
      "4yz: a sender's server keeps the message.\n";
  for (const CodeAdvice& code : kCodes) {
    absl::StrAppend(&out, "\n## ", code.code, "\n\n", code.meaning, "\n\n- Sender: ", code.for_sender,
                    "\n- Operator: ", code.for_operator, "\n");
    AppendFailures(code.code, out);
  }
  return out;
}

}  // namespace posthorn::smtp
