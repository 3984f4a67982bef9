#ifndef POSTHORN_SERVICES_DELIVERY_STS_POLICIES_H_
#define POSTHORN_SERVICES_DELIVERY_STS_POLICIES_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/dns/resolver.h"
#include "services/delivery/sts_policy.h"

namespace posthorn::delivery {

// A policy as it was fetched, under the id that DNS had then.
struct StoredStsPolicy {
  std::string id;
  std::string text;
  absl::Time fetched_at;
};

// Where policies are kept for all workers, also over restarts.
class StsStore {
 public:
  virtual ~StsStore() = default;
  virtual Task<absl::StatusOr<std::optional<StoredStsPolicy>>> FindStsPolicy(
      std::string domain) = 0;
  virtual Task<absl::Status> StoreStsPolicy(std::string domain, StoredStsPolicy policy) = 0;
};

// Fetches "https://mta-sts.<domain>/.well-known/mta-sts.txt" (RFC 8461 section 3.3), with a
// certificate for that name, without redirects. A failure has a TlsResultOf.
class StsFetcher {
 public:
  virtual ~StsFetcher() = default;
  virtual Task<absl::StatusOr<std::string>> FetchStsPolicy(std::string domain) = 0;
};

struct StsFinding {
  std::optional<StsPolicy> policy;  // none: there is none, or none is known
  std::string text;
  std::string problem;  // for reports: "sts-policy-fetch-error"; empty: none
  std::string error;    // one line about it
};

// Which MTA-STS policy a domain has now: what is kept counts until its max_age is over, and is
// fetched anew when the id in DNS is another (section 5.1) and after a day (section 3.3). After a
// failure nothing is fetched for five minutes. Belongs to one executor; what it is given outlives it.
class StsPolicies {
 public:
  StsPolicies(dns::Resolver& resolver, StsStore& store, StsFetcher& fetcher, const Clock& clock)
      : resolver_(resolver), store_(store), fetcher_(fetcher), clock_(clock) {}

  Task<StsFinding> For(std::string domain);

 private:
  struct Known {
    std::string id;
    std::shared_ptr<const StsFinding> finding;
    absl::Time fetched_at;
    absl::Time retry_at = absl::InfinitePast();  // no fetch before
  };
  bool IsFresh(const Known& known) const;
  bool IsCurrent(const Known& known, const std::string& id) const;
  Task<Known> Recall(std::string domain);
  Task<Known> Fetch(std::string domain, std::string id, Known known);

  dns::Resolver& resolver_;
  StsStore& store_;
  StsFetcher& fetcher_;
  const Clock& clock_;
  absl::flat_hash_map<std::string, Known> known_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_STS_POLICIES_H_
