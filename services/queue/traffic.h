#ifndef POSTHORN_SERVICES_QUEUE_TRAFFIC_H_
#define POSTHORN_SERVICES_QUEUE_TRAFFIC_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/redis/client.h"
#include "services/queue/pauses.h"
#include "services/queue/standstills.h"

namespace posthorn::queue {

// 0: no limit.
struct TrafficLimits {
  int connections = 0;
  int per_second = 0;
  int per_minute = 0;
  int per_hour = 0;
  bool rated() const { return per_second > 0 || per_minute > 0 || per_hour > 0; }
};

struct SourceOffer {
  std::string name;
  std::int64_t per_day = 0;  // 0: no limit
};

// A message that wants to go to a site. What one `rule` limits at one site is counted together.
struct AdmitRequest {
  TenantId tenant;
  std::string site;
  std::string rule;
  std::string domain;
  TrafficLimits limits;
  std::vector<SourceOffer> sources;
};

struct Admission {
  bool granted = false;
  absl::Duration wait;      // else: when to come back
  std::string reason;       // else
  bool whole_site = false;  // else: nothing else may go there either
  int source = 0;           // which of those offered
  // There is nothing to ask for so long; with whole_site, for no other domain there either.
  absl::Duration free_for;
  bool probe = false;       // the site was dead
};

struct ConnectionSlot {
  std::string site;
  std::string rule;
  std::string token;
};

struct SlotAnswer {
  bool granted = true;
  absl::Duration wait;
};

struct TrafficNote {
  enum class Action { kSlowDown = 1, kPause = 2, kAvoidSource = 3, kDead = 4, kAlive = 5,
                      kUnused = 6 };
  std::string site;
  std::string domain;
  Action action = Action::kSlowDown;
  absl::Duration duration;
  std::string source;
  std::string reason;
  bool probe = false;  // by the one who had to find out
};

struct SiteState {
  struct Rule {
    std::string name;
    TrafficLimits limits;
    int connections = 0;    // that stand
    double per_second = 0;  // the lowest of the rates in force; 0: none
  };
  std::string site;
  std::vector<Rule> rules;
  int slowed = 0;
  absl::Time paused_until = absl::InfinitePast();
  bool by_operator = false;
  bool dead = false;
  absl::Time probe_at;
  std::string reason;
  std::vector<std::string> avoided_sources;
  std::vector<std::string> waiting_domains;
};

// What may go where and when, over all workers. In Redis, by site, one slot each:
//   posthorn:traffic:{<site>}           hash: level and since (how often the rate was halved, and
//                                       when last), paused and why, dead, probe and probing, and
//                                       "r:<rule>:s", ":m", ":h" (when a bucket is full again),
//                                       "l:<rule>" and "n:<rule>" (its limits), "a:<source>",
//                                       "d:<domain>"
//   posthorn:traffic:{<site>}:w:<rule>  zset: tenant -> the turn of the last job that waits; with
//                                       ":c" at the end, of those that wait for a connection
//   posthorn:traffic:{<site>}:c:<rule>  zset: connection -> end of its lease
//   posthorn:traffic:sites              zset: site -> when something was last known of it
//   posthorn:source:{<name>}:<day>      string: messages from a source that warms up
// All of it may be lost: limits start afresh. With Redis away what has limits waits, and what has
// none goes. Times are those of `clock`. Thread-safe; what is passed outlives it.
class Traffic {
 public:
  struct Options {
    absl::Duration recovery = absl::Minutes(5);
    int slow_per_second = 10;
    // Between attempts at a dead site.
    std::vector<absl::Duration> probe_schedule = {absl::Minutes(1), absl::Minutes(5)};
    absl::Duration connection_lease = absl::Seconds(30);
    absl::Duration free_for = absl::Seconds(5);
    // In [0, 1).
    std::function<double()> chance;
  };
  // Nobody waits longer at once: expiry and warnings are looked after when a job comes back.
  static constexpr absl::Duration kLongestWait = absl::Minutes(15);

  Traffic(redis::Client& client, Pauses& pauses, const Clock& clock, Options options);

  Task<Admission> Admit(AdmitRequest request);
  Task<SlotAnswer> TakeConnection(TenantId tenant, ConnectionSlot slot, int limit);
  Task<void> KeepConnections(std::vector<ConnectionSlot> slots);
  Task<void> DropConnections(std::vector<ConnectionSlot> slots);
  Task<absl::Status> Note(TrafficNote note);

  // `name`: a site or a domain that waits for one; empty: all that are known.
  Task<absl::StatusOr<std::vector<SiteState>>> List(std::string name);
  // Forgets what answers have led to at a site, or at those that take the domain's mail. The domains
  // that wait there.
  Task<absl::StatusOr<std::vector<std::string>>> Clear(std::string name);
  // Until when nothing may go to each of these (domain, site): paused, or dead and not to be probed
  // yet; InfinitePast: it may, or Redis does not tell.
  Task<std::vector<absl::Time>> StandUntil(
      std::vector<std::pair<std::string, std::string>> destinations);
  // What Admit has refused.
  Standstills& standstills() { return standstills_; }
  // Lets one message to each dead site find out now, for an operator who wants mail tried.
  Task<void> ProbeNow();

 private:
  Admission Wait(absl::Duration wait, std::string reason, bool whole_site) const;
  Task<bool> TakeOfDay(const SourceOffer& source);
  Task<absl::Status> GiveBackOfDay(std::string source);
  bool IsNews(const std::string& what);
  Task<void> Remember(std::string site);
  Task<void> RememberWaiting(std::string site, std::string domain);
  Task<absl::StatusOr<std::vector<SiteState>>> ReadSites(std::vector<std::string> sites);

  redis::Client& client_;
  Pauses& pauses_;
  const Clock& clock_;
  const Options options_;
  Standstills standstills_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, absl::Time> remembered_;  // guarded by mutex_
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_TRAFFIC_H_
