#include "services/gateway/wiring.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "lib/config/config.h"
#include "lib/net/event_loop.h"
#include "lib/net/listener.h"
#include "lib/rpc/channel.h"
#include "services/gateway/bound_sockets.h"

namespace posthorn::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Duration kLong = absl::Seconds(20);

// Connects, reads what comes until there is a line, and keeps the connection.
Task<void> Greet(int port, std::unique_ptr<net::Stream>& stream, std::promise<std::string>& line) {
  absl::StatusOr<std::unique_ptr<net::Stream>> connected =
      co_await net::Connect("127.0.0.1", port, "", kLong);
  if (!connected.ok()) {
    line.set_value(std::string(connected.status().message()));
    co_return;
  }
  stream = *std::move(connected);
  absl::StatusOr<std::string> bytes = co_await stream->ReadSome(kLong);
  line.set_value(bytes.ok() ? *bytes : std::string(bytes.status().message()));
}

Task<void> ReadOn(net::Stream& stream, std::promise<std::string>& line) {
  absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kLong);
  line.set_value(bytes.ok() ? *bytes : std::string(bytes.status().message()));
}

class WiringTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    const std::string token_file = directory_ + "/admin-token";
    std::ofstream(token_file) << "token\n";
    std::filesystem::permissions(token_file, std::filesystem::perms::owner_read |
                                                 std::filesystem::perms::owner_write);
    auto config = config::Load(config::Source());
    ASSERT_TRUE(config.ok()) << config.status();
    config_ = *std::move(config);
    auto* gateway = config_.mutable_gateway();
    gateway->clear_smtp_listeners();
    gateway->clear_imap_listeners();
    gateway->clear_pop3_listeners();
    Add(gateway->add_smtp_listeners(), "mx");
    Add(gateway->add_imap_listeners(), "imap");
    Add(gateway->add_pop3_listeners(), "pop3");
    gateway->set_api_address("127.0.0.1");
    gateway->set_api_port(0);
    gateway->set_api_tls(false);
    gateway->set_admin_token_file(token_file);
    gateway->set_staging_dir(directory_ + "/staging");
    config_.mutable_redis()->clear_address();
    config_.mutable_tls()->Clear();
  }
  void TearDown() override {
    if (stream_ != nullptr) {
      std::promise<void> done;
      loop_.Post([this, &done] {
        stream_.reset();
        done.set_value();
      });
      done.get_future().wait();
    }
    std::filesystem::remove_all(directory_);
  }

  static void Add(config::v1::Listener* listener, const char* role) {
    listener->set_role(role);
    listener->set_address("127.0.0.1");
    listener->set_port(0);
  }
  absl::StatusOr<std::unique_ptr<GatewayServer>> Start() {
    absl::StatusOr<BoundSockets> sockets = BindListeners(config_);
    if (!sockets.ok()) return sockets.status();
    GatewayDependencies dependencies;
    // Nobody is there: sessions start nevertheless.
    dependencies.mailbox = rpc::Connect("unix:" + directory_ + "/mailbox", rpc::TlsFiles());
    dependencies.queue = rpc::Connect("unix:" + directory_ + "/queue", rpc::TlsFiles());
    dependencies.service_token = "service";
    return GatewayServer::Start(config_, *std::move(sockets), std::move(dependencies));
  }
  std::string Greeting(int port) {
    std::promise<std::string> line;
    Spawn(loop_, Greet(port, stream_, line));
    return line.get_future().get();
  }

  std::string directory_ = testing::TempDir() + "/gateway-XXXXXX";
  config::v1::Config config_;
  net::EventLoop loop_;
  std::unique_ptr<net::Stream> stream_;
};

TEST_F(WiringTest, GreetsOnEveryListenerWhileTheStoresAreAway) {
  auto gateway = Start();
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const char* greetings[] = {"", "220 ", "* OK ", "+OK "};
  ASSERT_EQ((*gateway)->listeners().size(), 4u);
  EXPECT_EQ((*gateway)->listeners()[0].role, "api");
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_THAT(Greeting((*gateway)->listeners()[i].port), StartsWith(greetings[i]));
  }
  EXPECT_FALSE((*gateway)->Ready().ok());
}

TEST_F(WiringTest, ADrainTellsIdleSessionsAndRefusesNewOnes) {
  auto gateway = Start();
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const int port = (*gateway)->listeners()[1].port;
  ASSERT_THAT(Greeting(port), StartsWith("220 "));
  const absl::Time start = absl::Now();
  (*gateway)->Drain(kLong);
  EXPECT_LT(absl::Now() - start, kLong / 2);
  std::promise<std::string> line;
  Spawn(loop_, ReadOn(*stream_, line));
  EXPECT_THAT(line.get_future().get(), StartsWith("421 "));
  EXPECT_THAT(Greeting(port), HasSubstr("refused"));
}

TEST_F(WiringTest, ATakenPortIsAnErrorWithAddressPortAndKey) {
  auto taken = net::BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(taken.ok());
  config_.mutable_gateway()->mutable_imap_listeners(0)->set_port(taken->local().port);
  const auto sockets = BindListeners(config_);
  ASSERT_FALSE(sockets.ok());
  const std::string text(sockets.status().message());
  EXPECT_THAT(text, HasSubstr("gateway.imap_listeners[0].port"));
  EXPECT_THAT(text, HasSubstr(taken->local().ToString()));

  config_.mutable_gateway()->mutable_imap_listeners(0)->set_port(0);
  config_.mutable_gateway()->set_api_port(taken->local().port);
  const auto gateway = Start();
  ASSERT_FALSE(gateway.ok());
  EXPECT_THAT(std::string(gateway.status().message()), HasSubstr("gateway.api_port"));
}

TEST_F(WiringTest, WhatIsWrongInTheConfigurationIsNamed) {
  config_.mutable_gateway()->mutable_smtp_listeners(0)->set_role("submissions");
  EXPECT_THAT(std::string(Start().status().message()),
              HasSubstr("gateway.smtp_listeners[0].role"));
  config_.mutable_gateway()->mutable_smtp_listeners(0)->set_role("mx");
  config_.mutable_gateway()->mutable_smtp_listeners(0)->add_xclient_networks("x");
  EXPECT_THAT(std::string(Start().status().message()),
              HasSubstr("gateway.smtp_listeners[0].xclient_networks: network \"x\""));
  config_.mutable_gateway()->mutable_smtp_listeners(0)->clear_xclient_networks();
  config_.mutable_gateway()->mutable_smtp_listeners(0)->set_tls("required");
  EXPECT_THAT(std::string(Start().status().message()),
              HasSubstr("gateway.smtp_listeners[0].tls: required needs"));
  config_.mutable_gateway()->mutable_smtp_listeners(0)->clear_tls();
  config_.mutable_gateway()->mutable_imap_listeners(0)->add_proxy_networks("10.0.0.0/33");
  EXPECT_THAT(std::string(Start().status().message()),
              HasSubstr("gateway.imap_listeners[0].proxy_networks"));
  config_.mutable_gateway()->mutable_imap_listeners(0)->clear_proxy_networks();
  config_.mutable_gateway()->mutable_pop3_listeners(0)->set_role("imap");
  EXPECT_THAT(std::string(Start().status().message()),
              HasSubstr("gateway.pop3_listeners[0].role"));
  config_.mutable_gateway()->mutable_pop3_listeners(0)->set_role("pop3");
  config_.mutable_gateway()->set_admin_token_file(directory_ + "/missing");
  EXPECT_THAT(std::string(Start().status().message()), HasSubstr("gateway.admin_token_file"));
}

}  // namespace
}  // namespace posthorn::gateway
