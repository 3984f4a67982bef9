#include "services/gateway/pop3/server.h"

#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/pop3/session.h"

namespace posthorn::gateway {
namespace {

metrics::Gauge& SessionsGauge() {
  static metrics::Gauge& gauge = metrics::MakeGauge(
      "posthorn_gateway_pop3_sessions",
      "Open POP3 connections. Near gateway.limits.connections: raise it or add gateways.");
  return gauge;
}

Pop3Dependencies WithClock(Pop3Dependencies dependencies) {
  static const SystemClock clock;
  if (dependencies.clock == nullptr) dependencies.clock = &clock;
  return dependencies;
}

}  // namespace

Pop3Server::Pop3Server(Pop3Dependencies dependencies, Pop3Limits limits)
    : dependencies_(WithClock(dependencies)), limits_(limits), sessions_(&SessionsGauge()) {}

Task<void> Pop3Server::Serve(std::unique_ptr<net::Stream> stream,
                             const Pop3ListenerOptions& options) {
  const SessionRegistry::Entry entry(sessions_, stream.get());
  std::optional<ConnectionLimiter::Slot> slot;
  std::string refusal;
  if (dependencies_.connections != nullptr) {
    absl::StatusOr<ConnectionLimiter::Slot> acquired =
        dependencies_.connections->Acquire(stream->peer().ip);
    if (acquired.ok()) {
      slot.emplace(*std::move(acquired));
    } else {
      pop3::AppendError(acquired.status(), refusal);
    }
  }
  if (refusal.empty() && draining_) {
    pop3::AppendError(MakeFailure(Failure::kShuttingDown), refusal);
  }
  if (options.implicit_tls) {
    absl::Status secured = MakeFailure(Failure::kTlsFailed);
    if (dependencies_.tls != nullptr) {
      secured = co_await stream->StartTlsServer(*dependencies_.tls, limits_.login_timeout);
    }
    if (!secured.ok()) {
      log::Debug("pop3", "TLS handshake failed",
                 {{"peer", stream->peer().ToString()}, {"status", secured}});
      stream->Close();
      co_return;
    }
  }
  if (!refusal.empty()) {
    const absl::Status ignored =
        co_await stream->WriteAll(std::move(refusal), limits_.write_timeout);
    (void)ignored;
  } else {
    Pop3Session session(dependencies_, limits_, options, *stream, draining_);
    co_await session.Run();
  }
  stream->Close();
}

void Pop3Server::Drain() {
  draining_ = true;
  sessions_.InterruptAll();
}

int Pop3Server::active_sessions() const { return static_cast<int>(sessions_.size()); }

}  // namespace posthorn::gateway
