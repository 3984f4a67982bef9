#ifndef POSTHORN_SERVICES_DELIVERY_TLS_RULE_H_
#define POSTHORN_SERVICES_DELIVERY_TLS_RULE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/net/stream.h"

namespace posthorn::delivery {

enum class TlsLevel {
  kOff,            // never
  kOpportunistic,  // when offered and it works, else in clear (RFC 7435)
  kEncrypted,      // or not at all; the certificate is not checked
  // With a certificate for the host's name that the configured authorities vouch for, or not at all.
  kVerified,
  kDane,  // with a certificate that TLSA records vouch for, or not at all (RFC 7672)
};

// What a domain has published, for reports about it (RFC 8460 section 4.2).
struct TlsPolicyNote {
  std::string domain;         // the recipients'
  std::string policy_domain;  // that published it: of "tlsa" the server's name; empty: `domain`
  std::string type = "no-policy-found";  // "tlsa", "sts"
  std::vector<std::string> text;         // the policy as it was found
  std::vector<std::string> mx;           // patterns, of "sts"
};

// How one server is to be talked to. A handshake that fails a level above kOpportunistic is
// kTlsFailed, which is temporary.
struct TlsRule {
  TlsRule() = default;
  TlsRule(TlsLevel level_in) : level(level_in) {}  // NOLINT: a level is the usual case

  TlsLevel level = TlsLevel::kOpportunistic;
  // A server without STARTTLS is kTlsFailed too. Without it such a server is connected in clear, so
  // that it can be told from one that does not answer: ask Connection::tls_active.
  bool must_encrypt = false;
  std::vector<net::DaneRecord> dane;  // of kDane
  // kVerified: those that a certificate is for, in place of the host's name; kDane: besides.
  std::vector<std::string> names;
  bool observe = false;  // kOpportunistic: what a check would say is only noted
  std::shared_ptr<const TlsPolicyNote> note;

  // Connections with the same key may be shared. `host`: the server's name.
  std::string Key(std::string_view host) const;
};

// What a failed handshake is called in reports (RFC 8460 section 4.3): "certificate-expired"; and the
// address the connection came from.
absl::Status WithTlsResult(absl::Status status, std::string_view result,
                           std::string_view sending_ip = "");
std::string TlsResultOf(const absl::Status& status);     // empty: nothing was noted
std::string TlsSendingIpOf(const absl::Status& status);  // empty: nothing was noted

// How TLS went on one connection, or why none was opened.
struct TlsOutcome {
  std::string host, ip;    // of the server
  std::string sending_ip;  // empty: none was opened
  std::string result;      // RFC 8460 section 4.3; empty: success
  std::string text;        // one line for whoever repairs it
};

// Hears of each connection that TLS was tried or wanted on. On the pool's executor.
class TlsObserver {
 public:
  virtual ~TlsObserver() = default;
  virtual void OnTlsSession(const TlsRule& rule, const TlsOutcome& outcome) = 0;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TLS_RULE_H_
