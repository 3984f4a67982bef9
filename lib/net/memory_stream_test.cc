#include "lib/net/memory_stream.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/net/tls.h"

namespace posthorn::net {
namespace {

PeerAddress Client() {
  PeerAddress address;
  address.ip = "198.51.100.7";
  address.port = 4000;
  return address;
}

class MemoryStreamTest : public testing::Test {
 protected:
  std::string Read(Stream& stream) {
    auto bytes = executor_.Run(stream.ReadSome(absl::InfiniteDuration()));
    if (!bytes.has_value()) return "(waits)";
    return bytes->ok() ? **bytes : "(" + std::string(bytes->status().message()) + ")";
  }
  void Write(Stream& stream, std::string bytes) {
    auto status = executor_.Run(stream.WriteAll(std::move(bytes), absl::Seconds(1)));
    ASSERT_TRUE(status.has_value());
    EXPECT_TRUE(status->ok()) << *status;
  }

  ManualExecutor executor_;
  MemoryPipe pipe_ = MakeMemoryPipe(Client());
};

TEST_F(MemoryStreamTest, CarriesBytesBothWaysAndKnowsItsPeer) {
  Write(*pipe_.client, "EHLO");
  EXPECT_EQ(Read(*pipe_.server), "EHLO");
  Write(*pipe_.server, "250");
  EXPECT_EQ(Read(*pipe_.client), "250");
  EXPECT_EQ(pipe_.server->peer().ToString(), "198.51.100.7:4000");
  EXPECT_FALSE(pipe_.server->peer().IsLoopback());
}

TEST_F(MemoryStreamTest, AClosedPeerReadsAsEmptyAfterWhatItSent) {
  Write(*pipe_.client, "QUIT");
  pipe_.client->Close();
  EXPECT_EQ(Read(*pipe_.server), "QUIT");
  EXPECT_EQ(Read(*pipe_.server), "");
  auto status = executor_.Run(pipe_.server->WriteAll("221", absl::Seconds(1)));
  ASSERT_TRUE(status.has_value());
  EXPECT_FALSE(status->ok());
}

Task<void> Keep(Stream& stream, absl::Duration timeout,
                std::optional<absl::StatusOr<std::string>>& result) {
  result = co_await stream.ReadSome(timeout);
}

TEST_F(MemoryStreamTest, ReadsTimeOut) {
  std::optional<absl::StatusOr<std::string>> result;
  Spawn(executor_, Keep(*pipe_.server, absl::Seconds(5), result));
  executor_.RunUntilIdle();
  executor_.Advance(absl::Seconds(4));
  EXPECT_FALSE(result.has_value());
  executor_.Advance(absl::Seconds(2));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(FailureOf(result->status()), Failure::kTimeout);
}

TEST_F(MemoryStreamTest, AnInterruptionEndsThePendingReadOrTheNext) {
  std::optional<absl::StatusOr<std::string>> result;
  Spawn(executor_, Keep(*pipe_.server, absl::InfiniteDuration(), result));
  executor_.RunUntilIdle();
  pipe_.server->Interrupt();
  executor_.RunUntilIdle();
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(absl::IsCancelled(result->status()));

  pipe_.server->Interrupt();
  Write(*pipe_.client, "DONE");
  EXPECT_EQ(Read(*pipe_.server), "(interrupted)");
  EXPECT_EQ(Read(*pipe_.server), "DONE");
}

Task<void> Secure(Stream& stream, bool server, const TlsContext& context,
                  std::optional<absl::Status>& result) {
  if (server) {
    result = co_await stream.StartTlsServer(context, absl::Seconds(1));
  } else {
    result = co_await stream.StartTlsClient(context, "mx.example", absl::Seconds(1));
  }
}

TEST_F(MemoryStreamTest, ClearTextBeforeTheHandshakeIsDropped) {
  auto context = TlsContext::Client("");
  ASSERT_TRUE(context.ok());
  std::optional<absl::Status> server;
  std::optional<absl::Status> client;
  Write(*pipe_.client, "MAIL FROM:<evil>");
  Spawn(executor_, Secure(*pipe_.server, true, **context, server));
  executor_.RunUntilIdle();
  EXPECT_FALSE(server.has_value());
  Spawn(executor_, Secure(*pipe_.client, false, **context, client));
  executor_.RunUntilIdle();
  ASSERT_TRUE(server.has_value() && client.has_value());
  EXPECT_TRUE(server->ok() && client->ok());
  EXPECT_TRUE(pipe_.server->tls().active);
  Write(*pipe_.client, "EHLO");
  EXPECT_EQ(Read(*pipe_.server), "EHLO");
}

}  // namespace
}  // namespace posthorn::net
