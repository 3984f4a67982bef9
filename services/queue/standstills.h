#ifndef POSTHORN_SERVICES_QUEUE_STANDSTILLS_H_
#define POSTHORN_SERVICES_QUEUE_STANDSTILLS_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"

namespace posthorn::queue {

// Which mail goes to a site that stands still, paused or dead, so that its jobs can wait without being
// leased only to be told so. Workers' questions (Traffic::Admit) tell of a tenant's mail for a domain.
// Where a tenant's mail for a domain goes may depend on the sender (a smart host of its own), which
// nobody asks about: of each sender's domain one job is let through, and the others wait once it has
// had time to show another way. Only what this replica has heard; whether the site stands still at all is
// asked of Redis each time. Thread-safe; bounded; times are those of the caller's clock.
class Standstills {
 public:
  // Jobs of a site that wait come back this far apart, the first when the site may go on.
  static constexpr absl::Duration kPace = absl::Milliseconds(5);
  // How long what was let through has time.
  static constexpr absl::Duration kTrial = absl::Seconds(10);

  // A worker was told that nothing may go to `site`.
  void Refused(TenantId tenant, std::string_view domain, std::string_view site, absl::Time now);
  // Something may, or did, go there, or to another site.
  void Passed(TenantId tenant, std::string_view domain);
  // All of it: who has to know has to be told anew.
  void Forget();
  bool empty() const;

  // The site that the mail is known to go to; nullopt: no reason to keep it.
  std::optional<std::string> SiteOf(TenantId tenant, std::string_view domain) const;
  // When a job for a site that stands still until `until` comes back; nullopt: it is the one to be let
  // through. After SiteOf.
  std::optional<absl::Time> PutOff(TenantId tenant, std::string_view domain,
                                   std::string_view sender_domain, absl::Time until,
                                   absl::Time now);

 private:
  struct Trial {
    absl::Time at;
    bool confirmed = false;  // nothing has shown another way
  };
  struct Standstill {
    std::string site;
    absl::Time refused;
    std::map<std::string, Trial, std::less<>> trials;  // by the sender's domain
  };
  using Key = std::pair<TenantId, std::string>;

  mutable std::mutex mutex_;
  // All guarded by mutex_.
  absl::flat_hash_map<Key, Standstill> known_;
  absl::flat_hash_map<std::string, absl::Time> lines_;  // by site: when the last in line comes back
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_STANDSTILLS_H_
