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

// RFC 3848 and RFC 2033: what stands after "with" in Received.
std::string ProtocolName(const SmtpContext& context) {
  if (!context.esmtp) return "SMTP";
  return absl::StrCat(context.IsLmtp() ? "LMTP" : "ESMTP", context.stream.tls().active ? "S" : "",
                      context.login.has_value() ? "A" : "");
}

TraceInfo Trace(const SmtpContext& context) {
  TraceInfo trace;
  trace.helo = context.helo;
  trace.client_ip = context.stream.peer().ip;
  trace.protocol = ProtocolName(context);
  const net::TlsInfo& tls = context.stream.tls();
  if (tls.active) trace.tls = absl::StrCat(tls.version, " ", tls.cipher);
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
               {"client", context.stream.peer().ip}});
  } else {
    Refused(IsPermanent(status)).Increment();
    log::Warn("smtp", "not accepted",
              {{"id", request.id.ToString()},
               {"from", request.reverse_path},
               {"recipients", recipients},
               {"octets", octets},
               {"client", context.stream.peer().ip},
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

// What VERB asked for: the id of each recipient, as RCPT numbered them.
std::string VerboseText(const std::string& id, const std::vector<std::string>& recipients) {
  std::string text = id;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    absl::StrAppend(&text, "\n", id, "#", i + 1, " <", recipients[i], ">");
  }
  return text;
}

}  // namespace

Task<smtp::Reply> HandleData(smtp::DataCommand, SmtpContext& context) {
  context.data = std::make_unique<DataReceiver>(*context.deps.staging, context.limits);
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
  request.trace = Trace(context);
  request.body_is_8bit = data->eight_bit();
  request.message_id_header = data->message_id();
  request.answers_per_recipient = context.IsLmtp();
  const std::uint64_t octets = request.body->size();
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
