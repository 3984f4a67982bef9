#include "lib/base/failure.h"

#include <algorithm>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace posthorn {
namespace {

constexpr char kPayloadUrl[] = "posthorn/failure";
using Code = absl::StatusCode;

constexpr FailureRow kFailures[] = {
    {Failure::kUnknown, "unknown", false, 451, "4.3.0", "SERVERBUG", "SYS/TEMP", Code::kInternal,
     "Temporary failure, try again later"},

    {Failure::kNoSuchRecipient, "no_such_recipient", true, 550, "5.1.1", "NONEXISTENT", "SYS/PERM",
     Code::kNotFound, "No such recipient here"},
    {Failure::kRelayDenied, "relay_denied", true, 550, "5.7.1", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "Relaying denied"},
    {Failure::kSenderNotAllowed, "sender_not_allowed", true, 550, "5.7.1", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "Sender address not allowed for this account"},
    {Failure::kBadAddress, "bad_address", true, 553, "5.1.3", "CLIENTBUG", "SYS/PERM",
     Code::kInvalidArgument, "Malformed address"},
    {Failure::kNoSuchDomain, "no_such_domain", true, 550, "5.1.2", "NONEXISTENT", "SYS/PERM",
     Code::kNotFound, "No such domain"},
    {Failure::kTooManyRecipients, "too_many_recipients", false, 452, "4.5.3", "LIMIT", "SYS/TEMP",
     Code::kResourceExhausted, "Too many recipients"},
    {Failure::kMessageTooLarge, "message_too_large", true, 552, "5.3.4", "TOOBIG", "SYS/PERM",
     Code::kInvalidArgument, "Message exceeds the maximum size"},
    {Failure::kOverQuota, "over_quota", false, 452, "4.2.2", "OVERQUOTA", "SYS/TEMP",
     Code::kResourceExhausted, "Mailbox full"},
    {Failure::kAccountDisabled, "account_disabled", true, 550, "5.2.1", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "Mailbox disabled"},
    {Failure::kPolicyRejected, "policy_rejected", true, 550, "5.7.1", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "Rejected by policy"},
    {Failure::kBareNewline, "bare_newline", true, 550, "5.6.11", "CLIENTBUG", "SYS/PERM",
     Code::kInvalidArgument, "Bare CR or LF is not allowed"},
    {Failure::kLineTooLong, "line_too_long", true, 500, "5.5.6", "CLIENTBUG", "SYS/PERM",
     Code::kInvalidArgument, "Line too long"},
    {Failure::kMailLoop, "mail_loop", true, 554, "5.4.6", "NOPERM", "SYS/PERM",
     Code::kFailedPrecondition, "Mail loop detected"},

    {Failure::kAuthenticationFailed, "authentication_failed", true, 535, "5.7.8",
     "AUTHENTICATIONFAILED", "AUTH", Code::kUnauthenticated, "Authentication failed"},
    {Failure::kAuthenticationRequired, "authentication_required", true, 530, "5.7.0", "NOPERM",
     "AUTH", Code::kUnauthenticated, "Authentication required"},
    {Failure::kEncryptionRequired, "encryption_required", true, 538, "5.7.11", "PRIVACYREQUIRED",
     "AUTH", Code::kFailedPrecondition, "Encryption required for this authentication"},
    {Failure::kAuthenticationBusy, "authentication_busy", false, 454, "4.7.0", "UNAVAILABLE",
     "SYS/TEMP", Code::kUnavailable, "Temporary authentication failure"},
    {Failure::kPermissionDenied, "permission_denied", true, 550, "5.7.1", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "Not permitted"},

    {Failure::kSyntax, "syntax", true, 501, "5.5.2", "CLIENTBUG", "", Code::kInvalidArgument,
     "Syntax error"},
    {Failure::kUnknownCommand, "unknown_command", true, 500, "5.5.1", "CLIENTBUG", "",
     Code::kUnimplemented, "Unknown command"},
    {Failure::kBadSequence, "bad_sequence", true, 503, "5.5.1", "CLIENTBUG", "",
     Code::kFailedPrecondition, "Bad sequence of commands"},
    {Failure::kBadParameter, "bad_parameter", true, 501, "5.5.4", "CLIENTBUG", "",
     Code::kInvalidArgument, "Invalid parameter"},
    {Failure::kParameterNotImplemented, "parameter_not_implemented", true, 555, "5.5.4", "CANNOT",
     "", Code::kUnimplemented, "Parameter not recognised"},
    {Failure::kTooManyErrors, "too_many_errors", false, 421, "4.7.0", "LIMIT", "SYS/TEMP",
     Code::kResourceExhausted, "Too many errors, closing connection"},
    {Failure::kTooManyConnections, "too_many_connections", false, 421, "4.7.0", "LIMIT",
     "SYS/TEMP", Code::kResourceExhausted, "Too many connections"},
    {Failure::kTimeout, "timeout", false, 421, "4.4.2", "UNAVAILABLE", "SYS/TEMP",
     Code::kDeadlineExceeded, "Timeout, closing connection"},
    {Failure::kLimitExceeded, "limit_exceeded", true, 552, "5.3.4", "LIMIT", "SYS/PERM",
     Code::kResourceExhausted, "Limit exceeded"},

    {Failure::kNotFound, "not_found", true, 550, "5.1.1", "NONEXISTENT", "SYS/PERM",
     Code::kNotFound, "Not found"},
    {Failure::kAlreadyExists, "already_exists", true, 550, "5.5.0", "ALREADYEXISTS", "SYS/PERM",
     Code::kAlreadyExists, "Already exists"},
    {Failure::kNoSuchMailbox, "no_such_mailbox", true, 550, "5.2.0", "NONEXISTENT", "SYS/PERM",
     Code::kNotFound, "No such mailbox"},
    {Failure::kMailboxExists, "mailbox_exists", true, 550, "5.2.0", "ALREADYEXISTS", "SYS/PERM",
     Code::kAlreadyExists, "Mailbox already exists"},
    {Failure::kMailboxNameInvalid, "mailbox_name_invalid", true, 550, "5.2.0", "CANNOT",
     "SYS/PERM", Code::kInvalidArgument, "Invalid mailbox name"},
    {Failure::kMailboxHasChildren, "mailbox_has_children", true, 550, "5.2.0", "HASCHILDREN",
     "SYS/PERM", Code::kFailedPrecondition, "Mailbox has children"},
    {Failure::kMailboxInUse, "mailbox_in_use", false, 450, "4.2.1", "INUSE", "IN-USE",
     Code::kUnavailable, "Mailbox is in use"},
    {Failure::kReadOnly, "read_only", true, 550, "5.2.0", "READ-ONLY", "SYS/PERM",
     Code::kFailedPrecondition, "Mailbox is read-only"},
    {Failure::kBadCharset, "bad_charset", true, 501, "5.5.4", "BADCHARSET", "",
     Code::kInvalidArgument, "Unknown charset"},
    {Failure::kInvalidArgument, "invalid_argument", true, 501, "5.5.4", "CLIENTBUG", "SYS/PERM",
     Code::kInvalidArgument, "Invalid argument"},

    {Failure::kStorageDown, "storage_down", false, 451, "4.3.0", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "Storage temporarily unavailable, try again later"},
    {Failure::kDeadlineExceeded, "deadline_exceeded", false, 451, "4.3.0", "UNAVAILABLE",
     "SYS/TEMP", Code::kDeadlineExceeded, "Took too long, try again later"},
    {Failure::kOverloaded, "overloaded", false, 451, "4.3.2", "UNAVAILABLE", "SYS/TEMP",
     Code::kResourceExhausted, "Overloaded, try again later"},
    {Failure::kInsufficientStorage, "insufficient_storage", false, 452, "4.3.1", "UNAVAILABLE",
     "SYS/TEMP", Code::kResourceExhausted, "Insufficient system storage"},
    {Failure::kShuttingDown, "shutting_down", false, 421, "4.3.2", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "Service shutting down"},
    {Failure::kUnavailable, "unavailable", false, 451, "4.3.0", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "Service temporarily unavailable, try again later"},
    {Failure::kConflict, "conflict", false, 451, "4.3.0", "INUSE", "IN-USE", Code::kAborted,
     "Busy, try again"},

    {Failure::kDnsTemporary, "dns_temporary", false, 451, "4.4.3", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "DNS lookup failed temporarily"},
    {Failure::kDnsNoSuchDomain, "dns_no_such_domain", true, 550, "5.1.2", "NONEXISTENT",
     "SYS/PERM", Code::kNotFound, "Domain does not exist"},
    {Failure::kNullMx, "null_mx", true, 556, "5.1.10", "NONEXISTENT", "SYS/PERM",
     Code::kFailedPrecondition, "Domain does not accept mail"},
    {Failure::kConnectFailed, "connect_failed", false, 451, "4.4.1", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "No answer from host"},
    {Failure::kRemoteTemporary, "remote_temporary", false, 451, "4.0.0", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "Remote server deferred the message"},
    {Failure::kRemotePermanent, "remote_permanent", true, 550, "5.0.0", "CANNOT", "SYS/PERM",
     Code::kFailedPrecondition, "Remote server refused the message"},
    {Failure::kExpired, "expired", true, 550, "5.4.7", "CANNOT", "SYS/PERM",
     Code::kDeadlineExceeded, "Delivery time expired"},
    {Failure::kTlsFailed, "tls_failed", false, 454, "4.7.5", "UNAVAILABLE", "SYS/TEMP",
     Code::kUnavailable, "TLS negotiation failed"},
    {Failure::kCancelled, "cancelled", true, 550, "5.0.0", "CANNOT", "SYS/PERM", Code::kCancelled,
     "Cancelled by the operator"},

    {Failure::kNonAsciiAddress, "non_ascii_address", true, 553, "5.6.7", "CANNOT", "SYS/PERM",
     Code::kInvalidArgument, "Internationalised address without SMTPUTF8"},
    {Failure::kTlsRequired, "tls_required", true, 530, "5.7.0", "PRIVACYREQUIRED", "AUTH",
     Code::kFailedPrecondition, "Must issue a STARTTLS command first"},
    {Failure::kPipelining, "pipelining", true, 554, "5.5.0", "CLIENTBUG", "",
     Code::kFailedPrecondition, "Sent before its turn, closing connection"},
    {Failure::kRateLimited, "rate_limited", false, 450, "4.7.1", "LIMIT", "SYS/TEMP",
     Code::kResourceExhausted, "Too much at once from your address, try again later"},
    {Failure::kTooManyUnknownRecipients, "too_many_unknown_recipients", false, 421, "4.7.0",
     "LIMIT", "SYS/TEMP", Code::kResourceExhausted, "Too many unknown recipients"},

    {Failure::kDomainSuspended, "domain_suspended", true, 550, "5.3.2", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "Domain suspended"},
    {Failure::kAccountSuspendedForNow, "account_suspended_for_now", false, 450, "4.2.1",
     "UNAVAILABLE", "SYS/TEMP", Code::kUnavailable, "Mailbox disabled for now, try again later"},
    {Failure::kDomainSuspendedForNow, "domain_suspended_for_now", false, 450, "4.3.2",
     "UNAVAILABLE", "SYS/TEMP", Code::kUnavailable, "Domain suspended for now, try again later"},
    {Failure::kMailboxFull, "mailbox_full", true, 552, "5.2.2", "OVERQUOTA", "SYS/PERM",
     Code::kResourceExhausted, "Mailbox full"},
    {Failure::kPostNotAllowed, "post_not_allowed", true, 550, "5.7.1", "NOPERM", "SYS/PERM",
     Code::kPermissionDenied, "You may not post to this list"},

    {Failure::kQueueFull, "queue_full", false, 452, "4.3.1", "LIMIT", "SYS/TEMP",
     Code::kResourceExhausted, "Too much mail is waiting, try again later"},
    {Failure::kRequireTlsUnmet, "require_tls_unmet", true, 550, "5.7.30", "CANNOT", "SYS/PERM",
     Code::kFailedPrecondition, "REQUIRETLS support required"},
};

}  // namespace

const FailureRow& RowOf(Failure failure) {
  const auto* row = std::find_if(std::begin(kFailures), std::end(kFailures),
                                 [failure](const FailureRow& r) { return r.failure == failure; });
  return row == std::end(kFailures) ? kFailures[0] : *row;
}

FailureTable AllFailures() { return {kFailures, std::size(kFailures)}; }

absl::Status MakeFailure(Failure failure, std::string_view text) {
  const FailureRow& row = RowOf(failure);
  if (text.empty()) text = row.text;
  absl::Status status(row.grpc_code, absl::string_view(text.data(), text.size()));
  status.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(static_cast<int>(failure))));
  return status;
}

Failure FailureOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  int number = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &number)) {
    return Failure::kUnknown;
  }
  return static_cast<Failure>(number);
}

bool IsPermanent(const absl::Status& status) { return RowOf(FailureOf(status)).permanent; }

std::string_view PeerText(const absl::Status& status) {
  const Failure failure = FailureOf(status);
  if (failure == Failure::kUnknown) return RowOf(failure).text;
  return std::string_view(status.message().data(), status.message().size());
}

}  // namespace posthorn
