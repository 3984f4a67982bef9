#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/rpc/rpc_test_support.h"
#include "posthorn/directory/v1/directory.grpc.pb.h"

namespace posthorn::rpc {
namespace {

using directory::v1::Directory;
using directory::v1::ResolveRequest;
using directory::v1::ResolveResponse;
using ::testing::HasSubstr;

// Answers by what the address says.
class DirectoryService final : public Directory::CallbackService {
 public:
  explicit DirectoryService(Executor& executor) : executor_(executor) {}

  grpc::ServerUnaryReactor* Resolve(grpc::CallbackServerContext* context,
                                    const ResolveRequest* request,
                                    ResolveResponse* response) override {
    return HandleUnary(context, guard_, executor_, DoResolve(context, request, response));
  }

  std::atomic<int> begun{0};

 private:
  Task<absl::Status> DoResolve(grpc::CallbackServerContext* context,
                               const ResolveRequest* request, ResolveResponse* response) {
    ++begun;
    EXPECT_EQ(Executor::Current(), &executor_);
    if (request->address() == "quota") co_return MakeFailure(Failure::kOverQuota, "full");
    if (request->address() == "bug") co_return absl::InternalError("secret detail");
    if (request->address() == "slow") co_await SleepFor(absl::Milliseconds(300));
    if (request->address() == "large") {
      response->add_targets()->set_address(std::string(20'000'000, 'x'));
    }
    response->set_tenant_id(absl::ToInt64Seconds(TimeLeft(*context, absl::Hours(1))));
    response->set_kind(ResolveResponse::KIND_LOCAL);
    co_return absl::OkStatus();
  }

  Executor& executor_;
  const TokenGuard guard_{kToken};
};

Task<absl::StatusOr<ResolveResponse>> Resolve(Directory::Stub& stub, std::string address,
                                              CallOptions options) {
  ResolveRequest request;
  request.set_address(std::move(address));
  return Unary<ResolveResponse>(stub.async(), &Directory::Stub::async::Resolve,
                                std::move(request), std::move(options));
}

CallOptions Credential(absl::Duration timeout = absl::Seconds(20)) {
  return CallOptions(kToken, timeout);
}

enum class Transport { kInProcess, kUnix, kTcp };
std::string TransportName(Transport transport) {
  constexpr const char* kNames[] = {"InProcess", "Unix", "Tcp"};
  return kNames[static_cast<int>(transport)];
}

class RpcTest : public testing::TestWithParam<Transport> {
 protected:
  void SetUp() override {
    ServerOptions options;
    if (GetParam() == Transport::kUnix) options.listen.push_back(Target());
    if (GetParam() == Transport::kTcp) options.listen.push_back("127.0.0.1:0");
    auto server = Server::Start({&service_}, std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = GetParam() == Transport::kInProcess ? server_->InProcessChannel()
                                                   : Connect(Target(), TlsFiles());
    stub_ = Directory::NewStub(channel_);
  }
  std::string Target() {
    if (GetParam() == Transport::kUnix) return "unix:" + directory_.path() + "/socket";
    return "127.0.0.1:" + std::to_string(server_->port(0));
  }
  absl::StatusOr<ResolveResponse> Call(std::string address, CallOptions options = Credential()) {
    return RunOn(client_loop_, Resolve(*stub_, std::move(address), std::move(options)));
  }

  TemporaryDirectory directory_;
  net::EventLoop server_loop_;
  net::EventLoop client_loop_;
  DirectoryService service_{server_loop_};
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Directory::Stub> stub_;
};

TEST_P(RpcTest, AnswersAndFailuresArrive) {
  const auto answer = Call("alice");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->kind(), ResolveResponse::KIND_LOCAL);
  const auto failure = Call("quota");
  EXPECT_EQ(FailureOf(failure.status()), Failure::kOverQuota);
  EXPECT_EQ(PeerText(failure.status()), "full");
  const auto bug = Call("bug");
  EXPECT_EQ(FailureOf(bug.status()), Failure::kUnknown);
  EXPECT_FALSE(bug.ok());
  EXPECT_EQ(bug.status().message().find("secret"), absl::string_view::npos);
}

TEST_P(RpcTest, TheDeadlineTravels) {
  const auto answer = Call("alice", Credential(absl::Seconds(100)));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_GT(answer->tenant_id(), 80);
  EXPECT_LE(answer->tenant_id(), 100);
  EXPECT_EQ(FailureOf(Call("slow", Credential(absl::Milliseconds(50))).status()),
            Failure::kDeadlineExceeded);
}

TEST_P(RpcTest, NothingIsBegunWithoutTheCredential) {
  const std::string tokens[] = {"", "wrong", std::string(kToken) + "x", "the service tokeN"};
  for (const std::string& token : tokens) {
    const auto answer = Call("alice", CallOptions(token, absl::Seconds(20)));
    EXPECT_EQ(FailureOf(answer.status()), Failure::kAuthenticationRequired) << token;
  }
  EXPECT_EQ(service_.begun, 0);
}

TEST_P(RpcTest, ACallThatCameTooLateIsNotBegun) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  server_loop_.Post([released] { released.wait(); });
  EXPECT_FALSE(Call("alice", Credential(absl::Milliseconds(50))).ok());
  // The time left travels with a call, so that by the server's clock it ends a little later.
  absl::SleepFor(absl::Milliseconds(500));
  release.set_value();
  ASSERT_TRUE(Call("alice").ok());
  EXPECT_EQ(service_.begun, 1);
}

TEST_P(RpcTest, LargeMessagesPass) {
  const auto answer = Call("large");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->targets(0).address().size(), 20'000'000u);
}

