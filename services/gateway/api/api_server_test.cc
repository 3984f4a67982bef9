#include "services/gateway/api/api_server.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/failure.h"
#include "lib/rpc/server.h"
#include "posthorn/admin/v1/admin.grpc.pb.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "posthorn/send/v1/send.grpc.pb.h"
#include "services/gateway/testing/fake_backends.h"
#include "services/gateway/testing/fake_directory.h"

namespace posthorn::gateway {
namespace {

constexpr char kAdminToken[] = "admin";
constexpr char kServiceToken[] = "service";

Task<absl::Status> Ok() { co_return absl::OkStatus(); }
Task<absl::Status> Fail(Failure failure) { co_return MakeFailure(failure, "said the store"); }

// Stands for the mailbox service.
class InnerAdmin final : public admin::v1::Admin::CallbackService {
 public:
  explicit InnerAdmin(Executor& executor) : executor_(executor) {}
  grpc::ServerUnaryReactor* AddTenant(grpc::CallbackServerContext* context,
                                      const admin::v1::AddTenantRequest* request,
                                      admin::v1::Tenant* response) override {
    response->set_name(request->name());
    return rpc::HandleUnary(context, guard_, executor_,
                            request->name() == "taken" ? Fail(Failure::kAlreadyExists) : Ok());
  }

 private:
  Executor& executor_;
  const rpc::TokenGuard guard_{kServiceToken};
};

class InnerQueue final : public queue::v1::Queue::CallbackService {
 public:
  explicit InnerQueue(Executor& executor) : executor_(executor) {}
  grpc::ServerUnaryReactor* RetryMessages(grpc::CallbackServerContext* context,
                                          const queue::v1::RetryMessagesRequest*,
                                          queue::v1::RetryMessagesResponse* response) override {
    response->set_jobs(7);
    return rpc::HandleUnary(context, guard_, executor_, Ok());
  }

 private:
  Executor& executor_;
  const rpc::TokenGuard guard_{kServiceToken};
};

class ApiServerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(directory_path_.data()), nullptr);
    auto area = net::StagingArea::Open(directory_path_, 1 << 20);
    ASSERT_TRUE(area.ok());
    staging_ = *std::move(area);
    directory_.AddDomain("example.test", TenantId(1));
    directory_.AddAccount("alice@example.test", "x", AccountId(11));
    directory_.AddKey("key", ApiKey(TenantId(1), KeyId(5)));
    handler_ =
        std::make_unique<SendHandler>(directory_, acceptor_, *staging_, clock_, SendLimits(),
                                      "mx.example");
    auto inner = rpc::Server::Start({&inner_admin_, &inner_queue_}, rpc::ServerOptions());
    ASSERT_TRUE(inner.ok()) << inner.status();
    inner_ = *std::move(inner);
    ApiOptions options;
    options.admin_token = kAdminToken;
    options.service_token = kServiceToken;
    auto socket = net::BoundSocket::Bind("127.0.0.1", 0);
    ASSERT_TRUE(socket.ok()) << socket.status();
    auto server = ApiServer::Start(*std::move(socket), std::move(options), *handler_,
                                   inner_->InProcessChannel(), inner_->InProcessChannel(),
                                   lockouts_, loops_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = rpc::Connect("127.0.0.1:" + std::to_string(server_->port()), rpc::TlsFiles());
  }
  void TearDown() override {
    channel_.reset();
    server_->Shutdown(absl::Seconds(10));
    inner_->Shutdown(absl::Seconds(10));
    std::filesystem::remove_all(directory_path_);
  }
  static void Prepare(grpc::ClientContext& context, const std::string& token) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  }
  grpc::Status AddTenant(const std::string& token, const std::string& name) {
    grpc::ClientContext context;
    Prepare(context, token);
    admin::v1::AddTenantRequest request;
    request.set_name(name);
    tenant_.Clear();
    return admin::v1::Admin::NewStub(channel_)->AddTenant(&context, request, &tenant_);
  }
  grpc::Status Send(const std::string& token) {
    grpc::ClientContext context;
    Prepare(context, token);
    send::v1::SendRequest request;
    request.set_from("app@example.test");
    request.add_to("alice@example.test");
    request.set_raw_message("Subject: x\r\n\r\nbody\r\n");
    return send::v1::SendService::NewStub(channel_)->Send(&context, request, &sent_);
  }

  std::string directory_path_ = testing::TempDir() + "/api-XXXXXX";
  // One loop: the fakes are for one executor.
  net::LoopPool loops_{1};
  FakeDirectory directory_;
  std::unique_ptr<net::StagingArea> staging_;
  FakeAcceptor acceptor_;  // keeps bodies of staging_
  SystemClock clock_;
  redis::Lockouts lockouts_{nullptr, clock_, redis::LockoutsOptions()};
  std::unique_ptr<SendHandler> handler_;
  InnerAdmin inner_admin_{loops_.at(0)};
  InnerQueue inner_queue_{loops_.at(0)};
  std::unique_ptr<rpc::Server> inner_;
  std::unique_ptr<ApiServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  admin::v1::Tenant tenant_;
  send::v1::SendResponse sent_;
};

TEST_F(ApiServerTest, AdministratorsCallsReachTheStores) {
  ASSERT_TRUE(AddTenant(kAdminToken, "demo").ok());
  EXPECT_EQ(tenant_.name(), "demo");
  grpc::ClientContext context;
  Prepare(context, kAdminToken);
  queue::v1::RetryMessagesResponse response;
  const grpc::Status status = admin::v1::Admin::NewStub(channel_)->RetryQueue(
      &context, queue::v1::RetryMessagesRequest(), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.jobs(), 7);
}

TEST_F(ApiServerTest, TheStoresFailuresComeBack) {
  const grpc::Status status = AddTenant(kAdminToken, "taken");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(status.error_message(), "said the store");
}

TEST_F(ApiServerTest, NothingIsForwardedWithoutTheAdministratorToken) {
  for (const char* token : {"", "wrong", kServiceToken, "key"}) {
    EXPECT_EQ(AddTenant(token, "demo").error_code(), grpc::StatusCode::UNAUTHENTICATED) << token;
  }
}

TEST_F(ApiServerTest, SendTakesAKeyAndNothingElse) {
  for (const char* token : {"", "wrong", kServiceToken, kAdminToken}) {
    EXPECT_EQ(Send(token).error_code(), grpc::StatusCode::UNAUTHENTICATED) << token;
  }
  EXPECT_TRUE(acceptor_.messages.empty());
  const grpc::Status status = Send("key");
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  EXPECT_EQ(sent_.message_id(), acceptor_.messages[0].request.id.ToString());
  EXPECT_EQ(acceptor_.messages[0].request.trace.client_ip, "127.0.0.1");
}

}  // namespace
}  // namespace posthorn::gateway
