#include "services/gateway/imap/server.h"

#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "lib/imap/format/format.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/imap/session.h"

namespace posthorn::gateway {
namespace {

metrics::Gauge& SessionsGauge() {
  static metrics::Gauge& gauge = metrics::MakeGauge(
      "posthorn_gateway_imap_sessions",
      "Open IMAP connections. Near gateway.limits.connections: raise it or add gateways.");
  return gauge;
}

}  // namespace

ImapServer::ImapServer(ImapDependencies dependencies, ImapLimits limits)
    : dependencies_([&] {
        dependencies.snapshots = &snapshots_;
        dependencies.sort_keys = &sort_keys_;
        return dependencies;
      }()),
      limits_(limits),
      sessions_(&SessionsGauge()) {}

Task<void> ImapServer::Serve(std::unique_ptr<net::Stream> stream,
                             const ImapListenerOptions& options) {
  const SessionRegistry::Entry entry(sessions_, stream.get());
  std::optional<ConnectionLimiter::Slot> slot;
  std::string refusal;
  if (dependencies_.connections != nullptr) {
    absl::StatusOr<ConnectionLimiter::Slot> acquired =
        dependencies_.connections->Acquire(stream->peer().ip);
    if (acquired.ok()) {
      slot.emplace(*std::move(acquired));
    } else {
      imap::AppendStatusResponse({}, imap::Condition::kBye, "LIMIT", PeerText(acquired.status()),
                                 refusal);
    }
  }
  if (refusal.empty() && draining_) {
    imap::AppendStatusResponse({}, imap::Condition::kBye, "UNAVAILABLE", "Server shutting down",
                               refusal);
  }
  if (options.implicit_tls) {
    absl::Status secured = MakeFailure(Failure::kTlsFailed);
    if (dependencies_.tls != nullptr) {
      secured = co_await stream->StartTlsServer(*dependencies_.tls, limits_.login_timeout);
    }
    if (!secured.ok()) {
      log::Debug("imap", "TLS handshake failed",
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
    ImapSession session(dependencies_, limits_, options, *stream, draining_);
    co_await session.Run();
  }
  stream->Close();
}

void ImapServer::Drain() {
  draining_ = true;
  sessions_.InterruptAll();
}

int ImapServer::active_sessions() const { return static_cast<int>(sessions_.size()); }

}  // namespace posthorn::gateway