// Starts a task without owning its frame to the end, as a session does that is cut off.
struct EagerTask {
  struct promise_type {
    EagerTask get_return_object() {
      return EagerTask{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

EagerTask StartCall(Directory::Stub& stub) {
  const absl::StatusOr<ResolveResponse> answer =
      co_await Resolve(stub, "slow", Credential());
  ADD_FAILURE() << "resumed after its destruction: " << answer.status();
}

TEST_P(RpcTest, AWaitingCoroutineMayBeDestroyed) {
  std::promise<void> done;
  client_loop_.Post([this, &done] {
    StartCall(*stub_).handle.destroy();
    done.set_value();
  });
  done.get_future().wait();
  // Also when the answer is already on its way.
  std::promise<EagerTask> started;
  client_loop_.Post([this, &started] { started.set_value(StartCall(*stub_)); });
  EagerTask task = started.get_future().get();
  std::promise<void> destroyed;
  client_loop_.Post([this, task, &destroyed] {
    absl::SleepFor(absl::Milliseconds(400));  // the resumption is posted meanwhile
    task.handle.destroy();
    destroyed.set_value();
  });
  destroyed.get_future().wait();
  EXPECT_TRUE(Call("alice").ok());
}

// In-process calls are cut at once, so who makes them ends first.
class SocketRpcTest : public RpcTest {};

TEST_P(SocketRpcTest, ShutdownWaitsForWhatRuns) {
  std::promise<absl::StatusOr<ResolveResponse>> answer;
  Spawn(client_loop_, Deliver(Resolve(*stub_, "slow", Credential()), answer));
  while (service_.begun == 0) absl::SleepFor(absl::Milliseconds(1));
  server_->Shutdown(absl::Seconds(20));
  EXPECT_TRUE(answer.get_future().get().ok());
  EXPECT_EQ(FailureOf(Call("alice", Credential(absl::Seconds(2))).status()),
            Failure::kUnavailable);
}

TEST_P(RpcTest, ManyCallsAtOnce) {
  constexpr int kCalls = 500;
  std::vector<std::promise<absl::StatusOr<ResolveResponse>>> answers(kCalls);
  for (auto& answer : answers) {
    Spawn(client_loop_, Deliver(Resolve(*stub_, "alice", Credential()), answer));
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get_future().get().ok());
  EXPECT_EQ(service_.begun, kCalls);
}

INSTANTIATE_TEST_SUITE_P(Transports, RpcTest,
                         testing::Values(Transport::kInProcess, Transport::kUnix, Transport::kTcp),
                         [](const auto& info) { return TransportName(info.param); });

INSTANTIATE_TEST_SUITE_P(Transports, SocketRpcTest,
                         testing::Values(Transport::kUnix, Transport::kTcp),
                         [](const auto& info) { return TransportName(info.param); });

TEST(ConnectTest, NobodyThereFailsAtOnceAndIsTemporary) {
  net::EventLoop loop;
  auto stub = Directory::NewStub(Connect("unix:/tmp/nobody-listens-here", TlsFiles()));
  const absl::Time start = absl::Now();
  const auto answer = RunOn(loop, Resolve(*stub, "alice", Credential()));
  EXPECT_EQ(FailureOf(answer.status()), Failure::kUnavailable);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST(ConnectTest, AServerThatComesBackIsFoundAgain) {
  const TemporaryDirectory directory;
  net::EventLoop loop;
  DirectoryService service(loop);
  const std::string target = "unix:" + directory.path() + "/socket";
  net::EventLoop client_loop;
  const auto channel = Connect(target, TlsFiles());
  auto stub = Directory::NewStub(channel);
  for (int round = 0; round < 2; ++round) {
    ServerOptions options;
    options.listen.push_back(target);
    auto server = Server::Start({&service}, std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    bool answered = false;
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!answered && absl::Now() < limit) {
      answered = RunOn(client_loop, Resolve(*stub, "alice", Credential())).ok();
      if (!answered) absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_TRUE(answered) << round;
    EXPECT_TRUE(IsConnected(*channel));
    (*server)->Shutdown(absl::ZeroDuration());
  }
}

TEST(ServerTest, ServesASocketThatWasBoundBefore) {
  net::EventLoop loop;
  DirectoryService service(loop);
  ServerOptions options;
  auto socket = net::BoundSocket::Bind("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok()) << socket.status();
  const int port = socket->local().port;
  options.socket.emplace(*std::move(socket));
  auto server = Server::Start({&service}, std::move(options));
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->socket_port(), port);
  for (int i = 0; i < 3; ++i) {
    const auto channel = Connect("127.0.0.1:" + std::to_string(port), TlsFiles());
    EXPECT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() +
                                          std::chrono::seconds(20)));
  }
}

TEST(ServerTest, ATakenPortIsAnErrorThatNamesIt) {
  net::EventLoop loop;
  DirectoryService service(loop);
  ServerOptions options;
  options.listen.push_back("127.0.0.1:0");
  auto first = Server::Start({&service}, std::move(options));
  ASSERT_TRUE(first.ok());
  DirectoryService other(loop);
  ServerOptions taken;
  const std::string address = "127.0.0.1:" + std::to_string((*first)->port(0));
  taken.listen.push_back(address);
  const auto second = Server::Start({&other}, std::move(taken));
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
}

}  // namespace
}  // namespace posthorn::rpc
