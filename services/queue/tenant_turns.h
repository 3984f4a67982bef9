#ifndef POSTHORN_SERVICES_QUEUE_TENANT_TURNS_H_
#define POSTHORN_SERVICES_QUEUE_TENANT_TURNS_H_

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "services/queue/schedule.h"

namespace posthorn::queue {

// Shares places between the tenants that have due jobs, over all shards: a shard shares what is taken
// from it, but a tenant whose mail is in one shard would get its share of that one only. Who has had
// least, counted by weight, comes first; of a tenant's shards each has its turn. Who has nothing due is
// forgotten, and comes back as one of those who have had least. Not thread-safe.
class TenantTurns {
 public:
  explicit TenantTurns(const Schedule::Weights& weights);

  // Who has due jobs where, as Redis has just said; shards that did not answer are left out.
  void Update(const std::vector<Schedule::DueTenants>& shards);
  // More than one tenant waits: places are to be shared.
  bool contended() const { return waiting_.size() > 1; }
  // What to take for `places`, at most once for a tenant; no places are left over as long as somebody
  // is known to wait. Counts as taken until Took says otherwise.
  std::vector<Schedule::Share> Next(int places);
  // How many jobs there were: if less than the share, the tenant has no more there.
  void Took(const Schedule::Share& share, int jobs);

 private:
  struct Tenant {
    double had = 0;         // jobs by weight, more than who has had least
    int last_shard = -1;    // the latest taken from
    std::set<int> shards;   // with due jobs
  };
  double CostOf(TenantId tenant) const;

  std::map<TenantId, int> weights_;
  std::map<TenantId, Tenant> waiting_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_TENANT_TURNS_H_
