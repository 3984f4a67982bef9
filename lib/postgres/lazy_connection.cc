#include "lib/postgres/lazy_connection.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/postgres/status.h"

namespace posthorn::postgres {

absl::StatusOr<Connection*> LazyConnection::Get() {
  if (connection_ != nullptr && connection_->IsAlive()) return connection_.get();
  connection_.reset();
  if (absl::Now() < retry_at_) return last_error_;
  absl::StatusOr<std::unique_ptr<Connection>> opened = Connection::Open(options_);
  if (!opened.ok()) {
    backoff_ = std::clamp(backoff_ * 2, absl::Milliseconds(50), absl::Seconds(2));
    retry_at_ = absl::Now() + backoff_;
    // Whatever the server said (no such role before the first migration, say), the callers' view
    // is that the storage is not there yet.
    last_error_ = FailureOf(opened.status()) == Failure::kStorageDown
                      ? opened.status()
                      : ConnectionLost(std::string(opened.status().message()));
    return last_error_;
  }
  EndBackoff();
  connection_ = *std::move(opened);
  return connection_.get();
}

void LazyConnection::EndBackoff() {
  backoff_ = absl::ZeroDuration();
  retry_at_ = absl::InfinitePast();
}

}  // namespace posthorn::postgres
