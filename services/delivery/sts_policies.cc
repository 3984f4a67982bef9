#include "services/delivery/sts_policies.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"
#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {
namespace {

constexpr absl::Duration kRetry = absl::Minutes(5);
// What is in force is fetched again so often, so that it does not run out (section 3.3).
constexpr absl::Duration kRefresh = absl::Hours(24);
constexpr std::size_t kMaxKnown = 10000;

std::shared_ptr<const StsFinding> FindingOf(std::string text) {
  auto finding = std::make_shared<StsFinding>();
  absl::StatusOr<StsPolicy> policy = ParseStsPolicy(text);
  if (policy.ok()) {
    finding->policy = *std::move(policy);
    finding->text = std::move(text);
  } else {
    finding->problem = "sts-policy-invalid";
    finding->error = std::string(policy.status().message());
  }
  return finding;
}

}  // namespace

bool StsPolicies::IsFresh(const Known& known) const {
  return known.finding != nullptr && known.finding->policy.has_value() &&
         clock_.Now() - known.fetched_at < known.finding->policy->max_age;
}

bool StsPolicies::IsCurrent(const Known& known, const std::string& id) const {
  return IsFresh(known) && known.id == id && clock_.Now() - known.fetched_at < kRefresh;
}

Task<StsFinding> StsPolicies::For(std::string domain) {
  const dns::Answer<std::string> records =
      co_await resolver_.QueryTxt(absl::StrCat("_mta-sts.", domain));
  const std::optional<std::string> id = ParseStsRecord(records.records);
  auto it = known_.find(domain);
  Known known;
  if (it != known_.end()) known = it->second;
  const bool here = id.has_value() ? IsCurrent(known, *id) : IsFresh(known);
  if (here) co_return *known.finding;
  const bool waits = clock_.Now() < known.retry_at;
  // Another worker may have it, or this one had it before it started anew.
  if (!waits) {
    const absl::Time retry_at = known.retry_at;
    Known stored = co_await Recall(domain);
    if (IsFresh(stored) && (!IsFresh(known) || stored.fetched_at > known.fetched_at)) {
      known = std::move(stored);
      known.retry_at = retry_at;
    }
    if (id.has_value() && !IsCurrent(known, *id)) {
      known = co_await Fetch(domain, *id, std::move(known));
    }
    if (known_.size() >= kMaxKnown) known_.clear();
    // A domain without any of it is not worth a place: DNS is asked anyway.
    if (known.finding != nullptr) known_[domain] = known;
  }
  if (known.finding == nullptr) co_return StsFinding();
  if (IsFresh(known) || !known.finding->policy.has_value()) co_return *known.finding;
  co_return StsFinding();
}

Task<StsPolicies::Known> StsPolicies::Recall(std::string domain) {
  Known known;
  absl::StatusOr<std::optional<StoredStsPolicy>> stored =
      co_await store_.FindStsPolicy(std::move(domain));
  if (!stored.ok() || !stored->has_value()) co_return known;
  known.id = std::move((*stored)->id);
  known.fetched_at = (*stored)->fetched_at;
  known.finding = FindingOf(std::move((*stored)->text));
  co_return known;
}

// `known` stays in force where the fetch fails (RFC 8461 section 5.1).
Task<StsPolicies::Known> StsPolicies::Fetch(std::string domain, std::string id, Known known) {
  absl::StatusOr<std::string> text = co_await fetcher_.FetchStsPolicy(domain);
  Known fetched;
  fetched.fetched_at = clock_.Now();
  fetched.id = std::move(id);
  if (text.ok()) {
    fetched.finding = FindingOf(*text);
  } else {
    auto failed = std::make_shared<StsFinding>();
    failed->problem = TlsResultOf(text.status());
    if (failed->problem.empty()) failed->problem = "sts-policy-fetch-error";
    failed->error = std::string(text.status().message());
    fetched.finding = std::move(failed);
  }
  if (!fetched.finding->policy.has_value()) {
    Metrics().sts_failures.Increment();
    log::Warn("delivery", "no MTA-STS policy could be fetched",
              {{"domain", domain}, {"error", fetched.finding->error}});
    fetched.retry_at = clock_.Now() + kRetry;
    if (!IsFresh(known)) co_return fetched;
    known.retry_at = fetched.retry_at;
    co_return known;
  }
  StoredStsPolicy stored;
  stored.id = fetched.id;
  stored.text = *std::move(text);
  stored.fetched_at = fetched.fetched_at;
  const absl::Status kept = co_await store_.StoreStsPolicy(domain, std::move(stored));
  if (!kept.ok()) {
    log::Warn("delivery", "an MTA-STS policy is known to this worker only",
              {{"domain", domain}, {"error", kept}});
  }
  co_return fetched;
}

}  // namespace posthorn::delivery
