#include "lib/config/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace posthorn::config {
namespace {

using Roles = std::vector<std::string>;

bool IsIpAddress(const std::string& text) {
  in6_addr buffer;
  return inet_pton(AF_INET, text.c_str(), &buffer) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &buffer) == 1;
}

// "192.0.2.0/24" or "2001:db8::/32"
bool IsNetwork(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return IsIpAddress(text);
  const std::string ip = text.substr(0, slash);
  int bits = -1;
  if (!IsIpAddress(ip) || !absl::SimpleAtoi(text.substr(slash + 1), &bits)) return false;
  return bits >= 0 && bits <= (absl::StrContains(ip, ":") ? 128 : 32);
}

// "host:port" or "[address]:port"
bool IsHostAndPort(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  int port = 0;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 1 || port > 65535) return false;
  const std::string host = text.substr(0, colon);
  if (host.front() == '[') return host.back() == ']' && IsIpAddress(host.substr(1, host.size() - 2));
  return !absl::StrContains(host, ":");
}

// A host and port, perhaps after a scheme, or the path of a socket.
bool IsRouteHost(absl::string_view text) {
  const bool schemes = absl::ConsumePrefix(&text, "smtp://") ||
                       absl::ConsumePrefix(&text, "smtps://");
  const bool lmtp = !schemes && absl::ConsumePrefix(&text, "lmtp://");
  return (lmtp && text.size() > 1 && text.front() == '/') || IsHostAndPort(std::string(text));
}

class Checker {
 public:
  explicit Checker(const absl::flat_hash_map<std::string, std::string>& origins)
      : origins_(origins) {}

  // Keeps the first complaint.
  void Require(bool holds, const std::string& key, const std::string& text) {
    if (holds || !status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(PlaceOf(key), key, ": ", text));
  }
  absl::Status status() const { return status_; }

 private:
  // Of the key itself, or of the nearest thing around it that was given.
  std::string PlaceOf(std::string key) const {
    while (!key.empty()) {
      if (const auto found = origins_.find(key); found != origins_.end()) {
        return absl::StrCat(found->second, ": ");
      }
      const std::size_t cut = key.find_last_of(".[");
      key.resize(cut == std::string::npos ? 0 : cut);
    }
    return "";
  }

  const absl::flat_hash_map<std::string, std::string>& origins_;
  absl::Status status_;
};

void CheckNetworks(Checker& checker, const std::string& key,
                   const google::protobuf::RepeatedPtrField<std::string>& networks) {
  for (int n = 0; n < networks.size(); ++n) {
    checker.Require(IsNetwork(networks[n]), absl::StrCat(key, "[", n, "]"),
                    absl::StrCat("must be a network, as in 10.0.0.0/8, not \"", networks[n], "\""));
  }
}

template <typename Listeners>
void CheckListeners(Checker& checker, const std::string& list, const Listeners& listeners,
                    const Roles& roles) {
  for (int i = 0; i < listeners.size(); ++i) {
    const v1::Listener& listener = listeners[i];
    const std::string key = absl::StrCat(list, "[", i, "]");
    checker.Require(std::find(roles.begin(), roles.end(), listener.role()) != roles.end(),
                    key + ".role",
                    absl::StrCat("must be one of ", absl::StrJoin(roles, ", "), ", not \"",
                                 listener.role(), "\""));
    checker.Require(IsIpAddress(listener.address()), key + ".address",
                    absl::StrCat("must be an IP address, not \"", listener.address(), "\""));
    for (int n = 0; n < listener.trusted_networks_size(); ++n) {
      const std::string& entry = listener.trusted_networks(n);
      const std::size_t equals = entry.find('=');
      const bool good = equals != std::string::npos && equals + 1 < entry.size() &&
                        IsNetwork(entry.substr(0, equals));
      checker.Require(good, absl::StrCat(key, ".trusted_networks[", n, "]"),
                      absl::StrCat("must be network=tenant, as in 10.0.0.0/8=acme, not \"", entry,
                                   "\""));
    }
    CheckNetworks(checker, key + ".proxy_networks", listener.proxy_networks());
    CheckNetworks(checker, key + ".xclient_networks", listener.xclient_networks());
  }
}

