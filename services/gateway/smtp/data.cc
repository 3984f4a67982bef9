#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

metrics::Counter& Accepted() {
  static metrics::Counter& counter = metrics::MakeCounter(
      "posthorn_gateway_smtp_messages_accepted_total",
      "Messages answered with 250. A sudden drop while connections go on: look at the refused "
      "and deferred counters and at the log.");
  return counter;
}

metrics::Counter& Refused(bool permanent) {
  static metrics::Counter& refused = metrics::MakeCounter(
      "posthorn_gateway_smtp_messages_refused_total",
      "Messages refused for good after DATA: too large, bare newlines, loops. Look at the log for "
      "a client that keeps trying.");
  static metrics::Counter& deferred = metrics::MakeCounter(
      "posthorn_gateway_smtp_messages_deferred_total",
      "Messages answered with a temporary error after DATA. Rising: a backend is away or full.");
  return permanent ? refused : deferred;
}

// RFC 3848, RFC 2033 and RFC 6531 section 4.3: what stands after "with" in Received.
std::string ProtocolName(const SmtpContext& context, bool smtputf8) {
  if (!context.esmtp) return "SMTP";
  const char* const name = context.IsLmtp() ? (smtputf8 ? "UTF8LMTP" : "LMTP")
                                            : (smtputf8 ? "UTF8SMTP" : "ESMTP");
  return absl::StrCat(name, context.stream.tls().active ? "S" : "",
                      context.login.has_value() || context.local.has_value() ? "A" : "");
}

TraceInfo Trace(const SmtpContext& context, bool smtputf8) {
  TraceInfo trace;
  trace.helo = context.local.has_value()
                   ? absl::StrCat("localhost (uid ", context.local->user.uid, ")")
                   : context.helo;
  trace.client_ip = context.client().ip;
  trace.client_name = context.client_name;
  trace.protocol = ProtocolName(context, smtputf8);
  const net::TlsInfo& tls = context.stream.tls();
  if (tls.active) trace.tls = absl::StrCat(tls.cipher, " (", tls.version, ")");
  return trace;
}

void LogResult(const SmtpContext& context, const AcceptRequest& request, std::uint64_t octets,
               std::size_t recipients, const absl::Status& status) {
  if (status.ok()) {
    Accepted().Increment();
    log::Info("smtp", "accepted",
              {{"id", request.id.ToString()},
               {"from", request.reverse_path},
               {"recipients", recipients},
               {"octets", octets},
               {"client", context.client().ip}});
  } else {
    Refused(IsPermanent(status)).Increment();
    log::Warn("smtp", "not accepted",
              {{"id", request.id.ToString()},
               {"from", request.reverse_path},
               {"recipients", recipients},
               {"octets", octets},
               {"client", context.client().ip},
               {"error", status}});
  }
}

// One answer for all, or for LMTP one each.
std::vector<smtp::Reply> RepliesFor(bool lmtp, const std::vector<absl::Status>& statuses,
                                    const absl::Status& overall, const std::string& id) {
  std::vector<smtp::Reply> replies;
  const smtp::Reply accepted(250, "2.0.0", id);
  if (!lmtp) {
    replies.push_back(overall.ok() ? accepted : smtp::ReplyFor(overall));
    return replies;
  }
  for (const absl::Status& status : statuses) {
    replies.push_back(status.ok() ? accepted : smtp::ReplyFor(status));
  }
  return replies;
}

// What a submission server does for its own users. `request` belongs to the caller.
Task<absl::Status> Complete(SmtpContext& context,
                            std::unique_ptr<const mime::SubmissionHeader> header,
                            AcceptRequest& request) {
  Submitter submitter;
  if (context.login.has_value()) {
    submitter.tenant = context.login->tenant;
    submitter.account = context.login->account;
    submitter.address = context.login->address;
  } else {
    const absl::StatusOr<TenantId> tenant = co_await RelayTenant(context);
    if (!tenant.ok()) co_return tenant.status();
    if (context.local.has_value()) {
      submitter.kind = context.local->trusted ? Submitter::Kind::kKey : Submitter::Kind::kLocalUser;
      submitter.address = context.local->address;
    } else {
      submitter.kind = Submitter::Kind::kTrustedNetwork;
    }
    submitter.tenant = *tenant;
  }
  SubmissionPolicy policy(*context.deps.directory, *context.deps.staging, context.deps.hostname);
  co_return co_await policy.Apply(std::move(submitter), context.options.from_policy,
                                  std::move(header), request);
}

