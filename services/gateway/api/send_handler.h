#ifndef POSTHORN_SERVICES_GATEWAY_API_SEND_HANDLER_H_
#define POSTHORN_SERVICES_GATEWAY_API_SEND_HANDLER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"
#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/accept/submission.h"
#include "services/gateway/clients/directory.h"

namespace posthorn::gateway {

struct SendLimits {
  std::uint64_t message_octets = 52428800;
  std::size_t line_octets = 0;  // 0: none
  std::size_t recipients = 1000;
  int received_headers = 100;
  FromPolicy from_policy = FromPolicy::kReject;
};

// What an application asks to send.
struct SendInput {
  SendInput() = default;
  std::string api_key;
  std::string from;  // addr-spec; empty: null
  std::vector<std::string> to;
  std::string_view message;  // outlives the call
  std::string idempotency_key;
  std::string verp_delimiters;  // empty: one reverse-path for all
  std::string client_ip;
  bool tls = false;
};

struct SendOutcome {
  SendOutcome() = default;
  MessageId id;
  bool duplicate = false;  // the idempotency key was seen before
};

// The Send of posthorn.send.v1 without its transport: checks credential, envelope and message, and
// hands over to the acceptor, whose commit rule is that of a 250 in SMTP. Thread-safe; what it is
// given outlives it.
class SendHandler {
 public:
  SendHandler(Directory& directory, MessageAcceptor& acceptor, net::StagingArea& staging,
              const Clock& clock, SendLimits limits, std::string hostname)
      : directory_(directory),
        acceptor_(acceptor),
        staging_(staging),
        clock_(clock),
        limits_(limits),
        submission_(directory, staging, std::move(hostname)) {}

  // OK: committed. Failures as posthorn.send.v1 lists them.
  Task<absl::StatusOr<SendOutcome>> Send(SendInput input);

 private:
  Task<absl::StatusOr<AcceptRecipient>> Resolve(TenantId tenant, std::string sender,
                                                std::string address);

  Directory& directory_;
  MessageAcceptor& acceptor_;
  net::StagingArea& staging_;
  const Clock& clock_;
  const SendLimits limits_;
  SubmissionPolicy submission_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_API_SEND_HANDLER_H_