void CheckPair(Checker& checker, const std::string& first_key, const std::string& first,
               const std::string& second_key, const std::string& second) {
  checker.Require(first.empty() || !second.empty(), second_key,
                  absl::StrCat("must be set too, because ", first_key, " is"));
  checker.Require(second.empty() || !first.empty(), first_key,
                  absl::StrCat("must be set too, because ", second_key, " is"));
}

void CheckAuthentication(Checker& checker, const v1::Authentication& authentication) {
  const std::string base = "gateway.authentication.";
  for (int i = 0; i < authentication.exempt_networks_size(); ++i) {
    const std::string& network = authentication.exempt_networks(i);
    checker.Require(IsNetwork(network), absl::StrCat(base, "exempt_networks[", i, "]"),
                    absl::StrCat("must be a network, as in 10.0.0.0/8, not \"", network, "\""));
  }
  for (int i = 0; i < authentication.token_issuers_size(); ++i) {
    const v1::TokenIssuer& issuer = authentication.token_issuers(i);
    const std::string key = absl::StrCat(base, "token_issuers[", i, "].");
    checker.Require(!issuer.issuer().empty(), key + "issuer", "must be set");
    checker.Require(!issuer.audience().empty(), key + "audience", "must be set");
    checker.Require(!issuer.jwks_file().empty(), key + "jwks_file", "must be a path");
  }
}

void CheckRedis(Checker& checker, const v1::Redis& redis) {
  const auto is_server = [](const std::string& address) {
    return address.starts_with("/") || IsHostAndPort(address);
  };
  checker.Require(redis.address().empty() || is_server(redis.address()), "redis.address",
                  absl::StrCat("must be host:port or the path of a socket, not \"",
                               redis.address(), "\""));
  for (int i = 0; i < redis.addresses_size(); ++i) {
    checker.Require(IsHostAndPort(redis.addresses(i)), absl::StrCat("redis.addresses[", i, "]"),
                    absl::StrCat("must be host:port, not \"", redis.addresses(i), "\""));
  }
  // Which of the two is meant must be plain: a key without effect is a mistake.
  const bool standalone = redis.topology() == "standalone";
  checker.Require(!standalone || redis.addresses().empty(), "redis.addresses",
                  "is for topology: sentinel or cluster");
  checker.Require(standalone || !redis.addresses().empty(), "redis.addresses",
                  absl::StrCat("must be set, because redis.topology is ", redis.topology()));
  checker.Require(standalone || redis.address().empty(), "redis.address",
                  absl::StrCat("must be empty, because redis.topology is ", redis.topology()));
  checker.Require(redis.topology() != "sentinel" || !redis.sentinel_master().empty(),
                  "redis.sentinel_master", "must be a name");
  checker.Require(redis.user().empty() || !redis.password().empty(), "redis.password",
                  "must be set too, because redis.user is");
  checker.Require(!redis.tls() || !redis.tls_ca_file().empty(), "redis.tls_ca_file",
                  "must be a path");
  CheckPair(checker, "redis.tls_certificate_file", redis.tls_certificate_file(),
            "redis.tls_key_file", redis.tls_key_file());
}

}  // namespace

