#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/net/listener.h"
#include "lib/net/net_test_support.h"
#include "lib/net/peer_user.h"

namespace posthorn::net {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(20);

// Sessions must end before their loop does.
std::atomic<int> sessions{0};
struct Session {
  Session() { ++sessions; }
  ~Session() { --sessions; }
};

// Sends back what comes until the peer closes.
Task<void> Echo(std::unique_ptr<Stream> stream) {
  const Session session;
  for (;;) {
    absl::StatusOr<std::string> bytes = co_await stream->ReadSome(kLong);
    if (!bytes.ok() || bytes->empty()) co_return;
    absl::Status status = co_await stream->WriteAll(*std::move(bytes), kLong);
    if (!status.ok()) co_return;
  }
}

Task<std::string> ReadExactly(Stream& stream, std::size_t size) {
  std::string all;
  while (all.size() < size) {
    absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kLong);
    if (!bytes.ok()) co_return "(" + std::string(bytes.status().message()) + ")";
    if (bytes->empty()) break;
    all += *bytes;
  }
  co_return std::move(all);
}

Task<void> WriteInBackground(Stream& stream, std::string bytes, std::promise<absl::Status>& done) {
  done.set_value(co_await stream.WriteAll(std::move(bytes), kLong));
}

class SocketStreamTest : public testing::Test {
 protected:
  void TearDown() override {
    while (sessions.load() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::unique_ptr<Stream> ConnectOrDie(const std::string& ip, int port) {
    auto stream = RunOn(loop(), Connect(ip, port, "", kLong));
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *std::move(stream);
  }
  absl::Status Write(Stream& stream, std::string bytes, absl::Duration timeout = kLong) {
    return RunOn(loop(), stream.WriteAll(std::move(bytes), timeout));
  }
  absl::StatusOr<std::string> Read(Stream& stream, absl::Duration timeout = kLong) {
    return RunOn(loop(), stream.ReadSome(timeout));
  }
  EventLoop& loop() { return loops_.at(0); }

  LoopPool loops_{2};
};

class EchoTest : public SocketStreamTest, public testing::WithParamInterface<std::string> {};

TEST_P(EchoTest, BytesComeBackUnchanged) {
  auto socket = BoundSocket::Bind(GetParam(), 0);
  ASSERT_TRUE(socket.ok()) << socket.status();
  std::promise<PeerAddress> seen;
  Listener listener(*std::move(socket), loops_, [&seen](std::unique_ptr<Stream> stream) {
    seen.set_value(stream->peer());
    return Echo(std::move(stream));
  });
  std::unique_ptr<Stream> stream = ConnectOrDie(GetParam(), listener.local().port);
  std::string bytes(3'000'000, 'x');
  for (std::size_t i = 0; i < bytes.size(); i += 97) bytes[i] = static_cast<char>(i);
  std::promise<absl::Status> written;
  Spawn(loop(), WriteInBackground(*stream, bytes, written));
  EXPECT_TRUE(RunOn(loop(), ReadExactly(*stream, bytes.size())) == bytes);
  EXPECT_TRUE(written.get_future().get().ok());
  const PeerAddress peer = seen.get_future().get();
  EXPECT_EQ(peer.ip, GetParam());
  EXPECT_TRUE(peer.IsLoopback());
  EXPECT_EQ(peer.ToString(), stream->local().ToString());
  Destroy(loop(), std::move(stream));
}

INSTANTIATE_TEST_SUITE_P(Families, EchoTest, testing::Values("127.0.0.1", "::1"),
                         [](const auto& info) { return info.param == "::1" ? "IPv6" : "IPv4"; });

TEST_F(SocketStreamTest, ATakenPortIsAnErrorWithAddressAndPort) {
  auto first = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(first.ok());
  const auto second = BoundSocket::Bind("127.0.0.1", first->local().port);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(first->local().ToString()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

TEST_F(SocketStreamTest, AnAdoptedSocketListens) {
  auto bound = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(bound.ok());
  const int port = bound->local().port;
  auto adopted = BoundSocket::Adopt(bound->Release());
  ASSERT_TRUE(adopted.ok());
  EXPECT_EQ(adopted->local().port, port);
  EXPECT_FALSE(BoundSocket::Adopt(0).ok());
}

TEST_F(SocketStreamTest, ARefusedConnectionNamesTheHost) {
  auto bound = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(bound.ok());
  const int port = bound->local().port;
  close(bound->Release());
  const auto stream = RunOn(loop(), Connect("127.0.0.1", port, "", kLong));
  ASSERT_FALSE(stream.ok());
  EXPECT_EQ(FailureOf(stream.status()), Failure::kConnectFailed);
  EXPECT_THAT(std::string(stream.status().message()), HasSubstr("refused"));
}

TEST_F(SocketStreamTest, ConnectsFromTheSourceThatIsAsked) {
  auto socket = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok());
  Listener listener(*std::move(socket), loops_, Echo);
  const int port = listener.local().port;
  auto stream = RunOn(loop(), Connect("127.0.0.1", port, "127.0.0.9", kLong));
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE(Write(**stream, "x").ok());
  Destroy(loop(), *std::move(stream));
  // Another machine's says nothing about the destination.
  const auto foreign = RunOn(loop(), Connect("127.0.0.1", port, "192.0.2.77", kLong));
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign.status())) << foreign.status();
}

TEST_F(SocketStreamTest, AUnixSocketKnowsItsUsersAndIsForAll) {
  char pattern[] = "/tmp/socket-test-XXXXXX";
  const std::string directory = mkdtemp(pattern);
  const std::string path = directory + "/socket";
  const mode_t mask = umask(0077);
  absl::StatusOr<BoundSocket> bound = BoundSocket::BindUnix(path);
  umask(mask);
  ASSERT_TRUE(bound.ok()) << bound.status();
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666u);
  EXPECT_THAT(std::string(BoundSocket::BindUnix(path).status().message()),
              HasSubstr("somebody else listens on it"));
  {
    std::promise<std::optional<uid_t>> user;
    // Who looked whether somebody listens has connected too.
    std::atomic<int> connections{0};
    Listener listener(*std::move(bound), loops_, [&](std::unique_ptr<Stream> stream) {
      if (++connections == 1) user.set_value(PeerUser(*stream));
      return Echo(std::move(stream));
    });
    absl::StatusOr<std::unique_ptr<Stream>> client = RunOn(loop(), ConnectUnix(path, kLong));
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_EQ(user.get_future().get(), std::optional<uid_t>(geteuid()));
    Destroy(loop(), *std::move(client));
  }
  // Who has listened stops, the file stays.
  absl::StatusOr<BoundSocket> next = BoundSocket::BindUnix(path);
  for (int i = 0; i < 1000 && !next.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    next = BoundSocket::BindUnix(path);
  }
  EXPECT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(BoundSocket::BindUnix(directory + "/" + std::string(100, 'x')).ok());
  unlink(path.c_str());
  rmdir(directory.c_str());
}

