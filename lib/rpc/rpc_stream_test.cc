#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/rpc/rpc_test_support.h"
#include "posthorn/common/v1/common.grpc.pb.h"

namespace posthorn::rpc {
namespace {

using common::v1::Bodies;
using common::v1::PutBodyRequest;
using common::v1::PutBodyResponse;
using common::v1::ReadBodyRequest;
using common::v1::ReadBodyResponse;

constexpr std::size_t kPieceOctets = 256 * 1024;

// Put counts octets; Read sends `length` octets in pieces, and fails after them if asked for
// tenant 13.
class BodiesService final : public Bodies::CallbackService {
 public:
  explicit BodiesService(Executor& executor) : executor_(executor) {}

  grpc::ServerReadReactor<PutBodyRequest>* Put(grpc::CallbackServerContext* context,
                                               PutBodyResponse* response) override {
    std::function<Task<absl::Status>(ServerReader<PutBodyRequest>&)> handler =
        [this, response](ServerReader<PutBodyRequest>& reader) { return DoPut(reader, response); };
    return HandleClientStream<PutBodyRequest>(context, guard_, executor_, std::move(handler));
  }

  grpc::ServerWriteReactor<ReadBodyResponse>* Read(grpc::CallbackServerContext* context,
                                                   const ReadBodyRequest* request) override {
    std::function<Task<absl::Status>(ServerWriter<ReadBodyResponse>&)> handler =
        [this, request](ServerWriter<ReadBodyResponse>& writer) { return DoRead(writer, request); };
    return HandleServerStream<ReadBodyResponse>(context, guard_, executor_, std::move(handler));
  }

  std::atomic<int> running{0};
  std::atomic<int> pieces_written{0};

