#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_CONNECTION_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_CONNECTION_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace posthorn::sendmail {

// A connection to the platform's socket. Blocking, with deadlines.
class Connection {
 public:
  static absl::StatusOr<Connection> Open(const std::string& socket);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&&) = delete;
  ~Connection();

  absl::Status Write(std::string_view bytes, absl::Duration timeout);
  // Empty: the platform has closed it.
  absl::StatusOr<std::string> Read(absl::Duration timeout);
  // Moves octets between it and two other descriptors until the platform has closed it.
  absl::Status Relay(int input, int output);

 private:
  explicit Connection(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_CONNECTION_H_