TEST_F(SocketStreamTest, AStoppedListenerRefuses) {
  auto socket = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok());
  Listener listener(*std::move(socket), loops_, Echo);
  std::unique_ptr<Stream> stream = ConnectOrDie("127.0.0.1", listener.local().port);
  listener.Stop();
  EXPECT_FALSE(RunOn(loop(), Connect("127.0.0.1", listener.local().port, "", kLong)).ok());
  // What was accepted goes on.
  EXPECT_TRUE(Write(*stream, "still").ok());
  EXPECT_EQ(*Read(*stream), "still");
  Destroy(loop(), std::move(stream));
}

TEST_F(SocketStreamTest, ReadsTimeOutAndTheStreamGoesOn) {
  SocketPair pair = MakeSocketPair(loop());
  const absl::Time start = absl::Now();
  EXPECT_EQ(FailureOf(Read(*pair.server, absl::Milliseconds(30)).status()), Failure::kTimeout);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(29));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  ASSERT_TRUE(Write(*pair.client, "late").ok());
  EXPECT_EQ(*Read(*pair.server), "late");
  // A shorter timeout after a longer one.
  ASSERT_TRUE(Write(*pair.client, "x").ok());
  EXPECT_EQ(*Read(*pair.server, absl::Hours(1)), "x");
  EXPECT_EQ(FailureOf(Read(*pair.server, absl::Milliseconds(20)).status()), Failure::kTimeout);
  Destroy(loop(), std::move(pair.server));
  Destroy(loop(), std::move(pair.client));
}

TEST_F(SocketStreamTest, WritesTimeOutWhenThePeerReadsNothing) {
  SocketPair pair = MakeSocketPair(loop());
  const absl::Status status =
      Write(*pair.server, std::string(10'000'000, 'x'), absl::Milliseconds(30));
  EXPECT_EQ(FailureOf(status), Failure::kTimeout);
  Destroy(loop(), std::move(pair.server));
  Destroy(loop(), std::move(pair.client));
}

Task<absl::StatusOr<std::string>> ReadAndInterrupt(Stream& stream) {
  // Posted now, runs while the read waits.
  Executor::Current()->Post([&stream] { stream.Interrupt(); });
  absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kLong);
  co_return std::move(bytes);
}
Task<absl::StatusOr<std::string>> InterruptAndRead(Stream& stream) {
  stream.Interrupt();
  absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kLong);
  co_return std::move(bytes);
}

