#include "lib/redis/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/redis/redis_test_support.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::redis {
namespace {

bool Pings(net::EventLoop& loop, Client& client) {
  return RunOn(loop, client.Command({"PING"})).ok();
}

TEST(RedisClientTest, RunsCommands) {
  testing::RedisServer server;
  net::EventLoop loop, caller;
  Client client(loop, Options(server.address(), ""));
  const std::string value("a\0b\r\n", 5);
  EXPECT_EQ(RunOn(caller, client.Command({"SET", "k", value}))->text, "OK");
  EXPECT_EQ(RunOn(caller, client.Command({"GET", "k"}))->text, value);
  EXPECT_TRUE(RunOn(caller, client.Command({"GET", "none"}))->is_nil());
}

TEST(RedisClientTest, SeveralCommandsHaveAnAnswerEach) {
  testing::RedisServer server;
  net::EventLoop loop;
  Client client(loop, Options(server.address(), ""));
  const std::vector<absl::StatusOr<Reply>> replies =
      RunOn(loop, client.Commands({{"SET", "k", "v"}, {"NOSUCHCOMMAND"}, {"GET", "k"}}));
  ASSERT_EQ(replies.size(), 3u);
  EXPECT_TRUE(replies[0].ok());
  EXPECT_FALSE(replies[1].ok());
  EXPECT_EQ(replies[2]->text, "v");
  server.Kill();
  ASSERT_TRUE(Eventually([&] { return !client.connected(); }));
  EXPECT_EQ(FailureOf(RunOn(loop, client.Commands({{"PING"}}))[0].status()),
            Failure::kUnavailable);
}

TEST(RedisClientTest, RefusedCommandIsAnErrorAndTheConnectionGoesOn) {
  testing::RedisServer server;
  net::EventLoop loop;
  Client client(loop, Options(server.address(), ""));
  const absl::StatusOr<Reply> reply = RunOn(loop, client.Command({"NOSUCHCOMMAND"}));
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(Pings(loop, client));
}

Task<int> IncrementMany(Client& client, int times) {
  int errors = 0;
  for (int i = 0; i < times; ++i) {
    std::vector<std::string> command = {"INCR", "n"};
    const absl::StatusOr<Reply> reply = co_await client.Command(std::move(command));
    if (!reply.ok()) ++errors;
  }
  co_return errors;
}

TEST(RedisClientTest, CallersOnManyExecutorsShareOneConnection) {
  testing::RedisServer server;
  net::EventLoop loop;
  net::LoopPool callers(3);
  Client client(loop, Options(server.address(), ""));
  std::vector<std::promise<int>> done(60);
  for (std::promise<int>& promise : done) {
    Spawn(callers.Next(), Fulfil(IncrementMany(client, 50), promise));
  }
  for (std::promise<int>& promise : done) EXPECT_EQ(promise.get_future().get(), 0);
  EXPECT_EQ(RunOn(loop, client.Command({"GET", "n"}))->text, "3000");
}

TEST(RedisClientTest, ScriptsAreSentOnceAndAgainToAnEmptyServer) {
  testing::RedisServer server;
  net::EventLoop loop;
  Client client(loop, Options(server.address(), ""));
  const Script script("return {KEYS[1], ARGV[1], tonumber(ARGV[2]) + 1}");
  for (int round = 0; round < 3; ++round) {
    const absl::StatusOr<Reply> reply = RunOn(loop, client.Run(script, {"key"}, {"a", "41"}));
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_EQ(reply->elements.size(), 3u);
    EXPECT_EQ(reply->elements[0].text, "key");
    EXPECT_EQ(reply->elements[2].integer, 42);
    if (round == 1) {
      ASSERT_TRUE(RunOn(loop, client.Command({"SCRIPT", "FLUSH"})).ok());
    }
  }
}

TEST(RedisClientTest, FailsAtOnceWhileAwayAndComesBack) {
  testing::RedisServer server;
  net::EventLoop loop;
  Client client(loop, Options(server.address(), ""));
  ASSERT_TRUE(Pings(loop, client));
  server.Kill();
  ASSERT_TRUE(Eventually([&] { return !Pings(loop, client); }));
  const absl::Time before = absl::Now();
  const absl::StatusOr<Reply> reply = RunOn(loop, client.Command({"PING"}));
  EXPECT_EQ(FailureOf(reply.status()), Failure::kUnavailable);
  EXPECT_LT(absl::Now() - before, absl::Seconds(1));
  server.Start();
  EXPECT_TRUE(Eventually([&] { return Pings(loop, client); }));
}

TEST(RedisClientTest, StuckServerFailsCommandsAfterTheTimeout) {
  testing::RedisServer server;
  net::EventLoop loop;
  Options options(server.address(), "");
  options.command_timeout = absl::Milliseconds(200);
  Client client(loop, options);
  ASSERT_TRUE(Pings(loop, client));
  server.Pause();
  EXPECT_FALSE(Pings(loop, client));
  server.Resume();
  EXPECT_TRUE(Eventually([&] { return Pings(loop, client); }));
}

TEST(RedisClientTest, StartsWithoutAServer) {
  net::EventLoop loop;
  Client client(loop, Options("/tmp/posthorn-no-such-socket", ""));
  EXPECT_FALSE(Pings(loop, client));
  EXPECT_FALSE(client.connected());
}

TEST(RedisClientTest, AuthenticatesWithThePassword) {
  testing::RedisServer server("secret words");
  net::EventLoop loop;
  Client client(loop, Options(server.address(), "secret words"));
  EXPECT_TRUE(Pings(loop, client));
  Client stranger(loop, Options(server.address(), "wrong"));
  EXPECT_FALSE(Pings(loop, stranger));
}

TEST(RedisClientTest, StopFailsWhatIsPending) {
  testing::RedisServer server;
  net::EventLoop loop, caller;
  auto client = std::make_unique<Client>(loop, Options(server.address(), ""));
  ASSERT_TRUE(Pings(loop, *client));
  server.Pause();
  std::promise<absl::StatusOr<Reply>> promise;
  Spawn(caller, Fulfil(client->Command({"PING"}), promise));
  absl::SleepFor(absl::Milliseconds(20));
  client->Stop();
  EXPECT_FALSE(promise.get_future().get().ok());
  server.Resume();
}

class Mailbag {
 public:
  void Put(std::string_view channel, std::string_view message) {
    std::lock_guard lock(mutex_);
    messages_.push_back(absl::StrCat(std::string(channel), "=", std::string(message)));
  }
  std::vector<std::string> all() {
    std::lock_guard lock(mutex_);
    return messages_;
  }
  bool Has(const std::string& what) {
    for (const std::string& message : all()) {
      if (message == what) return true;
    }
    return false;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
};

TEST(RedisSubscriberTest, HearsChannelsAndPatternsAndComesBackAfterALoss) {
  testing::RedisServer server;
  net::EventLoop loop;
  Mailbag bag;
  std::atomic<int> connects{0};
  Client client(loop, Options(server.address(), ""));
  Subscriber subscriber(
      loop, Options(server.address(), ""),
      [&](std::string_view channel, std::string_view message) { bag.Put(channel, message); },
      [&] { ++connects; });
  subscriber.Subscribe({"one", "two"});
  subscriber.SubscribePattern("hint:*");
  ASSERT_TRUE(Eventually([&] { return connects > 0; }));
  // Subscriptions asked for after the connect are in force soon after.
  EXPECT_TRUE(Eventually([&] {
    client.PublishAndForget("hint:7", "x");
    client.PublishAndForget("two", "y");
    return bag.Has("hint:7=x") && bag.Has("two=y");
  }));
  EXPECT_TRUE(RunOn(loop, client.Publish("one", "z")).ok());
  EXPECT_TRUE(Eventually([&] { return bag.Has("one=z"); }));

  const int connected_before = connects;
  server.Kill();
  server.Start();
  ASSERT_TRUE(Eventually([&] { return connects > connected_before; }));
  ASSERT_TRUE(Eventually([&] { return Pings(loop, client); }));
  EXPECT_TRUE(RunOn(loop, client.Publish("hint:8", "again")).ok());
  EXPECT_TRUE(Eventually([&] { return bag.Has("hint:8=again"); }));
}

TEST(RedisSubscriberTest, UnsubscribeEndsMessages) {
  testing::RedisServer server;
  net::EventLoop loop;
  Mailbag bag;
  std::atomic<int> connects{0};
  Client client(loop, Options(server.address(), ""));
  Subscriber subscriber(
      loop, Options(server.address(), ""),
      [&](std::string_view channel, std::string_view message) { bag.Put(channel, message); },
      [&] { ++connects; });
  subscriber.Subscribe({"a", "b"});
  ASSERT_TRUE(Eventually([&] { return connects > 0; }));
  subscriber.Unsubscribe({"a"});
  ASSERT_TRUE(Eventually([&] {
    return RunOn(loop, client.Command({"PUBSUB", "NUMSUB", "a"}))->elements[1].integer == 0;
  }));
  EXPECT_TRUE(RunOn(loop, client.Publish("a", "1")).ok());
  EXPECT_TRUE(RunOn(loop, client.Publish("b", "2")).ok());
  EXPECT_TRUE(Eventually([&] { return bag.Has("b=2"); }));
  EXPECT_FALSE(bag.Has("a=1"));
}

}  // namespace
}  // namespace posthorn::redis
