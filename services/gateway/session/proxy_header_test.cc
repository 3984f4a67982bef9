#include "services/gateway/session/proxy_header.h"

#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/manual_executor.h"
#include "lib/net/memory_stream.h"

namespace posthorn::gateway {
namespace {

class ProxyHeaderTest : public testing::Test {
 protected:
  ProxyHeaderTest() { Connect("10.0.0.1"); }
  void Connect(const std::string& ip) {
    net::PeerAddress peer;
    peer.ip = ip;
    pipe_ = net::MakeMemoryPipe(peer);
  }
  void Send(const std::string& bytes) {
    executor_.Run(pipe_.client->WriteAll(bytes, absl::Seconds(1)));
  }
  // `taken` belongs to the test.
  Task<void> TakeInto(std::optional<bool>& taken) {
    taken = co_await TakeProxyHeader(*pipe_.server, proxies_);
  }
  std::optional<bool> Take() { return executor_.Run(TakeProxyHeader(*pipe_.server, proxies_)); }

  ManualExecutor executor_;
  net::MemoryPipe pipe_;
  std::vector<net::IpNetwork> proxies_ = {net::IpNetwork::Parse("10.0.0.0/8").value()};
};

TEST_F(ProxyHeaderTest, ABalancerSaysWhoIsBehindIt) {
  Send("PROXY TCP4 203.0.113.9 192.0.2.25 4711 25\r\n");
  EXPECT_EQ(Take(), true);
  EXPECT_EQ(pipe_.server->peer().ip, "203.0.113.9");
}

TEST_F(ProxyHeaderTest, AHealthCheckIsTheBalancerItself) {
  Send(std::string("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16));
  EXPECT_EQ(Take(), true);
  EXPECT_EQ(pipe_.server->peer().ip, "10.0.0.1");
}

TEST_F(ProxyHeaderTest, ABalancerMustSendIt) {
  Send("EHLO c\r\n");
  EXPECT_EQ(Take(), false);
}

TEST_F(ProxyHeaderTest, WaitsForItTenSeconds) {
  Send("PROXY TCP4 ");
  std::optional<bool> taken;
  Spawn(executor_, TakeInto(taken));
  executor_.Advance(absl::Seconds(9));
  EXPECT_EQ(taken, std::nullopt);
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(taken, false);
}

TEST_F(ProxyHeaderTest, OthersAreNotListenedTo) {
  Connect("192.0.2.1");
  Send("PROXY TCP4 203.0.113.9 192.0.2.25 4711 25\r\n");
  EXPECT_EQ(Take(), true);
  EXPECT_EQ(pipe_.server->peer().ip, "192.0.2.1");
  EXPECT_TRUE(pipe_.server->HasInput());  // it is still there, and no greeting comes before it
}

}  // namespace
}  // namespace posthorn::gateway
