#ifndef POSTHORN_LIB_DNS_UNBOUND_RESOLVER_H_
#define POSTHORN_LIB_DNS_UNBOUND_RESOLVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/dns/resolver.h"

namespace posthorn::dns {

struct UnboundOptions {
  std::string address;  // the server to forward to; empty: those of /etc/resolv.conf
  int port = 53;        // of `address`
  bool cache = true;    // false: every question goes to the server
  absl::Duration timeout = absl::Seconds(10);  // of one question, retries included
  // A file with DNSKEY or DS records to validate from; empty: nothing is validated.
  std::string trust_anchor_file;
};

// libunbound, forwarding to the configured server. Its own thread does the work and a second one
// hands results over; the destructor ends both. Questions still open then are never answered, so
// whoever waits for one must be gone or stopped before. Thread-safe.
class UnboundResolver final : public Resolver {
 public:
  // Fails when an option is refused; a server that is down is an outcome of the questions.
  static absl::StatusOr<std::unique_ptr<UnboundResolver>> Create(const UnboundOptions& options);
  ~UnboundResolver() override;

  Task<Answer<std::string>> Query(std::string name, RecordType type) override;

 private:
  struct Impl;
  explicit UnboundResolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::dns

#endif  // POSTHORN_LIB_DNS_UNBOUND_RESOLVER_H_