 private:
  Task<absl::Status> DoPut(ServerReader<PutBodyRequest>& reader, PutBodyResponse* response) {
    ++running;
    std::uint64_t octets = 0;
    for (;;) {
      std::optional<PutBodyRequest> piece = co_await reader.Read();
      if (!piece.has_value()) break;
      octets += piece->data().size();
      if (piece->tenant_id() == 13) {
        --running;
        co_return MakeFailure(Failure::kMessageTooLarge);
      }
    }
    --running;
    if (reader.cancelled()) co_return MakeFailure(Failure::kUnavailable);
    response->mutable_body()->set_size(octets);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoRead(ServerWriter<ReadBodyResponse>& writer,
                            const ReadBodyRequest* request) {
    ++running;
    std::uint64_t left = request->length();
    while (left > 0) {
      ReadBodyResponse piece;
      piece.set_data(std::string(std::min<std::uint64_t>(left, kPieceOctets), 'x'));
      left -= piece.data().size();
      const bool taken = co_await writer.Write(std::move(piece));
      if (!taken) break;
      ++pieces_written;
    }
    --running;
    if (request->tenant_id() == 13) co_return MakeFailure(Failure::kNotFound);
    co_return absl::OkStatus();
  }

  Executor& executor_;
  const TokenGuard guard_{kToken};
};

class RpcStreamTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ServerOptions options;
    const std::string target = "unix:" + directory_.path() + "/socket";
    if (GetParam()) options.listen.push_back(target);
    auto server = Server::Start({&service_}, std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = Bodies::NewStub(GetParam() ? Connect(target, TlsFiles())
                                       : server_->InProcessChannel());
  }
  void TearDown() override {
    // Nothing may be left running by a client that went away.
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (service_.running != 0 && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(service_.running, 0);
    server_->Shutdown(absl::Seconds(20));
  }

  StreamReader<ReadBodyResponse> StartRead(std::int64_t tenant, std::uint64_t length,
                                           std::string token = kToken) {
    ReadBodyRequest request;
    request.set_tenant_id(tenant);
    request.set_length(length);
    return StreamReader<ReadBodyResponse>(stub_->async(), &Bodies::Stub::async::Read,
                                          std::move(request),
                                          CallOptions(std::move(token), absl::Seconds(20)));
  }

  struct ReadOutcome {
    std::uint64_t octets = 0;
    absl::Status status;
  };
  Task<ReadOutcome> ReadAll(std::int64_t tenant, std::uint64_t length, std::string token) {
    StreamReader<ReadBodyResponse> reader = StartRead(tenant, length, std::move(token));
    ReadOutcome outcome;
    for (;;) {
      absl::StatusOr<std::optional<ReadBodyResponse>> piece = co_await reader.Next();
      if (!piece.ok()) {
        outcome.status = piece.status();
        break;
      }
      if (!piece->has_value()) break;
      outcome.octets += (*piece)->data().size();
    }
    co_return std::move(outcome);
  }

  Task<absl::StatusOr<PutBodyResponse>> PutAll(std::int64_t tenant, int pieces,
                                               std::string token) {
    StreamWriter<PutBodyRequest, PutBodyResponse> writer(
        stub_->async(), &Bodies::Stub::async::Put, CallOptions(std::move(token), absl::Seconds(20)));
    for (int i = 0; i < pieces; ++i) {
      PutBodyRequest piece;
      piece.set_tenant_id(tenant);
      piece.set_data(std::string(kPieceOctets, 'x'));
      const bool taken = co_await writer.Write(std::move(piece));
      if (!taken) break;
    }
    absl::StatusOr<PutBodyResponse> response = co_await writer.Finish();
    co_return std::move(response);
  }

  TemporaryDirectory directory_;
  net::EventLoop server_loop_;
  net::EventLoop client_loop_;
  BodiesService service_{server_loop_};
  std::unique_ptr<Server> server_;
  std::unique_ptr<Bodies::Stub> stub_;
};

TEST_P(RpcStreamTest, ReadsToTheEnd) {
  const ReadOutcome outcome = RunOn(client_loop_, ReadAll(1, 20 * kPieceOctets + 5, kToken));
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.octets, 20 * kPieceOctets + 5);
  EXPECT_TRUE(RunOn(client_loop_, ReadAll(1, 0, kToken)).status.ok());
}

TEST_P(RpcStreamTest, AFailureComesAfterWhatWasSent) {
  const ReadOutcome outcome = RunOn(client_loop_, ReadAll(13, 3 * kPieceOctets, kToken));
  EXPECT_EQ(FailureOf(outcome.status), Failure::kNotFound);
  EXPECT_EQ(outcome.octets, 3 * kPieceOctets);
}

TEST_P(RpcStreamTest, StreamsNeedTheCredential) {
  EXPECT_EQ(FailureOf(RunOn(client_loop_, ReadAll(1, 5, "wrong")).status),
            Failure::kAuthenticationRequired);
  EXPECT_EQ(FailureOf(RunOn(client_loop_, PutAll(1, 5, "wrong")).status()),
            Failure::kAuthenticationRequired);
}

TEST_P(RpcStreamTest, AReaderThatWaitsHoldsTheServerBack) {
  std::promise<std::unique_ptr<StreamReader<ReadBodyResponse>>> started;
  client_loop_.Post([this, &started] {
    started.set_value(
        std::make_unique<StreamReader<ReadBodyResponse>>(StartRead(1, 2000 * kPieceOctets)));
  });
  std::unique_ptr<StreamReader<ReadBodyResponse>> reader = started.get_future().get();
  int before = -1;
  while (service_.pieces_written != before) {
    before = service_.pieces_written;
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_LT(service_.pieces_written, 200);
  // Destroying the reader cancels the call; TearDown sees that the server noticed.
  reader.reset();
}

TEST_P(RpcStreamTest, AReaderMayBeDestroyedAtAnyMoment) {
  for (int i = 0; i < 200; ++i) {
    std::promise<void> done;
    client_loop_.Post([this, i, &done] {
      StreamReader<ReadBodyResponse> reader = StartRead(1, 10 * kPieceOctets);
      if (i % 2 == 0) absl::SleepFor(absl::Microseconds(i * 10));
      done.set_value();
    });
    done.get_future().wait();
  }
}

TEST_P(RpcStreamTest, WritesToTheEnd) {
  const auto response = RunOn(client_loop_, PutAll(1, 20, kToken));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body().size(), 20 * kPieceOctets);
  EXPECT_TRUE(RunOn(client_loop_, PutAll(1, 0, kToken)).ok());
}

TEST_P(RpcStreamTest, AWriterHearsOfAnEarlyFailure) {
  EXPECT_EQ(FailureOf(RunOn(client_loop_, PutAll(13, 1000, kToken)).status()),
            Failure::kMessageTooLarge);
}

TEST_P(RpcStreamTest, AWriterMayBeDestroyedBeforeItFinishes) {
  for (int i = 0; i < 50; ++i) {
    std::promise<void> done;
    client_loop_.Post([this, &done] {
      {
        const StreamWriter<PutBodyRequest, PutBodyResponse> writer(
            stub_->async(), &Bodies::Stub::async::Put, CallOptions(kToken, absl::Seconds(20)));
      }
      done.set_value();
    });
    done.get_future().wait();
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, RpcStreamTest, testing::Bool(), [](const auto& info) {
  return info.param ? "Unix" : "InProcess";
});

}  // namespace
}  // namespace posthorn::rpc
