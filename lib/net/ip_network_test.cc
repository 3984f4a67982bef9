#include "lib/net/ip_network.h"

#include "gtest/gtest.h"

namespace posthorn::net {
namespace {

TEST(IpNetworkTest, ParsesAndMatches) {
  struct Row {
    const char* network;
    const char* ip;
    bool contains;
  };
  const Row rows[] = {
      {"10.0.0.0/8", "10.255.0.1", true},      {"10.0.0.0/8", "11.0.0.1", false},
      {"10.0.0.0/8", "::ffff:10.0.0.1", true}, {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.8", false},       {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.200", true}, {"0.0.0.0/0", "203.0.113.1", true},
      {"0.0.0.0/0", "2001:db8::1", false},     {"2001:db8::/32", "2001:db8:1::1", true},
      {"2001:db8::/32", "2001:db9::1", false}, {"::/0", "2001:db9::1", true},
      {"10.0.0.0/8", "", false},               {"10.0.0.0/8", "unix", false},
  };
  for (const Row& row : rows) {
    const absl::StatusOr<IpNetwork> network = IpNetwork::Parse(row.network);
    ASSERT_TRUE(network.ok()) << row.network << network.status();
    EXPECT_EQ(network->Contains(row.ip), row.contains) << row.network << " " << row.ip;
    EXPECT_EQ(AnyContains({*network}, row.ip), row.contains);
  }
  EXPECT_FALSE(AnyContains({}, "10.0.0.1"));
}

TEST(IpNetworkTest, RefusesWhatIsNone) {
  for (const char* bad : {"", "x", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x",
                          "x/8", "2001:db8::/129", "10.0.0.0/", "10.0.0.0/8 "}) {
    EXPECT_FALSE(IpNetwork::Parse(bad).ok()) << bad;
  }
}

TEST(IpNetworkTest, ClientsAreAddressesOrNetworks) {
  EXPECT_EQ(ClientNetwork("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(ClientNetwork("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
  EXPECT_EQ(ClientNetwork("2001:db8:1:2::9"), "2001:db8:1:2::");
  EXPECT_EQ(ClientNetwork(""), "");
}

}  // namespace
}  // namespace posthorn::net
