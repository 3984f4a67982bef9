#ifndef POSTHORN_LIB_POSTGRES_LAZY_CONNECTION_H_
#define POSTHORN_LIB_POSTGRES_LAZY_CONNECTION_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/postgres/connection.h"

namespace posthorn::postgres {

// A connection that opens when it is asked for and again after it broke. While the database is
// away it answers the last error at once and tries again with backoff (50 ms to 2 s). For one
// thread.
class LazyConnection {
 public:
  explicit LazyConnection(ConnectionOptions options) : options_(std::move(options)) {}

  bool IsOpen() const { return connection_ != nullptr; }
  absl::StatusOr<Connection*> Get();
  // When Get tries again to connect; the past if it is not waiting.
  absl::Time retry_at() const { return retry_at_; }
  // Lets the next Get try at once: somebody else has reached the server.
  void EndBackoff();

 private:
  ConnectionOptions options_;
  std::unique_ptr<Connection> connection_;
  absl::Status last_error_;
  absl::Time retry_at_ = absl::InfinitePast();
  absl::Duration backoff_ = absl::ZeroDuration();
};

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_LAZY_CONNECTION_H_
