#include "services/gateway/api/send_handler.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/address.h"
#include "lib/smtp/header_scan.h"
#include "lib/smtp/verp.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kMaxIdempotencyKey = 128;
constexpr std::size_t kPieceOctets = 64 * 1024;

metrics::Counter& Accepted() {
  static metrics::Counter& counter = metrics::MakeCounter(
      "posthorn_gateway_api_messages_accepted_total",
      "Messages accepted by Send. A sudden drop while calls go on: look at the refused counter and "
      "at the log.");
  return counter;
}

metrics::Counter& Refused() {
  static metrics::Counter& counter = metrics::MakeCounter(
      "posthorn_gateway_api_messages_refused_total",
      "Sends answered with an error. The log names the reason; many UNAVAILABLE: a backend is away.");
  return counter;
}

// What an octet by octet look at the message finds.
struct Findings {
  bool bare_newline = false;
  bool eight_bit = false;
  std::size_t longest_line = 0;
};

Findings Examine(std::string_view message) {
  Findings findings;
  std::size_t line = 0;
  for (std::size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    if (c == '\r') {
      if (i + 1 == message.size() || message[i + 1] != '\n') findings.bare_newline = true;
      continue;
    }
    if (c == '\n') {
      if (i == 0 || message[i - 1] != '\r') findings.bare_newline = true;
      line = 0;
      continue;
    }
    if (static_cast<unsigned char>(c) >= 0x80) findings.eight_bit = true;
    findings.longest_line = std::max(findings.longest_line, ++line);
  }
  return findings;
}

absl::StatusOr<std::string> CheckAddress(const std::string& text) {
  const absl::StatusOr<smtp::Mailbox> mailbox = smtp::ParseMailbox(text);
  if (!mailbox.ok()) {
    return MakeFailure(Failure::kBadAddress, absl::StrCat("malformed address: ", text));
  }
  return mailbox->ToString();
}

// Everything that needs nobody else to be asked.
absl::Status CheckInput(const SendInput& input, const SendLimits& limits) {
  if (input.to.empty()) return MakeFailure(Failure::kInvalidArgument, "no recipient");
  if (input.to.size() > limits.recipients) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("more than ", limits.recipients, " recipients"));
  }
  if (input.idempotency_key.size() > kMaxIdempotencyKey) {
    return MakeFailure(Failure::kInvalidArgument, "idempotency_key is longer than 128 octets");
  }
  if (!input.verp_delimiters.empty() &&
      (input.from.empty() || !smtp::IsVerpDelimiters(input.verp_delimiters))) {
    return MakeFailure(Failure::kInvalidArgument,
                       "verp_delimiters are two of -, = and +, and need a from");
  }
  if (input.message.empty()) return MakeFailure(Failure::kInvalidArgument, "empty message");
  if (input.message.size() > limits.message_octets) return MakeFailure(Failure::kMessageTooLarge);
  return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<AcceptRecipient>> SendHandler::Resolve(TenantId tenant, std::string sender,
                                                           std::string address) {
  absl::StatusOr<std::string> checked = CheckAddress(address);
  if (!checked.ok()) co_return checked.status();
  absl::StatusOr<Resolution> resolution = co_await directory_.Resolve(*checked);
  if (!resolution.ok()) co_return resolution.status();
  switch (resolution->kind) {
    case AddressKind::kList:
      for (const Target& target : resolution->targets) {
        if (!target.is_list) continue;
        const absl::Status allowed =
            co_await directory_.AuthorizePost(target.address, sender, tenant);
        if (!allowed.ok()) co_return allowed;
      }
      [[fallthrough]];
    case AddressKind::kLocal:
      if (resolution->targets.empty()) break;
      co_return AcceptRecipient(*std::move(checked), resolution->tenant,
                                std::move(resolution->targets));
    case AddressKind::kRemote: {
      std::vector<Target> targets;
      targets.emplace_back(AccountId(), *checked);
      co_return AcceptRecipient(*std::move(checked), tenant, std::move(targets));
    }
    case AddressKind::kDomainSuspended:
      if (!resolution->refusal.ok()) co_return resolution->refusal;
      [[fallthrough]];
    case AddressKind::kDisabled:
      co_return MakeFailure(Failure::kAccountDisabled, absl::StrCat("mailbox disabled: ", address));
    case AddressKind::kNoSuchRecipient:
      break;
  }
  co_return MakeFailure(Failure::kNoSuchRecipient, absl::StrCat("no such recipient: ", address));
}

