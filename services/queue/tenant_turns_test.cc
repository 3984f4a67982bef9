#include "services/queue/tenant_turns.h"

#include <gtest/gtest.h>

#include <map>

namespace posthorn::queue {
namespace {

Schedule::DueTenants Shard(int shard, std::vector<int> tenants) {
  Schedule::DueTenants due;
  due.shard = shard;
  for (const int tenant : tenants) due.tenants.push_back(TenantId(tenant));
  return due;
}

using Places = std::map<std::int64_t, int>;

Places Add(const std::vector<Schedule::Share>& shares) {
  Places places;
  for (const Schedule::Share& share : shares) places[share.tenant.value()] += share.max;
  return places;
}

TEST(TenantTurnsTest, AShardAmongManyMakesNoSmallerShare) {
  TenantTurns turns(Schedule::Weights{});
  std::vector<Schedule::DueTenants> shards;
  for (int shard = 0; shard < 16; ++shard) shards.push_back(Shard(shard, {2}));
  shards[5].tenants.push_back(TenantId(1));
  turns.Update(shards);
  EXPECT_TRUE(turns.contended());
  EXPECT_EQ(Add(turns.Next(16)), (Places{{1, 8}, {2, 8}}));
}

TEST(TenantTurnsTest, TurnsGoOnWhereThePlacesAreFewerThanTheTenants) {
  TenantTurns turns({{TenantId(2), 3}});
  Places places;
  for (int i = 0; i < 25; ++i) {
    turns.Update({Shard(0, {1, 2, 3}), Shard(1, {2, 3})});
    for (const auto& [tenant, count] : Add(turns.Next(1))) places[tenant] += count;
  }
  EXPECT_EQ(places, (Places{{1, 5}, {2, 15}, {3, 5}}));
}

TEST(TenantTurnsTest, EachShardOfATenantHasItsTurn) {
  TenantTurns turns(Schedule::Weights{});
  std::map<int, int> shards;
  for (int i = 0; i < 8; ++i) {
    turns.Update({Shard(0, {1, 2}), Shard(3, {2}), Shard(7, {2}), Shard(9, {2})});
    for (const Schedule::Share& share : turns.Next(2)) {
      if (share.tenant == TenantId(2)) ++shards[share.shard];
    }
  }
  EXPECT_EQ(shards, (std::map<int, int>{{0, 2}, {3, 2}, {7, 2}, {9, 2}}));
}

TEST(TenantTurnsTest, WhatATenantLacksIsNotCountedAndGoesToOthers) {
  TenantTurns turns(Schedule::Weights{});
  turns.Update({Shard(0, {1, 2}), Shard(1, {1})});
  std::vector<Schedule::Share> shares = turns.Next(10);
  ASSERT_EQ(Add(shares), (Places{{1, 5}, {2, 5}}));
  for (const Schedule::Share& share : shares) {
    turns.Took(share, share.tenant == TenantId(2) ? 1 : share.max);
  }
  EXPECT_FALSE(turns.contended());  // the second has no more
  turns.Update({Shard(0, {1, 2})});
  EXPECT_EQ(Add(turns.Next(4)), (Places{{1, 2}, {2, 2}}));
  // It was not there for a while: no claim to what it did not want then.
  for (int i = 0; i < 100; ++i) {
    turns.Update({Shard(0, {1, 3})});
    turns.Next(2);
  }
  turns.Update({Shard(0, {1, 2, 3})});
  EXPECT_EQ(Add(turns.Next(6)), (Places{{1, 2}, {2, 2}, {3, 2}}));
}

TEST(TenantTurnsTest, NobodyWaits) {
  TenantTurns turns(Schedule::Weights{});
  EXPECT_TRUE(turns.Next(5).empty());
  turns.Update({Shard(0, {1})});
  EXPECT_FALSE(turns.contended());
  EXPECT_EQ(Add(turns.Next(5)), (Places{{1, 5}}));
}

}  // namespace
}  // namespace posthorn::queue
