#ifndef POSTHORN_LIB_BASE_FAILURE_H_
#define POSTHORN_LIB_BASE_FAILURE_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace posthorn {

// Why an operation was refused. A closed list: every protocol's answer to every value is one row
// of the table in failure.cc, and nobody searches error text to choose a code. The numbers travel
// between replicas of different versions, so values are only ever added at the end.
enum class Failure : int {
  kUnknown = 0,  // no payload: treated as temporary, detail goes to the log only

  // Addressing and policy
  kNoSuchRecipient = 1,
  kRelayDenied = 2,
  kSenderNotAllowed = 3,
  kBadAddress = 4,
  kNoSuchDomain = 5,
  kTooManyRecipients = 6,
  kMessageTooLarge = 7,
  kOverQuota = 8,
  kAccountDisabled = 9,
  kPolicyRejected = 10,
  kBareNewline = 11,
  kLineTooLong = 12,
  kMailLoop = 13,

  // Authentication
  kAuthenticationFailed = 20,
  kAuthenticationRequired = 21,
  kEncryptionRequired = 22,
  kAuthenticationBusy = 23,
  kPermissionDenied = 24,

  // Protocol
  kSyntax = 30,
  kUnknownCommand = 31,
  kBadSequence = 32,
  kBadParameter = 33,
  kParameterNotImplemented = 34,
  kTooManyErrors = 35,
  kTooManyConnections = 36,
  kTimeout = 37,
  kLimitExceeded = 38,

  // Store
  kNotFound = 40,
  kAlreadyExists = 41,
  kNoSuchMailbox = 42,
  kMailboxExists = 43,
  kMailboxNameInvalid = 44,
  kMailboxHasChildren = 45,
  kMailboxInUse = 46,
  kReadOnly = 47,
  kBadCharset = 48,
  kInvalidArgument = 49,

  // Temporary conditions
  kStorageDown = 60,
  kDeadlineExceeded = 61,
  kOverloaded = 62,
  kInsufficientStorage = 63,
  kShuttingDown = 64,
  kUnavailable = 65,
  kConflict = 66,

  // Remote delivery
  kDnsTemporary = 80,
  kDnsNoSuchDomain = 81,
  kNullMx = 82,
  kConnectFailed = 83,
  kRemoteTemporary = 84,
  kRemotePermanent = 85,
  kExpired = 86,
  kTlsFailed = 87,
  kCancelled = 88,

  // SMTP sessions
  kNonAsciiAddress = 100,
  kTlsRequired = 101,
  kPipelining = 102,
  kRateLimited = 103,
  kTooManyUnknownRecipients = 104,

  // Addresses
  kDomainSuspended = 110,
  kAccountSuspendedForNow = 111,
  kDomainSuspendedForNow = 112,
  kMailboxFull = 113,
  kPostNotAllowed = 114,

  // Queue and delivery
  kQueueFull = 120,
  kRequireTlsUnmet = 121,
};

// One row a failure: how each protocol says it.
struct FailureRow {
  Failure failure;
  std::string_view name;       // for logs and metrics: "no_such_recipient"
  bool permanent;              // trying again unchanged cannot help
  int smtp_code;               // RFC 5321 section 4.2
  std::string_view enhanced;   // RFC 3463
  std::string_view imap_code;  // RFC 5530 response code, without brackets; may be empty
  std::string_view pop3_code;  // RFC 2449 / 3206 response code, without brackets; may be empty
  absl::StatusCode grpc_code;
  std::string_view text;       // what the peer reads when the call site says nothing better
};

// The row of `failure`; an unknown number (from a newer replica) gets the row of kUnknown.
const FailureRow& RowOf(Failure failure);

// All rows, for tests and generated documents.
struct FailureTable {
  const FailureRow* rows;
  std::size_t size;
};
FailureTable AllFailures();

// A status that carries `failure` as payload, with the row's gRPC code. `text` is shown to the
// peer (one line, no secrets); empty means the row's own text.
absl::Status MakeFailure(Failure failure, std::string_view text = {});

// What `status` carries; kUnknown if it has no payload. `status` must not be OK.
Failure FailureOf(const absl::Status& status);

// True if `status` carries a permanent failure. No payload means temporary.
bool IsPermanent(const absl::Status& status);

// The line for the peer: the status' message if it carries a failure, else the text of kUnknown,
// so that internal detail never leaves.
std::string_view PeerText(const absl::Status& status);

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_FAILURE_H_
