#include "services/delivery/route_table.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace posthorn::delivery {
namespace {

constexpr int kSmtpsPort = 465;
constexpr int kLmtpPort = 24;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

bool DomainMatches(std::string_view pattern, std::string_view domain) {
  if (pattern == "*") return true;
  if (!pattern.starts_with("*.")) return domain == pattern;
  return domain.ends_with(pattern.substr(1)) && domain.size() > pattern.size() - 1;
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text, int default_port) {
  const auto bad = [&] {
    return absl::InvalidArgumentError(absl::StrCat("no \"host:port\": \"", View(text), "\""));
  };
  HostPort result;
  result.port = default_port;
  if (text.starts_with("smtp://")) {
    text.remove_prefix(7);
  } else if (text.starts_with("smtps://")) {
    text.remove_prefix(8);
    result.protocol = Protocol::kSmtps;
    result.port = kSmtpsPort;
  } else if (text.starts_with("lmtp://")) {
    text.remove_prefix(7);
    result.protocol = Protocol::kLmtp;
    result.port = kLmtpPort;
    if (text.starts_with("/")) {
      result.host = std::string(text);
      result.port = 0;
      return result;
    }
  }
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return bad();
    result.host = std::string(text.substr(1, end - 1));
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad();
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return bad();
  } else {
    const std::size_t colon = text.find(':');
    result.host = absl::AsciiStrToLower(View(text.substr(0, colon)));
    if (colon != std::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.empty()) return bad();
    }
  }
  if (!port.empty() && (!absl::SimpleAtoi(View(port), &result.port) || result.port < 1 ||
                        result.port > 65535)) {
    return bad();
  }
  if (result.host.empty() || result.host.find('/') != std::string::npos) return bad();
  return result;
}

absl::Status RouteTable::Add(std::string pattern, const std::vector<std::string>& hosts,
                             int default_port, std::shared_ptr<const HostAccess> access,
                             TenantId tenant) {
  Route route;
  route.tenant = tenant;
  route.pattern = absl::AsciiStrToLower(pattern);
  const std::size_t star = route.pattern.rfind('*');
  if (route.pattern.empty() || (star != std::string::npos && star != 0) ||
      (star == 0 && route.pattern.size() > 1 && route.pattern[1] != '.')) {
    return absl::InvalidArgumentError(
        absl::StrCat("a route's pattern is \"example.net\", \"*.example.net\" or \"*\", not \"",
                     pattern, "\""));
  }
  if (hosts.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the route \"", pattern, "\" has no hosts"));
  }
  for (const std::string& host : hosts) {
    absl::StatusOr<HostPort> parsed = ParseHostPort(host, default_port);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the route \"", pattern, "\": ", parsed.status().message()));
    }
    parsed->access = access;
    route.hosts.push_back(*std::move(parsed));
  }
  routes_.push_back(std::move(route));
  return absl::OkStatus();
}

bool RouteTable::Route::Fits(std::string_view domain, TenantId sender) const {
  return (!tenant || tenant == sender) && DomainMatches(pattern, domain);
}

const std::vector<HostPort>* RouteTable::FindSpecific(std::string_view domain,
                                                      TenantId tenant) const {
  for (const Route& route : routes_) {
    if (route.pattern != "*" && route.Fits(domain, tenant)) return &route.hosts;
  }
  return nullptr;
}

const std::vector<HostPort>* RouteTable::Find(std::string_view domain, TenantId tenant) const {
  for (const Route& route : routes_) {
    if (route.Fits(domain, tenant)) return &route.hosts;
  }
  return nullptr;
}

}  // namespace posthorn::delivery
