#ifndef POSTHORN_SERVICES_GATEWAY_GATEWAY_SETTINGS_H_
#define POSTHORN_SERVICES_GATEWAY_GATEWAY_SETTINGS_H_

// From the configuration to what the parts of the gateway take. Only for the wiring.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/net/ip_network.h"
#include "lib/net/tls.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/gateway/api/send_handler.h"
#include "services/gateway/imap/server.h"
#include "services/gateway/pop3/server.h"
#include "services/gateway/session/login_guard.h"
#include "services/gateway/session/token_issuers.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

SmtpLimits SmtpLimitsFrom(const config::v1::Limits& limits);
ImapLimits ImapLimitsFrom(const config::v1::Limits& limits);
Pop3Limits Pop3LimitsFrom(const config::v1::Limits& limits);
SendLimits SendLimitsFrom(const config::v1::Gateway& gateway);

// Errors name the key: a malformed network.
absl::StatusOr<LoginGuardOptions> LoginGuardOptionsFrom(const config::v1::Authentication& settings);
std::vector<TokenIssuerOptions> TokenIssuersFrom(const config::v1::Authentication& settings);

// The one for everybody first; empty: there is none.
std::vector<net::CertificateFiles> CertificatesFrom(const config::v1::Tls& tls);

// The balancers of a listener; errors name the key.
absl::StatusOr<std::vector<net::IpNetwork>> ProxyNetworksFrom(const config::v1::Listener& listener,
                                                              const char* section, int index);

// One element a listener, in order. Errors name the key: an unknown role, a malformed network, TLS
// from the first octet without a certificate.
absl::StatusOr<std::vector<SmtpListenerOptions>> SmtpListenersFrom(
    const config::v1::Config& config);
// For users of this machine. Errors name the key: a malformed domain.
absl::StatusOr<SmtpListenerOptions> LocalListenerFrom(const config::v1::LocalSubmission& settings);
absl::StatusOr<std::vector<ImapListenerOptions>> ImapListenersFrom(
    const config::v1::Config& config);
absl::StatusOr<std::vector<Pop3ListenerOptions>> Pop3ListenersFrom(
    const config::v1::Config& config);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_GATEWAY_SETTINGS_H_
