#include "lib/net/proxy_protocol.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/net/event_loop.h"
#include "lib/net/memory_stream.h"
#include "lib/net/net_test_support.h"

namespace posthorn::net {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

// A version 2 header: command, family, and what follows the length.
std::string Binary(char command, char family, const std::string& rest) {
  std::string header = kSignature;
  header += command;
  header += family;
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 255);
  return header + rest;
}

const std::string kFour("\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x00\x19", 12);
const std::string kSix = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01" +
                         std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x02" +
                         std::string("\xff\xff\x02\x4b", 4);

struct Row {
  const char* name;
  std::string header;
  std::string expected;  // "source destination", "none", "invalid", "more"
};

std::string Describe(const ProxyHeaderReader& reader) {
  if (reader.state() == ProxyHeaderReader::State::kNeedMore) return "more";
  if (reader.state() == ProxyHeaderReader::State::kInvalid) return "invalid";
  if (!reader.has_addresses()) return "none";
  return reader.source().ToString() + " " + reader.destination().ToString();
}

const Row kRows[] = {
    {"v1 tcp4", "PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n",
     "192.0.2.1:12345 198.51.100.2:25"},
    {"v1 tcp6", "PROXY TCP6 2001:db8::1 2001:db8::2 65535 587\r\n",
     "[2001:db8::1]:65535 [2001:db8::2]:587"},
    {"v1 unknown", "PROXY UNKNOWN\r\n", "none"},
    {"v1 unknown with junk", "PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n", "none"},
    {"v1 wrong family", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "invalid"},
    {"v1 mapped", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "invalid"},
    {"v1 no port", "PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n", "invalid"},
    {"v1 port too large", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", "invalid"},
    {"v1 leading zero", "PROXY TCP4 192.0.2.1 198.51.100.2 012 25\r\n", "invalid"},
    {"v1 two spaces", "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n", "invalid"},
    {"v1 more", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", "invalid"},
    {"v1 bare LF", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", "invalid"},
    {"v1 lower case", "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", "invalid"},
    {"v1 udp", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "invalid"},
    {"v1 too long", "PROXY UNKNOWN " + std::string(100, 'x') + "\r\n", "invalid"},
    {"v1 cut off", "PROXY TCP4 192.0.2.1 ", "more"},
    {"v2 tcp4", Binary(0x21, 0x11, kFour), "192.0.2.1:12345 198.51.100.2:25"},
    {"v2 tcp6", Binary(0x21, 0x21, kSix), "[2001:db8::1]:65535 [2001:db8::2]:587"},
    {"v2 with TLVs", Binary(0x21, 0x11, kFour + std::string("\x04\x00\x02\x00\x00", 5)),
     "192.0.2.1:12345 198.51.100.2:25"},
    {"v2 local", Binary(0x20, 0x00, ""), "none"},
    {"v2 local with addresses", Binary(0x20, 0x11, kFour), "none"},
    {"v2 unix", Binary(0x21, 0x31, std::string(216, 'x')), "none"},
    {"v2 unspecified", Binary(0x21, 0x00, ""), "none"},
    {"v2 too short", Binary(0x21, 0x11, kFour.substr(1)), "invalid"},
    {"v2 unknown command", Binary(0x22, 0x11, kFour), "invalid"},
    {"v2 unknown version", Binary(0x11, 0x11, kFour), "invalid"},
    {"v2 too long", Binary(0x21, 0x11, kFour + std::string(8000, 'x')), "invalid"},
    {"v2 cut off", Binary(0x21, 0x11, kFour).substr(0, 20), "more"},
    {"not the signature", std::string("\r\n\r\n\0\r\nQUIT\r", 12), "invalid"},
    {"SMTP", "EHLO client\r\n", "invalid"},
    {"TLS", "\x16\x03\x01", "invalid"},
    {"nothing", "", "more"},
};

TEST(ProxyProtocolTest, ReadsAtEveryChunkSize) {
  for (const Row& row : kRows) {
    const std::size_t largest = std::min<std::size_t>(row.header.size() + 1, 300);
    for (std::size_t chunk = 1; chunk <= largest; ++chunk) {
      ProxyHeaderReader reader;
      std::size_t at = 0;
      while (at < row.header.size() && reader.state() == ProxyHeaderReader::State::kNeedMore) {
        at += reader.Feed(std::string_view(row.header).substr(at, chunk));
      }
      EXPECT_EQ(Describe(reader), row.expected) << row.name << " by " << chunk;
    }
  }
}

TEST(ProxyProtocolTest, TakesNothingOfWhatFollows) {
  for (const Row& row : kRows) {
    if (row.expected == "invalid" || row.expected == "more") continue;
    for (const std::string next : {"EHLO x\r\n", "\r\n\r\n", "\n", "\x16\x03\x01"}) {
      ProxyHeaderReader reader;
      const std::string bytes = row.header + next;
      EXPECT_EQ(reader.Feed(bytes), row.header.size()) << row.name;
      EXPECT_EQ(Describe(reader), row.expected) << row.name;
    }
  }
}

TEST(ProxyProtocolTest, AMemoryStreamKnowsWhoIsBehind) {
  ManualExecutor executor;
  PeerAddress balancer;
  balancer.ip = "10.0.0.1";
  MemoryPipe pipe = MakeMemoryPipe(balancer);
  EXPECT_FALSE(pipe.server->HasInput());
  executor.Run(pipe.client->WriteAll("PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\nEHLO x\r\n",
                                     absl::Seconds(1)));
  EXPECT_TRUE(pipe.server->HasInput());
  const std::optional<absl::Status> status =
      executor.Run(pipe.server->AcceptProxyHeader(absl::Seconds(1)));
  ASSERT_TRUE(status.has_value() && status->ok());
  EXPECT_EQ(pipe.server->peer().ToString(), "192.0.2.1:12345");
  EXPECT_EQ(pipe.server->local().ToString(), "198.51.100.2:25");
  auto rest = executor.Run(pipe.server->ReadSome(absl::Seconds(1)));
  EXPECT_EQ(rest->value(), "EHLO x\r\n");
}

Task<absl::Status> Write(Stream& stream, std::string bytes) {
  absl::Status status = co_await stream.WriteAll(std::move(bytes), absl::Seconds(20));
  co_return status;
}
Task<absl::Status> Accept(Stream& stream) {
  absl::Status status = co_await stream.AcceptProxyHeader(absl::Seconds(20));
  co_return status;
}
Task<absl::StatusOr<std::string>> Read(Stream& stream) {
  absl::StatusOr<std::string> bytes = co_await stream.ReadSome(absl::Seconds(20));
  co_return std::move(bytes);
}

TEST(ProxyProtocolTest, ASocketKnowsWhoIsBehind) {
  LoopPool loops(1);
  EventLoop& loop = loops.at(0);
  SocketPair pair = MakeSocketPair(loop);
  ASSERT_TRUE(RunOn(loop, Write(*pair.client, Binary(0x21, 0x11, kFour) + "EHLO x\r\n")).ok());
  ASSERT_TRUE(RunOn(loop, Accept(*pair.server)).ok());
  EXPECT_EQ(pair.server->peer().ToString(), "192.0.2.1:12345");
  EXPECT_EQ(RunOn(loop, Read(*pair.server)).value(), "EHLO x\r\n");
  EXPECT_FALSE(pair.server->HasInput());
  Destroy(loop, std::move(pair.server));
  Destroy(loop, std::move(pair.client));
}

TEST(ProxyProtocolTest, ASocketRefusesWhatIsNoHeader) {
  LoopPool loops(1);
  EventLoop& loop = loops.at(0);
  SocketPair pair = MakeSocketPair(loop);
  const std::string before = pair.server->peer().ToString();
  ASSERT_TRUE(RunOn(loop, Write(*pair.client, "EHLO x\r\n")).ok());
  const absl::Status status = RunOn(loop, Accept(*pair.server));
  EXPECT_EQ(FailureOf(status), Failure::kBadSequence);
  EXPECT_EQ(pair.server->peer().ToString(), before);
  Destroy(loop, std::move(pair.server));
  Destroy(loop, std::move(pair.client));
}

}  // namespace
}  // namespace posthorn::net
