#ifndef POSTHORN_SERVICES_DELIVERY_HTTPS_CLIENT_H_
#define POSTHORN_SERVICES_DELIVERY_HTTPS_CLIENT_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/dns/resolver.h"

namespace posthorn::delivery {

struct HttpsRequest {
  std::string host;            // "mta-sts.example.net"
  int port = 443;
  std::string target = "/";    // path and query
  std::string content_type;    // empty: GET, else POST with `content`
  std::string content;
  std::size_t max_octets = 64 * 1024;  // of the answer
};

struct HttpsAnswer {
  int status = 0;
  std::string content_type;
  std::string content;
};

// Asks web servers, with a certificate for the host's name, TLS 1.2 at least, without redirects and
// proxies.
class HttpsClient {
 public:
  virtual ~HttpsClient() = default;
  // Any status is an answer. kTlsFailed: the certificate is not good; kUnavailable: all else.
  virtual Task<absl::StatusOr<HttpsAnswer>> Ask(HttpsRequest request) = 0;
};

struct HttpsOptions {
  std::string ca_file;  // PEM; empty: everything fails
  absl::Duration timeout = absl::Seconds(30);  // of one request; RFC 8461 section 3.3 suggests 60
  std::size_t max_waiting = 200;               // more fail at once
};

// With libcurl, on two threads of its own; addresses come from `resolver`, which outlives it. The
// destructor ends what runs; nobody may wait for it any more. Thread-safe.
std::unique_ptr<HttpsClient> MakeHttpsClient(HttpsOptions options, dns::Resolver& resolver);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_HTTPS_CLIENT_H_
