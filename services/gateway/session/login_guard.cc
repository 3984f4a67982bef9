#include "services/gateway/session/login_guard.h"

#include <arpa/inet.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::gateway {
namespace {

// Longer or odd names become their hash: they are somebody's guesses, and keys stay short.
constexpr std::size_t kMaxName = 254;

std::string SubjectName(const std::string& name) {
  std::string lower = absl::AsciiStrToLower(name);
  const bool plain = std::all_of(lower.begin(), lower.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '{' && c != '}';
  });
  if (plain && lower.size() <= kMaxName) return lower;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(lower.data(), lower.size(), digest, &size, EVP_sha256(), nullptr);
  return "sha256-" +
         absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), 16));
}

// "192.0.2.0/24", "2001:db8::/64"; what is no address stays.
std::string NetworkOf(const std::string& ip) {
  std::array<std::uint8_t, 16> address{};
  char text[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET, ip.c_str(), address.data()) == 1) {
    address[3] = 0;
    inet_ntop(AF_INET, address.data(), text, sizeof(text));
    return absl::StrCat(text, "/24");
  }
  if (inet_pton(AF_INET6, ip.c_str(), address.data()) != 1) return ip;
  std::memset(address.data() + 8, 0, 8);
  inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  return absl::StrCat(text, "/64");
}

metrics::Counter& LockoutCounter(const char* kind) {
  return metrics::MakeCounter(
      "posthorn_gateway_lockouts_total",
      "Logins, accounts, addresses and networks that were locked out after too many failed logins. "
      "Many of kind \"login\" from many networks: passwords are being guessed, look for the "
      "addresses in the log and block them. Of an exempt balancer or webmail: add it to "
      "gateway.authentication.exempt_networks.",
      {{"kind", kind}});
}

void Report(const char* kind, const std::string& subject, const redis::LockoutState& state) {
  if (!state.just_locked) return;
  LockoutCounter(kind).Increment();
  log::Warn("login", "locked out",
            {{"subject", subject},
             {"failures", state.failures},
             {"seconds", absl::ToInt64Seconds(state.locked_for)},
             {"undo", absl::StrCat("posthornctl lockout clear '", subject, "'")}});
}

}  // namespace

LoginGuard::LoginGuard(redis::Lockouts& lockouts, const Clock& clock, LoginGuardOptions options)
    : lockouts_(lockouts), clock_(clock), options_(std::move(options)) {
  for (const char* kind : {"login", "address", "network", "account"}) LockoutCounter(kind);
}

bool LoginGuard::IsExempt(const std::string& ip) const {
  return ip.empty() || net::AnyContains(options_.exempt_networks, ip);
}

redis::LockoutPolicy LoginGuard::PolicyFor(int failures) const {
  redis::LockoutPolicy policy;
  policy.failures = failures;
  policy.window = options_.window;
  policy.lockout = options_.lockout;
  policy.max_lockout = std::max(policy.max_lockout, options_.lockout);
  return policy;
}

Task<LoginGuard::Attempt> LoginGuard::Begin(std::string name, std::string client_ip) {
  static metrics::Counter& refused = metrics::MakeCounter(
      "posthorn_gateway_locked_out_logins_total",
      "Logins that were refused unchecked, because somebody was locked out. People complain: "
      "posthornctl lockout list.");
  Attempt attempt;
  attempt.begun = clock_.Now();
  const std::string subject = SubjectName(name);
  const std::string network = NetworkOf(client_ip);
  const std::string from = network.empty() ? "here" : network;
  attempt.login = absl::StrCat("login:", subject.empty() ? "-" : subject, " from ", from);
  std::vector<std::string> subjects = {attempt.login};
  if (!subject.empty()) {
    attempt.account = absl::StrCat("account:", subject);
    subjects.push_back(attempt.account);
  }
  if (!IsExempt(client_ip)) {
    attempt.address = absl::StrCat("address:", client_ip);
    attempt.network = absl::StrCat("network:", network);
    subjects.push_back(attempt.address);
    subjects.push_back(attempt.network);
  }
  const std::vector<std::string> asked = subjects;
  const redis::Lockouts::View view = co_await lockouts_.Look(std::move(subjects), attempt.login);
  attempt.known = view.marked;
  attempt.login_failed = view.states[0].failures > 0;
  for (std::size_t i = 0; i < view.states.size(); ++i) {
    // Those of an account or a network are many people's.
    if (asked[i] == attempt.login || asked[i] == attempt.address) {
      attempt.failures = std::max(attempt.failures, view.states[i].failures);
    }
    const bool locked = view.states[i].locked_for > absl::ZeroDuration();
    // Whoever has been here before answers for himself only.
    if (locked && (i == 0 || !view.marked)) attempt.locked_out = true;
  }
  if (attempt.locked_out) refused.Increment();
  co_return attempt;
}

Task<void> LoginGuard::Succeeded(Attempt attempt) {
  if (attempt.login_failed) co_await lockouts_.Clear(attempt.login);
  if (!attempt.known) co_await lockouts_.Mark(attempt.login, options_.known_network);
}

Task<void> LoginGuard::Failed(Attempt attempt) {
  std::int64_t failures = attempt.failures + 1;
  if (!attempt.locked_out) {
    const redis::LockoutState login =
        co_await lockouts_.Fail(attempt.login, PolicyFor(options_.failures_per_login));
    Report("login", attempt.login, login);
    failures = std::max(failures, login.failures);
    if (!attempt.account.empty()) {
      const redis::LockoutState account =
          co_await lockouts_.Fail(attempt.account, PolicyFor(options_.failures_per_account));
      Report("account", attempt.account, account);
    }
    if (!attempt.address.empty()) {
      const redis::LockoutState address =
          co_await lockouts_.Fail(attempt.address, PolicyFor(options_.failures_per_address));
      Report("address", attempt.address, address);
      failures = std::max(failures, address.failures);
      const redis::LockoutState network =
          co_await lockouts_.Fail(attempt.network, PolicyFor(options_.failures_per_network));
      Report("network", attempt.network, network);
    }
  }
  const int doublings = static_cast<int>(std::clamp<std::int64_t>(failures - 1, 0, 30));
  const absl::Duration delay =
      std::min(options_.maximum_delay, options_.delay * (std::int64_t{1} << doublings));
  const absl::Duration left = attempt.begun + delay - clock_.Now();
  if (left > absl::ZeroDuration()) co_await SleepFor(left);
}

}  // namespace posthorn::gateway