absl::Status Check(const v1::Config& config,
                   const absl::flat_hash_map<std::string, std::string>& origins) {
  Checker checker(origins);
  checker.Require(!config.hostname().empty() &&
                      config.hostname().find_first_of(" \t\r\n") == std::string::npos,
                  "hostname", "must be a host name");
  checker.Require(!config.data_dir().empty(), "data_dir", "must be a path");
  CheckPair(checker, "tls.certificate_file", config.tls().certificate_file(), "tls.key_file",
            config.tls().key_file());
  for (int i = 0; i < config.tls().certificates_size(); ++i) {
    const std::string key = absl::StrCat("tls.certificates[", i, "]");
    const v1::Certificate& certificate = config.tls().certificates(i);
    checker.Require(!certificate.certificate_file().empty(), key + ".certificate_file",
                    "must be a path");
    checker.Require(!certificate.key_file().empty(), key + ".key_file", "must be a path");
  }
  CheckPair(checker, "rpc.certificate_file", config.rpc().certificate_file(), "rpc.key_file",
            config.rpc().key_file());
  checker.Require(config.rpc().ca_file().empty() || !config.rpc().certificate_file().empty(),
                  "rpc.certificate_file", "must be set too, because rpc.ca_file is");
  checker.Require(config.rpc().certificate_file().empty() || !config.rpc().ca_file().empty(),
                  "rpc.ca_file", "must be set too, because rpc.certificate_file is");

  CheckRedis(checker, config.redis());
  checker.Require(config.dns().address().empty() || IsIpAddress(config.dns().address()),
                  "dns.address",
                  absl::StrCat("must be an IP address, not \"", config.dns().address(), "\""));

  const v1::Gateway& gateway = config.gateway();
  CheckListeners(checker, "gateway.smtp_listeners", gateway.smtp_listeners(),
                 {"mx", "submission", "submissions", "lmtp"});
  CheckListeners(checker, "gateway.imap_listeners", gateway.imap_listeners(), {"imap", "imaps"});
  CheckListeners(checker, "gateway.pop3_listeners", gateway.pop3_listeners(), {"pop3", "pop3s"});
  CheckAuthentication(checker, gateway.authentication());
  checker.Require(IsIpAddress(gateway.api_address()), "gateway.api_address",
                  absl::StrCat("must be an IP address, not \"", gateway.api_address(), "\""));
  checker.Require(IsIpAddress(config.http().address()), "http.address",
                  absl::StrCat("must be an IP address, not \"", config.http().address(), "\""));

  checker.Require(!config.queue().retry_schedule_seconds().empty(), "queue.retry_schedule_seconds",
                  "must have at least one delay");
  for (int i = 0; i < config.queue().retry_rules_size(); ++i) {
    const std::string& destination = config.queue().retry_rules(i).destination();
    checker.Require(destination.find_first_of("@ ,") == std::string::npos &&
                        destination.find('*', destination.starts_with("*") ? 1 : 0) ==
                            std::string::npos,
                    absl::StrCat("queue.retry_rules[", i, "].destination"),
                    "must be a domain, *.domain, local or *");
  }
  const v1::Delivery& delivery = config.delivery();
  for (int i = 0; i < delivery.routes_size(); ++i) {
    const std::string key = absl::StrCat("delivery.routes[", i, "]");
    checker.Require(!delivery.routes(i).pattern().empty(), key + ".pattern",
                    "must be a domain, *.domain or *");
    checker.Require(!delivery.routes(i).hosts().empty(), key + ".hosts",
                    "must name at least one host:port");
    for (int n = 0; n < delivery.routes(i).hosts_size(); ++n) {
      checker.Require(IsRouteHost(delivery.routes(i).hosts(n)),
                      absl::StrCat(key, ".hosts[", n, "]"),
                      absl::StrCat("must be host:port or [address]:port, perhaps after smtps:// or "
                                   "lmtp://, or lmtp:///path, not \"",
                                   delivery.routes(i).hosts(n), "\""));
    }
    const v1::Route& route = delivery.routes(i);
    checker.Require(route.password().empty() || route.password_file().empty(),
                    key + ".password_file", "must not be set besides password");
    checker.Require(route.username().empty() ==
                        (route.password().empty() && route.password_file().empty()),
                    key + ".username", "and a password must be set both or none");
    checker.Require(route.username().empty() ||
                        (route.tls() != "off" && route.tls() != "opportunistic"),
                    key + ".tls", "must be required or verified, because username is set");
  }
  for (int i = 0; i < delivery.tls_rules_size(); ++i) {
    const std::string key = absl::StrCat("delivery.tls_rules[", i, "]");
    const std::string& pattern = delivery.tls_rules(i).pattern();
    checker.Require(!pattern.empty() && pattern.find('*', pattern.starts_with("*") ? 1 : 0) ==
                                            std::string::npos &&
                        (!pattern.starts_with("*") || pattern == "*" || pattern.starts_with("*.")),
                    key + ".pattern", "must be a domain, *.domain or *");
    checker.Require(delivery.tls_rules(i).names().empty() ||
                        delivery.tls_rules(i).level() == "verified",
                    key + ".names", "are only for the level verified");
    checker.Require(delivery.tls_rules(i).level() != "dane" ||
                        !delivery.dnssec_trust_anchor_file().empty(),
                    "delivery.dnssec_trust_anchor_file",
                    absl::StrCat("must be set, because of ", key, ".level"));
  }
  return checker.status();
}

}  // namespace posthorn::config
