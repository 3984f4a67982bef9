#include "services/queue/tenant_turns.h"

#include <algorithm>
#include <limits>
#include <queue>

namespace posthorn::queue {

TenantTurns::TenantTurns(const Schedule::Weights& weights)
    : weights_(weights.begin(), weights.end()) {}

double TenantTurns::CostOf(TenantId tenant) const {
  const auto weight = weights_.find(tenant);
  return weight == weights_.end() ? 1.0 : 1.0 / weight->second;
}

void TenantTurns::Update(const std::vector<Schedule::DueTenants>& shards) {
  std::map<TenantId, Tenant> before = std::move(waiting_);
  waiting_.clear();
  for (const Schedule::DueTenants& shard : shards) {
    for (const TenantId tenant : shard.tenants) waiting_[tenant].shards.insert(shard.shard);
  }
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [id, tenant] : before) {
    if (waiting_.contains(id)) least = std::min(least, tenant.had);
  }
  for (auto& [id, tenant] : waiting_) {
    const auto known = before.find(id);
    if (known == before.end()) continue;
    tenant.had = known->second.had - least;
    tenant.last_shard = known->second.last_shard;
  }
}

std::vector<Schedule::Share> TenantTurns::Next(int places) {
  using Turn = std::pair<double, TenantId>;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (const auto& [id, tenant] : waiting_) turns.emplace(tenant.had, id);
  std::vector<Schedule::Share> shares;
  std::map<TenantId, std::size_t> place_of;
  for (; places > 0 && !turns.empty(); --places) {
    const TenantId id = turns.top().second;
    turns.pop();
    const auto [found, added] = place_of.try_emplace(id, shares.size());
    if (added) {
      Tenant& tenant = waiting_[id];
      auto shard = tenant.shards.upper_bound(tenant.last_shard);
      if (shard == tenant.shards.end()) shard = tenant.shards.begin();
      tenant.last_shard = *shard;
      Schedule::Share share;
      share.shard = *shard;
      share.tenant = id;
      shares.push_back(share);
    }
    ++shares[found->second].max;
    turns.emplace(waiting_[id].had += CostOf(id), id);
  }
  return shares;
}

void TenantTurns::Took(const Schedule::Share& share, int jobs) {
  const auto found = waiting_.find(share.tenant);
  if (found == waiting_.end() || jobs >= share.max) return;
  found->second.had -= CostOf(share.tenant) * (share.max - jobs);
  found->second.shards.erase(share.shard);
  if (found->second.shards.empty()) waiting_.erase(found);
}

}  // namespace posthorn::queue
