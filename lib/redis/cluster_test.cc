// On a real cluster of three masters.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/clock.h"
#include "lib/base/failure.h"
#include "lib/redis/client.h"
#include "lib/redis/lockouts.h"
#include "lib/redis/rate_limiter.h"
#include "lib/redis/redis_test_support.h"
#include "lib/redis/slot_map.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::redis {
namespace {

constexpr int kMasters = 3;

class ClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new Servers(); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  // Each node by itself, and how to order it about.
  struct Servers {
    Servers() {
      for (int i = 0; i < kMasters; ++i) {
        nodes.push_back(std::make_unique<testing::RedisServer>(
            std::vector<std::string>{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
                                     "--requirepass", "secret", "--masterauth", "secret"},
            std::vector<std::string>()));
        direct.push_back(std::make_unique<Client>(loop, Options(nodes[i]->address(), "secret")));
        const int first = kSlots * i / kMasters, last = kSlots * (i + 1) / kMasters - 1;
        EXPECT_TRUE(Order(i, {"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)}).ok());
        EXPECT_TRUE(Order(i, {"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)}).ok());
      }
      for (int i = 1; i < kMasters; ++i) {
        EXPECT_TRUE(Order(0, {"CLUSTER", "MEET", "127.0.0.1", std::to_string(nodes[i]->port())}).ok());
      }
      for (int i = 0; i < kMasters; ++i) {
        EXPECT_TRUE(Eventually([&] {
          const std::string info = Order(i, {"CLUSTER", "INFO"})->text;
          return absl::StrContains(info, "cluster_state:ok") &&
                 absl::StrContains(info, "cluster_known_nodes:3") &&
                 absl::StrContains(info, "cluster_size:3");
        }));
        ids.push_back(Order(i, {"CLUSTER", "MYID"})->text);
      }
    }
    absl::StatusOr<Reply> Order(int node, std::vector<std::string> command) {
      return RunOn(loop, direct[node]->Command(std::move(command)));
    }
    net::EventLoop loop;
    std::vector<std::unique_ptr<testing::RedisServer>> nodes;
    std::vector<std::unique_ptr<Client>> direct;
    std::vector<std::string> ids;
  };

  static Options ForCluster() {
    Options options;
    options.topology = Topology::kCluster;
    options.addresses = {cluster_->nodes[1]->tcp_address()};
    options.password = "secret";
    return options;
  }
  static int OwnerOf(const std::string& key) {
    for (int i = 0; i < kMasters; ++i) {
      if (cluster_->Order(i, {"EXISTS", key}).ok()) return i;
    }
    return -1;
  }
  absl::StatusOr<Reply> Do(std::vector<std::string> command) {
    return RunOn(loop_, client_.Command(std::move(command)));
  }

  // Moving the slot of `key`: the steps that redis-cli takes.
  struct Move {
    explicit Move(const std::string& key)
        : slot(std::to_string(SlotOf(key))), from(OwnerOf(key)), to((from + 1) % kMasters) {}
    void Begin() const {
      ASSERT_GE(from, 0);
      ASSERT_TRUE(cluster_->Order(to, {"CLUSTER", "SETSLOT", slot, "IMPORTING",
                                       cluster_->ids[from]}).ok());
      ASSERT_TRUE(cluster_->Order(from, {"CLUSTER", "SETSLOT", slot, "MIGRATING",
                                         cluster_->ids[to]}).ok());
    }
    void Take(const std::string& key) const {
      const absl::StatusOr<Reply> moved = cluster_->Order(
          from, {"MIGRATE", "127.0.0.1", std::to_string(cluster_->nodes[to]->port()), key, "0",
                 "5000", "AUTH", "secret"});
      ASSERT_TRUE(moved.ok()) << moved.status();
      ASSERT_EQ(moved->text, "OK") << key;
    }
    void End() const {
      for (const int node : {to, from, 3 - to - from}) {
        ASSERT_TRUE(
            cluster_->Order(node, {"CLUSTER", "SETSLOT", slot, "NODE", cluster_->ids[to]}).ok());
      }
    }
    const std::string slot;
    const int from;
    const int to;
  };

  static Servers* cluster_;
  net::EventLoop loop_;
  Client client_{loop_, ForCluster()};
};

ClusterTest::Servers* ClusterTest::cluster_ = nullptr;

TEST_F(ClusterTest, SendsCommandsToWhereTheirKeysAre) {
  std::set<int> owners;
  std::vector<std::vector<std::string>> reads;
  for (int i = 0; i < 30; ++i) {
    const std::string key = absl::StrCat("spread:", i);
    ASSERT_TRUE(Do({"SET", key, std::to_string(i)}).ok());
    owners.insert(OwnerOf(key));
    reads.push_back({"GET", key});
  }
  EXPECT_EQ(owners.size(), 3u);
  const std::vector<absl::StatusOr<Reply>> values =
      RunOn(loop_, client_.Commands(std::move(reads)));
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(values[static_cast<std::size_t>(i)]->text, std::to_string(i));
  }
  EXPECT_TRUE(client_.connected());
  ScanCursor cursor;
  std::set<std::string> found;
  while (!cursor.done) {
    const auto keys = RunOn(loop_, client_.Scan(cursor, "spread:*"));
    ASSERT_TRUE(keys.ok());
    found.insert(keys->begin(), keys->end());
  }
  EXPECT_EQ(found.size(), 30u);
}

TEST_F(ClusterTest, EachNodeLearnsAScript) {
  const Script script("return redis.call('INCR', KEYS[1])");
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < 12; ++i) {
      const absl::StatusOr<Reply> reply =
          RunOn(loop_, client_.Run(script, {absl::StrCat("script:", i)}, {}));
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_EQ(reply->integer, round);
    }
    for (int node = 0; node < kMasters; ++node) {
      EXPECT_TRUE(cluster_->Order(node, {"SCRIPT", "FLUSH"}).ok());
    }
  }
}

TEST_F(ClusterTest, LockoutsAndLimitsSpanTheNodes) {
  SystemClock clock;
  LockoutsOptions names;
  names.prefix = "posthorn:cluster-test:";
  Lockouts here(&client_, clock, names), there(&client_, clock, names);
  LockoutPolicy policy;
  policy.failures = 2;
  std::vector<std::string> subjects;
  for (int i = 0; i < 12; ++i) {
    subjects.push_back(absl::StrCat("subject", i));
    for (Lockouts* each : {&here, &there}) {
      RunOn(loop_, each->Fail(subjects.back(), policy));
    }
  }
  for (const LockoutState& state : RunOn(loop_, there.Look(subjects, "none")).states) {
    EXPECT_GT(state.locked_for, absl::ZeroDuration());
  }
  EXPECT_EQ(RunOn(loop_, here.List(100))->size(), 12u);
  RateLimiter limiter(&client_, clock, RateLimiterOptions());
  for (int i = 0; i < 6; ++i) {
    const std::string key = absl::StrCat("limit", i);
    const Limit limit(1, absl::Hours(1), 1);
    const Decision first = RunOn(loop_, limiter.Take(key, limit, 1));
    EXPECT_TRUE(first.shared);
    EXPECT_FALSE(RunOn(loop_, limiter.Take(key, limit, 1)).allowed);
  }
}

TEST_F(ClusterTest, SubscribersHearWhatIsPublishedAnywhere) {
  std::atomic<int> heard{0}, connected{0};
  Subscriber subscriber(
      loop_, ForCluster(), [&](std::string_view, std::string_view) { ++heard; },
      [&] { ++connected; });
  subscriber.Subscribe({"channel"});
  ASSERT_TRUE(Eventually([&] { return connected > 0; }));
  const Script script("return redis.call('PUBLISH', ARGV[1], 'text')");
  for (int i = 0; i < 12; ++i) {
    const std::string key = absl::StrCat("from:", i);
    ASSERT_TRUE(RunOn(loop_, client_.Run(script, {key}, {"channel"})).ok());
  }
  client_.PublishAndForget("channel", "text");
  EXPECT_TRUE(Eventually([&] { return heard == 13; }));
}

TEST_F(ClusterTest, FollowsASlotThatHasMoved) {
  ASSERT_TRUE(Do({"SET", "{moved}a", "1"}).ok());
  const Move move("{moved}a");
  move.Begin();
  move.Take("{moved}a");
  move.End();
  EXPECT_EQ(Do({"GET", "{moved}a"})->text, "1");
  EXPECT_TRUE(Do({"SET", "{moved}b", "2"}).ok());
  EXPECT_EQ(cluster_->Order(move.to, {"GET", "{moved}b"})->text, "2");
}

TEST_F(ClusterTest, AsksWhereAKeyIsWhileItsSlotMoves) {
  ASSERT_TRUE(Do({"SET", "{moving}a", "1"}).ok());
  ASSERT_TRUE(Do({"SET", "{moving}b", "2"}).ok());
  const Script script("return redis.call('INCR', KEYS[1])");
  const Move move("{moving}a");
  move.Begin();
  move.Take("{moving}a");
  EXPECT_EQ(Do({"GET", "{moving}a"})->text, "1");
  EXPECT_EQ(Do({"GET", "{moving}b"})->text, "2");
  EXPECT_EQ(RunOn(loop_, client_.Run(script, {"{moving}a"}, {}))->integer, 2);
  EXPECT_EQ(RunOn(loop_, client_.Run(script, {"{moving}b"}, {}))->integer, 3);
  move.Take("{moving}b");
  move.End();
  EXPECT_EQ(Do({"GET", "{moving}b"})->text, "3");
}

TEST_F(ClusterTest, AScriptThatMakesUpKeysWaitsForItsSlot) {
  const Script script(R"lua(
redis.call('INCR', KEYS[1])
return redis.call('INCR', KEYS[1] .. ':more')
)lua", Script::Keys::kWholeSlot);
  ASSERT_EQ(RunOn(loop_, client_.Run(script, {"{whole}a"}, {}))->integer, 1);
  for (const bool first_key_gone : {false, true}) {
    const Move move("{whole}a");
    move.Begin();
    move.Take(first_key_gone ? "{whole}a" : "{whole}a:more");
    std::promise<absl::StatusOr<Reply>> promise;
    std::future<absl::StatusOr<Reply>> future = promise.get_future();
    Spawn(loop_, Fulfil(client_.Run(script, {"{whole}a"}, {}), promise));
    EXPECT_EQ(future.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
    move.Take(first_key_gone ? "{whole}a:more" : "{whole}a");
    move.End();
    const absl::StatusOr<Reply> reply = future.get();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->integer, first_key_gone ? 3 : 2) << "ran twice, or on both sides";
  }
}

TEST_F(ClusterTest, ASlotThatMovesForTooLongFails) {
  Options options = ForCluster();
  options.command_timeout = absl::Milliseconds(200);
  Client hasty(loop_, options);
  ASSERT_TRUE(Do({"SET", "{long}a", "1"}).ok());
  const Move move("{long}a");
  move.Begin();
  const Script script("return redis.call('GET', KEYS[1] .. 'b')", Script::Keys::kWholeSlot);
  EXPECT_EQ(FailureOf(RunOn(loop_, hasty.Run(script, {"{long}a"}, {})).status()),
            Failure::kUnavailable);
  move.Take("{long}a");
  move.End();
  EXPECT_TRUE(RunOn(loop_, hasty.Run(script, {"{long}a"}, {})).ok());
}

TEST_F(ClusterTest, WhatIsNotServedFailsAtOnceAndTheRestGoesOn) {
  const std::string slot = std::to_string(SlotOf("{unserved}"));
  const int owner = OwnerOf("{unserved}");
  for (int i = 0; i < kMasters; ++i) {
    EXPECT_TRUE(cluster_->Order(i, {"CONFIG", "SET", "cluster-require-full-coverage", "no"}).ok());
  }
  ASSERT_TRUE(Do({"PING"}).ok());
  for (int i = 0; i < kMasters; ++i) {
    EXPECT_TRUE(cluster_->Order(i, {"CLUSTER", "DELSLOTS", slot}).ok());
  }
  EXPECT_EQ(FailureOf(Do({"GET", "{unserved}"}).status()), Failure::kUnavailable);
  EXPECT_TRUE(Do({"SET", "{moved}a", "1"}).ok());
  EXPECT_TRUE(Do({"SET", "spread:1", "1"}).ok());
  ASSERT_TRUE(cluster_->Order(owner, {"CLUSTER", "ADDSLOTS", slot}).ok());
  EXPECT_TRUE(Eventually([&] { return Do({"GET", "{unserved}"}).ok(); }));
}

TEST_F(ClusterTest, AMasterThatComesBackIsFound) {
  ASSERT_TRUE(Do({"SET", "{back}a", "1"}).ok());
  const int owner = OwnerOf("{back}a");
  cluster_->nodes[static_cast<std::size_t>(owner)]->Pause();
  Options options = ForCluster();
  options.command_timeout = absl::Milliseconds(200);
  options.connect_timeout = absl::Milliseconds(200);
  options.addresses = {cluster_->nodes[0]->tcp_address(), cluster_->nodes[1]->tcp_address(),
                       cluster_->nodes[2]->tcp_address()};
  Client client(loop_, options);
  EXPECT_FALSE(RunOn(loop_, client.Command({"GET", "{back}a"})).ok());
  cluster_->nodes[static_cast<std::size_t>(owner)]->Resume();
  EXPECT_TRUE(
      Eventually([&] { return RunOn(loop_, client.Command({"GET", "{back}a"})).ok(); }));
}

TEST(ClusterAwayTest, StartsWithoutAServer) {
  net::EventLoop loop;
  Options options;
  options.topology = Topology::kCluster;
  options.addresses = {"127.0.0.1:1"};
  Client client(loop, options);
  EXPECT_EQ(FailureOf(RunOn(loop, client.Command({"GET", "k"})).status()), Failure::kUnavailable);
  EXPECT_FALSE(client.connected());
  client.PublishAndForget("channel", "text");
}

}  // namespace
}  // namespace posthorn::redis
