#include "services/delivery/smart_hosts.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::delivery {
namespace {

constexpr absl::Duration kFresh = absl::Seconds(30);
constexpr absl::Duration kUsable = absl::Hours(1);
constexpr std::size_t kMaxKnown = 10000;

}  // namespace

Task<absl::StatusOr<std::vector<HostPort>>> SmartHosts::For(Sender sender) {
  const std::size_t at = sender.reverse_path.rfind('@');
  if (at == std::string::npos || !sender.tenant) co_return std::vector<HostPort>();
  const std::pair<TenantId, std::string> key(
      sender.tenant, absl::AsciiStrToLower(sender.reverse_path.substr(at + 1)));
  const absl::Time now = clock_.Now();
  auto it = known_.find(key);
  if (it != known_.end() && now - it->second.at < kFresh) co_return it->second.hosts;
  const absl::StatusOr<SmartHostSettings> found =
      co_await directory_.FindSmartHosts(key.first, key.second);
  if (!found.ok()) {
    it = known_.find(key);
    if (it != known_.end() && now - it->second.at < kUsable) co_return it->second.hosts;
    // The way is not known; that is no reason to return mail.
    if (!IsPermanent(found.status())) co_return found.status();
    co_return MakeFailure(Failure::kUnavailable, PeerText(found.status()));
  }
  Known entry;
  entry.at = now;
  std::shared_ptr<HostAccess> access;
  if (!found->username.empty() || !found->tls.empty()) {
    access = std::make_shared<HostAccess>();
    access->tls = TlsLevelFrom(found->tls);
    access->username = found->username;
    access->password = found->password;
  }
  for (const std::string& text : found->hosts) {
    absl::StatusOr<HostPort> host = ParseHostPort(text, default_port_);
    if (!host.ok()) {
      co_return MakeFailure(Failure::kUnavailable,
                            absl::StrCat("the smart host of ", key.second, " is malformed"));
    }
    host->access = access;
    entry.hosts.push_back(*std::move(host));
  }
  if (known_.size() >= kMaxKnown) known_.clear();
  std::vector<HostPort> hosts = entry.hosts;
  known_[key] = std::move(entry);
  co_return hosts;
}

}  // namespace posthorn::delivery