TEST_F(SocketStreamTest, AnInterruptionEndsThePendingReadOrTheNextAndLosesNothing) {
  SocketPair pair = MakeSocketPair(loop());
  EXPECT_TRUE(absl::IsCancelled(RunOn(loop(), ReadAndInterrupt(*pair.server)).status()));
  // The flag is still up: it was set before the read that is told of it.
  ASSERT_TRUE(Write(*pair.client, "DONE").ok());
  EXPECT_EQ(*Read(*pair.server), "DONE");
  ASSERT_TRUE(Write(*pair.client, "MORE").ok());
  EXPECT_TRUE(absl::IsCancelled(RunOn(loop(), InterruptAndRead(*pair.server)).status()));
  EXPECT_EQ(*Read(*pair.server), "MORE");
  Destroy(loop(), std::move(pair.server));
  Destroy(loop(), std::move(pair.client));
}

Task<absl::StatusOr<std::string>> ReadAndClose(Stream& stream) {
  Executor::Current()->Post([&stream] { stream.Close(); });
  absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kLong);
  co_return std::move(bytes);
}

TEST_F(SocketStreamTest, CloseFailsPendingAndLaterCalls) {
  SocketPair pair = MakeSocketPair(loop());
  EXPECT_TRUE(absl::IsUnavailable(RunOn(loop(), ReadAndClose(*pair.server)).status()));
  EXPECT_TRUE(absl::IsUnavailable(Read(*pair.server).status()));
  EXPECT_TRUE(absl::IsUnavailable(Write(*pair.server, "x")));
  EXPECT_EQ(*Read(*pair.client), "");
  Destroy(loop(), std::move(pair.server));
  Destroy(loop(), std::move(pair.client));
}

Task<absl::StatusOr<std::string>> ReadAndDestroy(std::unique_ptr<Stream>& stream) {
  Executor::Current()->Post([&stream] { stream.reset(); });
  absl::StatusOr<std::string> bytes = co_await stream->ReadSome(kLong);
  co_return std::move(bytes);
}

TEST_F(SocketStreamTest, DestroyingAStreamEndsItsPendingRead) {
  SocketPair pair = MakeSocketPair(loop());
  EXPECT_TRUE(absl::IsUnavailable(RunOn(loop(), ReadAndDestroy(pair.server)).status()));
  Destroy(loop(), std::move(pair.client));
}

// A client made of plain system calls, for what a Stream would not do.
int PlainClient(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

TEST_F(SocketStreamTest, AHalfClosedPeerStillGetsItsAnswer) {
  auto socket = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok());
  Listener listener(*std::move(socket), loops_, Echo);
  const int fd = PlainClient(listener.local().port);
  ASSERT_EQ(send(fd, "QUIT", 4, 0), 4);
  shutdown(fd, SHUT_WR);
  char buffer[16];
  EXPECT_EQ(recv(fd, buffer, sizeof(buffer), MSG_WAITALL), 4);
  close(fd);
}

Task<void> ReadTwice(std::unique_ptr<Stream> stream, std::promise<absl::Status>& result) {
  absl::StatusOr<std::string> bytes = co_await stream->ReadSome(kLong);
  if (bytes.ok()) bytes = co_await stream->ReadSome(kLong);
  result.set_value(bytes.ok() ? absl::OkStatus() : bytes.status());
}

TEST_F(SocketStreamTest, AResetIsAnErrorAndNoEnd) {
  auto socket = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok());
  std::promise<absl::Status> result;
  Listener listener(*std::move(socket), loops_, [&result](std::unique_ptr<Stream> stream) {
    return ReadTwice(std::move(stream), result);
  });
  const int fd = PlainClient(listener.local().port);
  ASSERT_EQ(send(fd, "x", 1, 0), 1);
  const linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  close(fd);
  EXPECT_TRUE(absl::IsUnavailable(result.get_future().get()));
}

TEST_F(SocketStreamTest, AThousandConnectionsAreServedAndSmallWhileIdle) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  // Both ends are here; a machine that allows fewer descriptors serves fewer.
  const int connections =
      static_cast<int>(std::min<rlim_t>(1000, limit.rlim_cur > 300 ? (limit.rlim_cur - 100) / 2 : 100));
  auto socket = BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok());
  Listener listener(*std::move(socket), loops_, Echo);
  const std::size_t before = mallinfo2().uordblks;
  std::vector<int> clients;
  for (int i = 0; i < connections; ++i) clients.push_back(PlainClient(listener.local().port));
  char byte = 0;
  for (const int fd : clients) ASSERT_EQ(send(fd, "x", 1, 0), 1);
  for (const int fd : clients) ASSERT_EQ(recv(fd, &byte, 1, 0), 1);
  // Sanitizers keep their own heap, where this reads 0.
  const std::size_t each = (mallinfo2().uordblks - before) / static_cast<std::size_t>(connections);
  RecordProperty("octets_per_connection", static_cast<int>(each));
  EXPECT_LT(each, 4096u);
  for (const int fd : clients) close(fd);
}

}  // namespace
}  // namespace posthorn::net
