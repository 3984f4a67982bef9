#include "services/gateway/smtp/server.h"

#include "lib/base/failure.h"
#include "lib/smtp/reply.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/smtp/session.h"

namespace posthorn::gateway {
namespace {

metrics::Gauge& Sessions() {
  static metrics::Gauge& gauge = metrics::MakeGauge(
      "posthorn_gateway_smtp_sessions",
      "SMTP and LMTP connections open now. Near gateway.limits.connections: add replicas or look "
      "for a client that does not let go.");
  return gauge;
}

}  // namespace

absl::StatusOr<SmtpRole> ParseSmtpRole(std::string_view name) {
  if (name == "mx") return SmtpRole::kMx;
  if (name == "submission") return SmtpRole::kSubmission;
  if (name == "submissions") return SmtpRole::kSubmissions;
  if (name == "lmtp") return SmtpRole::kLmtp;
  return MakeFailure(Failure::kInvalidArgument,
                     "role is one of mx, submission, submissions, lmtp, not \"" +
                         std::string(name) + "\"");
}

SmtpServer::SmtpServer(SmtpDependencies dependencies, SmtpLimits limits)
    : dependencies_(std::move(dependencies)), limits_(limits), sessions_(&Sessions()) {}

Task<void> SmtpServer::Serve(std::unique_ptr<net::Stream> stream,
                             const SmtpListenerOptions& options) {
  const SessionRegistry::Entry entry(sessions_, stream.get());
  absl::Status refusal;
  std::vector<ConnectionLimiter::Slot> slot;  // one, or none without a limiter
  if (draining_.load()) {
    refusal = MakeFailure(Failure::kShuttingDown);
  } else if (dependencies_.connections != nullptr) {
    absl::StatusOr<ConnectionLimiter::Slot> acquired =
        dependencies_.connections->Acquire(stream->peer().ip);
    if (acquired.ok()) {
      slot.push_back(*std::move(acquired));
    } else {
      refusal = acquired.status();
    }
  }
  if (refusal.ok()) {
    SmtpSession session(dependencies_, limits_, options, *stream, draining_);
    co_await session.Run();
  } else if (options.role != SmtpRole::kSubmissions) {  // who expects TLS reads no clear text
    std::string output;
    smtp::AppendReply(smtp::ReplyFor(refusal), output);
    (void)co_await stream->WriteAll(std::move(output), absl::Seconds(5));
  }
  stream->Close();
}

void SmtpServer::Drain() {
  draining_.store(true);
  sessions_.InterruptAll();
}

int SmtpServer::active_sessions() const { return static_cast<int>(sessions_.size()); }

}  // namespace posthorn::gateway
