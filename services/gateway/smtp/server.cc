#include "services/gateway/smtp/server.h"

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/reply.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/smtp/context.h"
#include "services/gateway/smtp/session.h"

namespace posthorn::gateway {
namespace {

// About 10 MB for each kind of count at the most.
constexpr std::size_t kCountedAddresses = 100000;

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

absl::StatusOr<SmtpTls> ParseSmtpTls(std::string_view name) {
  if (name == "offered") return SmtpTls::kOffered;
  if (name == "required") return SmtpTls::kRequired;
  if (name == "off") return SmtpTls::kOff;
  return MakeFailure(Failure::kInvalidArgument,
                     "tls is one of offered, required, off, not \"" +
                         std::string(name) + "\"");
}

SmtpShared::SmtpShared(const SmtpLimits& limits)
    : messages(absl::Minutes(1), kCountedAddresses),
      commands(absl::Minutes(1), kCountedAddresses),
      unknown_recipients(absl::Minutes(10), kCountedAddresses),
      receiving(limits.messages_at_once) {}

SmtpServer::SmtpServer(SmtpDependencies dependencies, SmtpLimits limits)
    : dependencies_(std::move(dependencies)),
      limits_(limits),
      shared_(std::make_unique<SmtpShared>(limits)),
      sessions_(&Sessions()) {}

SmtpServer::~SmtpServer() = default;

Task<void> SmtpServer::Serve(std::unique_ptr<net::Stream> stream,
                             const SmtpListenerOptions& options) {
  return Run(std::move(stream), options, std::nullopt);
}

Task<void> SmtpServer::ServeLocal(std::unique_ptr<net::Stream> stream,
                                  const SmtpListenerOptions& options, LocalUser user) {
  return Run(std::move(stream), options, std::move(user));
}

Task<void> SmtpServer::Run(std::unique_ptr<net::Stream> stream, const SmtpListenerOptions& options,
                           std::optional<LocalUser> user) {
  const SessionRegistry::Entry entry(sessions_, stream.get());
  absl::Status refusal;
  std::vector<ConnectionLimiter::Slot> slot;  // one, or none without a limiter
  if (draining_.load()) {
    refusal = MakeFailure(Failure::kShuttingDown);
  } else if (dependencies_.connections != nullptr) {
    absl::StatusOr<ConnectionLimiter::Slot> acquired =
        dependencies_.connections->Acquire(user.has_value() ? absl::StrCat("uid ", user->uid)
                                                            : stream->peer().ip);
    if (acquired.ok()) {
      slot.push_back(*std::move(acquired));
    } else {
      refusal = acquired.status();
    }
  }
  if (refusal.ok()) {
    SmtpSession session(dependencies_, limits_, options, *shared_, *stream, draining_,
                        std::move(user));
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