Task<absl::StatusOr<SendOutcome>> SendHandler::Send(SendInput input) {
  if (input.api_key.empty()) co_return MakeFailure(Failure::kAuthenticationRequired);
  const absl::StatusOr<ApiKey> key = co_await directory_.AuthenticateKey(input.api_key);
  if (!key.ok()) co_return key.status();

  absl::Status status = CheckInput(input, limits_);
  if (!status.ok()) co_return status;
  std::string reverse_path;
  if (!input.from.empty()) {
    absl::StatusOr<std::string> checked = CheckAddress(input.from);
    if (!checked.ok()) co_return checked.status();
    reverse_path = *std::move(checked);
  }
  status = co_await directory_.AuthorizeSender(key->tenant, AccountId(), reverse_path);
  if (!status.ok()) co_return status;

  const Findings findings = Examine(input.message);
  if (findings.bare_newline) co_return MakeFailure(Failure::kBareNewline);
  if (limits_.line_octets != 0 && findings.longest_line > limits_.line_octets) {
    co_return MakeFailure(Failure::kLineTooLong);
  }
  smtp::HeaderScan headers;
  auto submission = std::make_unique<mime::SubmissionHeader>();
  auto body = std::make_shared<net::StagedBody>(staging_);
  for (std::size_t at = 0; at < input.message.size(); at += kPieceOctets) {
    const std::string_view piece = input.message.substr(at, kPieceOctets);
    headers.Feed(piece);
    submission->Feed(piece);
    status = body->Append(piece);
    if (!status.ok()) co_return status;
  }
  headers.Finish();
  submission->Finish();
  if (headers.received_headers() > limits_.received_headers) {
    co_return MakeFailure(Failure::kMailLoop);
  }

  AcceptRequest request;
  for (std::string& address : input.to) {
    absl::StatusOr<AcceptRecipient> recipient =
        co_await Resolve(key->tenant, reverse_path, std::move(address));
    if (!recipient.ok()) co_return recipient.status();
    request.recipients.push_back(*std::move(recipient));
  }
  request.sender_tenant = key->tenant;
  request.received_at = clock_.Now();
  request.id = MessageId::Generate(request.received_at);
  request.reverse_path = reverse_path;
  request.body = std::move(body);
  request.trace.client_ip = input.client_ip;
  request.trace.protocol = input.tls ? "HTTPS" : "HTTP";
  request.body_is_8bit = findings.eight_bit;
  request.message_id_header = headers.message_id();
  request.delivered_to = headers.delivered_to();
  request.idempotency_key = std::move(input.idempotency_key);
  request.options.verp_delimiters = std::move(input.verp_delimiters);
  const std::size_t recipients = request.recipients.size();
  Submitter submitter(Submitter::Kind::kKey, key->tenant, AccountId(), "");
  status = co_await submission_.Apply(std::move(submitter), limits_.from_policy,
                                      std::move(submission), request);
  if (!status.ok()) {
    Refused().Increment();
    co_return status;
  }
  const AcceptResult result = co_await acceptor_.Accept(std::move(request));
  status = result.Overall();
  if (!status.ok()) {
    Refused().Increment();
    log::Warn("api", "not accepted", {{"id", result.id.ToString()},
                                      {"tenant", key->tenant.value()},
                                      {"from", reverse_path},
                                      {"recipients", recipients},
                                      {"error", status}});
    co_return status;
  }
  Accepted().Increment();
  log::Info("api", "accepted", {{"id", result.id.ToString()},
                                {"tenant", key->tenant.value()},
                                {"from", reverse_path},
                                {"recipients", recipients},
                                {"octets", input.message.size()},
                                {"duplicate", result.duplicate}});
  SendOutcome outcome;
  outcome.id = result.id;
  outcome.duplicate = result.duplicate;
  co_return outcome;
}

}  // namespace posthorn::gateway