// What VERB asked for: the id of each recipient, as RCPT numbered them.
std::string VerboseText(const std::string& id, const std::vector<std::string>& recipients) {
  std::string text = id;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    absl::StrAppend(&text, "\n", id, "#", i + 1, " <", recipients[i], ">");
  }
  return text;
}

}  // namespace

absl::Status BeginMessage(DataFormat format, SmtpContext& context) {
  std::optional<ReceiveSlots::Slot> slot = context.shared.receiving.Acquire();
  if (!slot.has_value()) return MakeFailure(Failure::kOverloaded);
  context.data = std::make_unique<DataReceiver>(*context.deps.staging, context.limits,
                                                context.options, format,
                                                context.deps.clock->Now(), *std::move(slot));
  return absl::OkStatus();
}

Task<smtp::Reply> HandleData(smtp::DataCommand, SmtpContext& context) {
  // RFC 3030 section 3: DATA cannot carry it.
  if (context.transaction->options.body_is_binary) {
    co_return smtp::ReplyFor(
        MakeFailure(Failure::kBadSequence, "BODY=BINARYMIME needs BDAT"));
  }
  const absl::Status begun = BeginMessage(DataFormat::kDots, context);
  if (!begun.ok()) co_return smtp::ReplyFor(begun);
  context.input = SmtpInput::kData;
  co_return smtp::Reply(354, "", "End data with <CR><LF>.<CR><LF>");
}

Task<std::vector<smtp::Reply>> FinishData(SmtpContext& context) {
  const std::unique_ptr<DataReceiver> data = std::move(context.data);
  SmtpTransaction transaction = *std::move(context.transaction);
  context.transaction.reset();
  context.input = SmtpInput::kCommand;

  AcceptRequest request;
  request.received_at = context.deps.clock->Now();
  request.id = MessageId::Generate(request.received_at);
  request.reverse_path = std::move(transaction.reverse_path);
  const std::size_t recipients = transaction.recipients.size();
  if (!data->status().ok()) {
    LogResult(context, request, 0, recipients, data->status());
    const std::vector<absl::Status> statuses(recipients, data->status());
    co_return RepliesFor(context.IsLmtp(), statuses, data->status(), "");
  }
  request.recipients = std::move(transaction.recipients);
  request.body = data->TakeBody();
  request.trace = Trace(context, transaction.smtputf8);
  request.body_is_8bit = data->eight_bit();
  request.options = std::move(transaction.options);
  request.options.smtputf8 = transaction.smtputf8 && data->eight_bit_header();
  request.message_id_header = data->message_id();
  if (context.local.has_value() && request.message_id_header.empty() &&
      !context.local->user.handover_key.empty()) {
    request.resend_key = context.local->user.handover_key;
  }
  request.delivered_to = data->delivered_to();
  request.answers_per_recipient = context.IsLmtp();
  const std::uint64_t octets = request.body->size();
  if (context.IsSubmission()) {
    const absl::Status allowed = co_await Complete(context, data->TakeSubmission(), request);
    if (!allowed.ok()) {
      LogResult(context, request, octets, recipients, allowed);
      co_return RepliesFor(false, {}, allowed, "");
    }
  }
  std::vector<std::string> addresses;
  if (context.verbose) {
    for (const AcceptRecipient& to : request.recipients) addresses.push_back(to.address);
  }

  AcceptRequest for_log;
  for_log.id = request.id;
  for_log.reverse_path = request.reverse_path;
  const AcceptResult result = co_await context.deps.acceptor->Accept(std::move(request));
  const absl::Status overall = result.Overall();
  for_log.id = result.id;
  LogResult(context, for_log, octets, recipients, overall);
  if (overall.ok()) context.commands = 0;
  if (overall.ok() && context.verbose && !context.IsLmtp()) {
    std::vector<smtp::Reply> replies;
    replies.emplace_back(250, "2.0.0", VerboseText(result.id.ToString(), addresses));
    co_return replies;
  }
  co_return RepliesFor(context.IsLmtp(), result.recipients, overall, result.id.ToString());
}

}  // namespace posthorn::gateway
