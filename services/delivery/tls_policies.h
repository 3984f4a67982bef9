#ifndef POSTHORN_SERVICES_DELIVERY_TLS_POLICIES_H_
#define POSTHORN_SERVICES_DELIVERY_TLS_POLICIES_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/dns/resolver.h"
#include "services/delivery/mail_router.h"
#include "services/delivery/sts_policies.h"
#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {

// What an operator has said about TLS to some destinations.
struct TlsPolicyRule {
  enum class Level {
    kOff,
    kOpportunistic,  // whatever the domain publishes
    kEncrypted,
    kVerified,
    kDane,       // with DANE, or not at all
    kAutomatic,  // what the domain publishes, as without a rule
  };
  std::string pattern;  // of the recipients' domain: "example.net", "*.example.net", "*"
  Level level = Level::kAutomatic;
  std::vector<std::string> names;  // of kVerified: see TlsRule
};

struct TlsPolicyOptions {
  bool enabled = true;  // false: never TLS
  bool dane = true;
  std::vector<TlsPolicyRule> rules;  // the first that fits counts
  StsPolicies* sts = nullptr;        // nullptr: MTA-STS is not asked for. Outlives them.
  TlsObserver* observer = nullptr;   // hears of what a policy forbids. Outlives them.
};

// "off", "opportunistic", "required", "verified", "dane", "automatic".
absl::StatusOr<TlsPolicyRule::Level> TlsPolicyLevelFrom(std::string_view text);

// Decides how a server is talked to: what its route says, else the operator's rule for the domain,
// else DANE (RFC 7672), else MTA-STS (RFC 8461), else opportunistic TLS. Belongs to one executor;
// `resolver` outlives it.
class TlsPolicies {
 public:
  TlsPolicies(TlsPolicyOptions options, dns::Resolver& resolver)
      : options_(std::move(options)), resolver_(resolver) {}

  // `domain` is the recipients'; `require_tls`: of RFC 8689; `tls_optional`: what the domain publishes
  // is not asked for, and how TLS goes is for no report. kTlsFailed, temporary: this server is not
  // to be used now, because its TLSA records can't be had or validated, or the domain's policy does
  // not name it.
  Task<absl::StatusOr<TlsRule>> RuleFor(Host host, std::string domain, bool require_tls,
                                        bool tls_optional = false);

 private:
  const TlsPolicyRule* Find(std::string_view domain) const;
  Task<absl::StatusOr<TlsRule>> ByPublication(Host host, std::string domain, bool dane_only);
  // A level of kOpportunistic: the host has no usable DANE.
  Task<absl::StatusOr<TlsRule>> ByDane(Host host, std::string domain);
  Task<absl::StatusOr<TlsRule>> BySts(Host host, std::string domain);
  absl::Status Refuse(const TlsRule& rule, const Host& host, std::string_view result,
                      std::string text);

  const TlsPolicyOptions options_;
  dns::Resolver& resolver_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TLS_POLICIES_H_
