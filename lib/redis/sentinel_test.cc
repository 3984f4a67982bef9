#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/redis/client.h"
#include "lib/redis/redis_test_support.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::redis {
namespace {

constexpr char kPasswords[] =
    "requirepass sentinel-secret\nsentinel auth-pass chief secret\n";

// Two servers of which `first` is the master, and one sentinel that watches.
class SentinelTest : public ::testing::Test {
 protected:
  SentinelTest() {
    Follow(*second_, *first_);
    // Long enough that it takes no decision of its own during a test.
    sentinel_ = testing::RedisServer::Sentinel(absl::StrCat(
        "sentinel monitor chief 127.0.0.1 ", first_->port(), " 1\n",
        "sentinel down-after-milliseconds chief 60000\n", kPasswords));
    options_.topology = Topology::kSentinel;
    // The first is not there.
    options_.addresses = {"127.0.0.1:1", sentinel_->tcp_address()};
    options_.master_name = "chief";
    options_.password = "secret";
    options_.sentinel_password = "sentinel-secret";
    options_.master_check = absl::Milliseconds(100);
  }

  static std::vector<std::string> Arguments() {
    return {"--requirepass", "secret", "--masterauth", "secret", "--repl-diskless-sync-delay", "0"};
  }
  void Follow(testing::RedisServer& replica, testing::RedisServer& master) {
    EXPECT_TRUE(Order(replica, {"REPLICAOF", "127.0.0.1", std::to_string(master.port())}).ok());
    EXPECT_TRUE(Eventually([&] {
      const absl::StatusOr<Reply> role = Order(replica, {"ROLE"});
      return role.ok() && role->elements.size() > 3 && role->elements[3].text == "connected";
    }));
  }
  absl::StatusOr<Reply> Order(testing::RedisServer& server, std::vector<std::string> command) {
    Client direct(loop_, Options(server.address(), "secret"));
    return RunOn(loop_, direct.Command(std::move(command)));
  }
  // A server that changes its part drops its clients: then it says nothing, for the moment.
  std::string Says(testing::RedisServer& server, std::vector<std::string> command) {
    const absl::StatusOr<Reply> reply = Order(server, std::move(command));
    if (!reply.ok()) return std::string();
    return reply->elements.empty() ? reply->text : reply->elements[0].text;
  }
  absl::StatusOr<Reply> OrderSentinel(std::vector<std::string> command) {
    Client direct(loop_, Options(sentinel_->tcp_address(), "sentinel-secret"));
    return RunOn(loop_, direct.Command(std::move(command)));
  }
  bool Sets(Client& client, std::string value) {
    return RunOn(loop_, client.Command({"SET", "k", std::move(value)})).ok();
  }

  net::EventLoop loop_;
  std::unique_ptr<testing::RedisServer> first_ = std::make_unique<testing::RedisServer>(
      Arguments(), std::vector<std::string>());
  std::unique_ptr<testing::RedisServer> second_ = std::make_unique<testing::RedisServer>(
      Arguments(), std::vector<std::string>());
  std::unique_ptr<testing::RedisServer> sentinel_;
  Options options_;
};

TEST_F(SentinelTest, FindsTheMaster) {
  Client client(loop_, options_);
  EXPECT_TRUE(Sets(client, "v"));
  EXPECT_EQ(Order(*first_, {"GET", "k"})->text, "v");
}

TEST_F(SentinelTest, NeedsTheSentinelsPasswordAndTheRightName) {
  Options wrong_password = options_;
  wrong_password.sentinel_password = "wrong";
  Client refused(loop_, wrong_password);
  EXPECT_EQ(FailureOf(RunOn(loop_, refused.Command({"PING"})).status()), Failure::kUnavailable);
  Options wrong_name = options_;
  wrong_name.master_name = "nobody";
  Client lost(loop_, wrong_name);
  EXPECT_EQ(FailureOf(RunOn(loop_, lost.Command({"PING"})).status()), Failure::kUnavailable);
}

TEST_F(SentinelTest, FollowsAFailover) {
  std::atomic<int> heard{0}, connected{0};
  Subscriber subscriber(
      loop_, options_, [&](std::string_view, std::string_view) { ++heard; },
      [&] { ++connected; });
  subscriber.Subscribe({"channel"});
  Client client(loop_, options_);
  ASSERT_TRUE(Sets(client, "before"));
  ASSERT_TRUE(Eventually([&] { return connected > 0; }));
  // Sentinel learns of replicas from the master, every ten seconds.
  ASSERT_TRUE(Eventually([&] {
    return OrderSentinel({"SENTINEL", "FAILOVER", "chief"}).ok();
  }));
  ASSERT_TRUE(Eventually([&] { return Sets(client, "after") &&
                                      Says(*second_, {"GET", "k"}) == "after" &&
                                      Says(*second_, {"ROLE"}) == "master"; }));
  heard = 0;
  EXPECT_TRUE(Eventually([&] {
    return RunOn(loop_, client.Publish("channel", "text")).ok() && heard > 0;
  }));
}

TEST_F(SentinelTest, RefusesAServerThatIsNoMasterAnyMore) {
  // The sentinel still names the first.
  EXPECT_TRUE(Order(*second_, {"REPLICAOF", "NO", "ONE"}).ok());
  Follow(*first_, *second_);
  Client client(loop_, options_);
  EXPECT_EQ(FailureOf(RunOn(loop_, client.Command({"GET", "k"})).status()),
            Failure::kUnavailable);
  EXPECT_FALSE(client.connected());
  EXPECT_TRUE(Order(*first_, {"REPLICAOF", "NO", "ONE"}).ok());
  EXPECT_TRUE(Eventually([&] { return Sets(client, "v"); }));
}

TEST_F(SentinelTest, LeavesAMasterThatHasBecomeAReplica) {
  Client client(loop_, options_);
  ASSERT_TRUE(Sets(client, "v"));
  ASSERT_TRUE(Eventually([&] { return Says(*second_, {"GET", "k"}) == "v"; }));
  EXPECT_TRUE(Order(*second_, {"REPLICAOF", "NO", "ONE"}).ok());
  Follow(*first_, *second_);
  // Whether Redis has dropped the connection by then or refuses the write.
  EXPECT_FALSE(Sets(client, "lost"));
  EXPECT_TRUE(Eventually([&] { return !client.connected(); }));
  EXPECT_EQ(Says(*second_, {"GET", "k"}), "v");
}

}  // namespace
}  // namespace posthorn::redis
