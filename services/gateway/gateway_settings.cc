#include "services/gateway/gateway_settings.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/address.h"

namespace posthorn::gateway {
namespace {

using config::v1::Config;
using config::v1::Limits;
using config::v1::Listener;

absl::Status KeyError(const char* section, int index, const char* field, absl::string_view what) {
  return MakeFailure(Failure::kInvalidArgument,
                     absl::StrCat("gateway.", section, "[", index, "].", field, ": ", what));
}

absl::Status NeedsCertificate(const char* section, int index, const std::string& role) {
  return KeyError(section, index, "role", absl::StrCat(role, " needs tls.certificate_file"));
}

// IMAP and POP3 have two roles each: clear text with an upgrade, and TLS from the first octet.
template <typename Options>
absl::StatusOr<std::vector<Options>> TwoRoles(
    const google::protobuf::RepeatedPtrField<Listener>& listeners, const char* section,
    const std::string& clear, const std::string& tls, bool has_certificate) {
  std::vector<Options> result;
  for (int i = 0; i < listeners.size(); ++i) {
    const Listener& listener = listeners[i];
    Options options;
    options.implicit_tls = listener.role() == tls;
    if (!options.implicit_tls && listener.role() != clear) {
      return KeyError(section, i, "role",
                      absl::StrCat("role is one of ", clear, ", ", tls, ", not \"",
                                   listener.role(), "\""));
    }
    if (options.implicit_tls && !has_certificate) return NeedsCertificate(section, i, tls);
    options.allow_plaintext_auth_on_loopback = listener.allow_plaintext_auth_on_loopback();
    result.push_back(options);
  }
  return result;
}

// The configuration allows no other values.
FromPolicy FromPolicyOf(const std::string& name) {
  return name == "rewrite" ? FromPolicy::kRewrite : FromPolicy::kReject;
}

absl::StatusOr<std::vector<net::IpNetwork>> Networks(
    const google::protobuf::RepeatedPtrField<std::string>& texts, const char* section, int index,
    const char* field) {
  std::vector<net::IpNetwork> networks;
  for (const std::string& text : texts) {
    absl::StatusOr<net::IpNetwork> network = net::IpNetwork::Parse(text);
    if (!network.ok()) {
      return KeyError(section, index, field,
                      absl::StrCat("network \"", text, "\": ", network.status().message()));
    }
    networks.push_back(*std::move(network));
  }
  return networks;
}

}  // namespace

absl::StatusOr<std::vector<net::IpNetwork>> ProxyNetworksFrom(const Listener& listener,
                                                              const char* section, int index) {
  return Networks(listener.proxy_networks(), section, index, "proxy_networks");
}

SmtpLimits SmtpLimitsFrom(const Limits& limits) {
  SmtpLimits result;
  result.message_octets = limits.message_octets();
  result.line_octets = limits.line_octets();
  result.recipients = limits.recipients();
  result.commands = limits.smtp_commands();
  result.errors = limits.smtp_errors();
  result.command_timeout = absl::Seconds(limits.smtp_command_timeout_seconds());
  result.data_timeout = absl::Seconds(limits.smtp_data_timeout_seconds());
  result.data_total_timeout = absl::Seconds(limits.smtp_data_total_seconds());
  result.min_data_octets_per_second = limits.smtp_min_data_octets_per_second();
  result.messages_at_once = limits.smtp_messages();
  result.unknown_recipients_at_once = limits.smtp_unknown_recipients_at_once();
  result.unknown_recipient_delay =
      absl::Milliseconds(limits.smtp_unknown_recipient_delay_milliseconds());
  result.unknown_recipients = limits.smtp_unknown_recipients();
  result.max_hold = absl::Seconds(limits.smtp_hold_seconds());
  return result;
}

ImapLimits ImapLimitsFrom(const Limits& limits) {
  ImapLimits result;
  result.line_octets = static_cast<std::size_t>(limits.imap_line_octets());
  result.literal_octets = static_cast<std::size_t>(limits.imap_literal_octets());
  result.message_octets = static_cast<std::uint64_t>(limits.message_octets());
  result.mailbox_name_octets = static_cast<std::size_t>(limits.mailbox_name_octets());
  result.errors = limits.imap_errors();
  result.idle_timeout = absl::Seconds(limits.imap_idle_timeout_seconds());
  return result;
}

Pop3Limits Pop3LimitsFrom(const Limits& limits) {
  Pop3Limits result;
  result.idle_timeout = absl::Seconds(limits.pop3_idle_timeout_seconds());
  result.login_delay = absl::Seconds(limits.pop3_login_delay_seconds());
  return result;
}

SendLimits SendLimitsFrom(const config::v1::Gateway& gateway) {
  const Limits& limits = gateway.limits();
  SendLimits result;
  result.from_policy = FromPolicyOf(gateway.api_from_policy());
  result.message_octets = static_cast<std::uint64_t>(limits.message_octets());
  result.line_octets = static_cast<std::size_t>(limits.line_octets());
  result.recipients = static_cast<std::size_t>(limits.recipients());
  return result;
}

absl::StatusOr<LoginGuardOptions> LoginGuardOptionsFrom(
    const config::v1::Authentication& settings) {
  LoginGuardOptions options;
  options.delay = absl::Milliseconds(settings.failure_delay_milliseconds());
  options.maximum_delay = absl::Milliseconds(settings.failure_delay_maximum_milliseconds());
  options.failures_per_login = settings.failures_per_login();
  options.failures_per_address = settings.failures_per_address();
  options.failures_per_network = settings.failures_per_network();
  options.failures_per_account = settings.failures_per_account();
  options.window = absl::Seconds(settings.window_seconds());
  options.lockout = absl::Seconds(settings.lockout_seconds());
  options.known_network = absl::Hours(24) * settings.known_network_days();
  for (int i = 0; i < settings.exempt_networks_size(); ++i) {
    absl::StatusOr<net::IpNetwork> network = net::IpNetwork::Parse(settings.exempt_networks(i));
    if (!network.ok()) {
      return MakeFailure(Failure::kInvalidArgument,
                         absl::StrCat("gateway.authentication.exempt_networks[", i,
                                      "]: ", network.status().message()));
    }
    options.exempt_networks.push_back(*network);
  }
  return options;
}

std::vector<TokenIssuerOptions> TokenIssuersFrom(const config::v1::Authentication& settings) {
  std::vector<TokenIssuerOptions> issuers;
  for (const config::v1::TokenIssuer& issuer : settings.token_issuers()) {
    TokenIssuerOptions options;
    options.policy.issuer = issuer.issuer();
    options.policy.audience = issuer.audience();
    if (!issuer.account_claim().empty()) options.policy.account_claim = issuer.account_claim();
    if (issuer.leeway_seconds() > 0) {
      options.policy.leeway = absl::Seconds(issuer.leeway_seconds());
    }
    options.jwks_file = issuer.jwks_file();
    issuers.push_back(std::move(options));
  }
  return issuers;
}

std::vector<net::CertificateFiles> CertificatesFrom(const config::v1::Tls& tls) {
  std::vector<net::CertificateFiles> result;
  if (!tls.certificate_file().empty()) {
    result.emplace_back(tls.certificate_file(), tls.key_file());
  }
  for (const config::v1::Certificate& certificate : tls.certificates()) {
    result.emplace_back(
        certificate.certificate_file(), certificate.key_file(),
        std::vector<std::string>(certificate.names().begin(), certificate.names().end()));
  }
  return result;
}

absl::StatusOr<std::vector<SmtpListenerOptions>> SmtpListenersFrom(const Config& config) {
  constexpr char kSection[] = "smtp_listeners";
  std::vector<SmtpListenerOptions> result;
  const auto& listeners = config.gateway().smtp_listeners();
  for (int i = 0; i < listeners.size(); ++i) {
    const Listener& listener = listeners[i];
    const absl::StatusOr<SmtpRole> role = ParseSmtpRole(listener.role());
    if (!role.ok()) return KeyError(kSection, i, "role", role.status().message());
    if (*role == SmtpRole::kSubmissions && CertificatesFrom(config.tls()).empty()) {
      return NeedsCertificate(kSection, i, listener.role());
    }
    SmtpListenerOptions options;
    options.role = *role;
    options.strict_paths = listener.strict_paths();
    options.allow_plaintext_auth_on_loopback = listener.allow_plaintext_auth_on_loopback();
    options.from_policy = FromPolicyOf(listener.from_policy());
    if (listener.bare_newlines() == "normalize") {
      options.bare_newlines = smtp::BareNewlines::kNormalize;
    }
    for (const std::string& text : listener.trusted_networks()) {
      absl::StatusOr<TrustedNetwork> network = TrustedNetwork::Parse(text);
      if (!network.ok()) {
        return KeyError(kSection, i, "trusted_networks", network.status().message());
      }
      options.trusted_networks.push_back(*std::move(network));
    }
    absl::StatusOr<std::vector<net::IpNetwork>> xclient = Networks(
        listener.xclient_networks(), kSection, i, "xclient_networks");
    if (!xclient.ok()) return xclient.status();
    options.xclient_networks = *std::move(xclient);
    const absl::StatusOr<SmtpTls> tls =
        listener.tls().empty() ? SmtpTls::kOffered : ParseSmtpTls(listener.tls());
    if (!tls.ok()) return KeyError(kSection, i, "tls", tls.status().message());
    if (*tls == SmtpTls::kRequired && config.tls().certificate_file().empty()) {
      return KeyError(kSection, i, "tls", "required needs tls.certificate_file");
    }
    options.tls = *tls;
    options.hostname = listener.hostname();
    options.message_octets = listener.message_octets();
    options.messages_per_minute = listener.messages_per_minute();
    options.commands_per_minute = listener.commands_per_minute();
    options.domain_literals = listener.domain_literals();
    options.greeting_delay = absl::Milliseconds(listener.greeting_delay_milliseconds());
    result.push_back(std::move(options));
  }
  return result;
}

absl::StatusOr<SmtpListenerOptions> LocalListenerFrom(const config::v1::LocalSubmission& settings) {
  if (!smtp::IsDomainOrLiteral(settings.domain()) || settings.domain().front() == '[') {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("gateway.local_submission.domain: \"", settings.domain(),
                                    "\" is no domain"));
  }
  SmtpListenerOptions options;
  options.role = SmtpRole::kLocal;
  options.tls = SmtpTls::kOff;
  // Programs write what they like into From, and read no refusals.
  options.from_policy = FromPolicy::kRewrite;
  options.bare_newlines = smtp::BareNewlines::kNormalize;
  options.local_domain = settings.domain();
  options.trusted_users.assign(settings.trusted_users().begin(), settings.trusted_users().end());
  return options;
}

absl::StatusOr<std::vector<ImapListenerOptions>> ImapListenersFrom(const Config& config) {
  return TwoRoles<ImapListenerOptions>(config.gateway().imap_listeners(), "imap_listeners", "imap",
                                       "imaps", !CertificatesFrom(config.tls()).empty());
}

absl::StatusOr<std::vector<Pop3ListenerOptions>> Pop3ListenersFrom(const Config& config) {
  return TwoRoles<Pop3ListenerOptions>(config.gateway().pop3_listeners(), "pop3_listeners", "pop3",
                                       "pop3s", !CertificatesFrom(config.tls()).empty());
}

}  // namespace posthorn::gateway
