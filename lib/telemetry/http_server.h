#ifndef POSTHORN_LIB_TELEMETRY_HTTP_SERVER_H_
#define POSTHORN_LIB_TELEMETRY_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::telemetry {

// GET /healthz (the process runs), /readyz (200, or 503 and the reason in one line) and /metrics
// (Prometheus text), for probes and scrapers. Bind in the first phase of a start, Serve in the
// second; Serve starts the one thread it needs. The destructor stops and joins.
class HttpServer {
 public:
  // OK means ready. Called on the server's thread, once a request.
  using ReadyCheck = std::function<absl::Status()>;

  // `address` is an IP address; port 0 picks one. The error names address and port.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Bind(const std::string& address, int port);
  // Takes over a listening socket that a parent process bound and left open over exec.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Adopt(int fd);
  ~HttpServer();

  // Once.
  void Serve(ReadyCheck ready);
  int port() const;

 private:
  struct Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace posthorn::telemetry

#endif  // POSTHORN_LIB_TELEMETRY_HTTP_SERVER_H_
