// The service as its callers see it: gRPC over an in-process channel, on real stores.

#include "services/queue/wiring.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "lib/base/failure.h"
#include "lib/rpc/failure_status.h"
#include "lib/rpc/grpc_server.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/config/v1/config.pb.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

constexpr char kToken[] = "service token";

class QueueServerTest : public QueueTest {
 protected:
  QueueServerTest() {
    queue_.reset();  // the server is the only replica
    config::v1::Config config;
    config.mutable_postgres()->set_url(url_);
    config.mutable_postgres()->set_connections(2);
    config.mutable_redis()->set_address(redis_server_.address());
    config.mutable_queue()->set_threads(2);
    config.mutable_queue()->set_shards(4);
    config.mutable_queue()->set_lease_seconds(30);
    auto started = QueueServer::Start(config, kToken);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    auto listening = rpc::Server::Start(server_->services(), rpc::ServerOptions());
    EXPECT_TRUE(listening.ok()) << listening.status();
    grpc_ = *std::move(listening);
    channel_ = grpc_->InProcessChannel();
    stub_ = v1::Queue::NewStub(channel_);
    bodies_ = common::v1::Bodies::NewStub(channel_);
  }
  ~QueueServerTest() override {
    server_->Drain();
    bodies_.reset();
    stub_.reset();
    channel_.reset();
    grpc_->Shutdown(absl::Seconds(5));
    grpc_.reset();
    server_->Stop();
  }

  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", std::string("Bearer ") + kToken);
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }
  static v1::OutboundMessage Outbound(const std::string& to) {
    v1::OutboundMessage message;
    message.set_tenant_id(1);
    message.set_message_id(MessageId::Generate(absl::Now()).bytes());
    message.set_reverse_path("a@sender.test");
    message.add_recipients()->set_address(to);
    message.set_inline_body("Subject: x\r\n\r\ntext\r\n");
    return message;
  }
  v1::EnqueueResult Enqueue(v1::OutboundMessage message) {
    v1::EnqueueRequest request;
    *request.add_messages() = std::move(message);
    v1::EnqueueResponse response;
    const grpc::Status status = stub_->Enqueue(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.results_size(), 1);
    return response.results_size() == 1 ? response.results(0) : v1::EnqueueResult();
  }
  v1::LeaseResponse Lease(int wait_ms) {
    v1::LeaseRequest request;
    request.set_worker_id("w");
    request.set_max_jobs(10);
    request.set_wait_ms(wait_ms);
    v1::LeaseResponse response;
    const grpc::Status status = stub_->Lease(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::unique_ptr<QueueServer> server_;
  std::unique_ptr<rpc::Server> grpc_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Queue::Stub> stub_;
  std::unique_ptr<common::v1::Bodies::Stub> bodies_;
};

TEST_F(QueueServerTest, CarriesAMessageFromEnqueueToReport) {
  const v1::OutboundMessage message = Outbound("bob@example.net");
  const v1::EnqueueResult result = Enqueue(message);
  EXPECT_EQ(result.message_id(), message.message_id());
  EXPECT_FALSE(result.has_failure());
  EXPECT_TRUE(Enqueue(message).duplicate());

  const v1::LeaseResponse leased = Lease(10000);
  ASSERT_EQ(leased.jobs_size(), 1);
  EXPECT_EQ(leased.lease_seconds(), 30);
  const v1::Job& job = leased.jobs(0);
  EXPECT_EQ(job.message_id(), message.message_id());
  EXPECT_EQ(job.inline_body(), message.inline_body());
  EXPECT_EQ(job.recipients(0).original_address(), "bob@example.net");
  EXPECT_LT(absl::Now() - absl::FromUnixSeconds(job.received_at().seconds()), absl::Minutes(1));

  v1::HeartbeatRequest heartbeat;
  v1::LeaseKey key;
  key.set_tenant_id(job.tenant_id());
  key.set_job_id(job.job_id());
  key.set_attempt(job.attempt());
  key.set_destination(job.destination());
  *heartbeat.add_jobs() = key;
  v1::HeartbeatResponse heard;
  ASSERT_TRUE(stub_->Heartbeat(Context().get(), heartbeat, &heard).ok());
  EXPECT_EQ(heard.lost_job_ids_size(), 0);

  v1::GetMessageRequest get;
  get.set_tenant_id(1);
  get.set_message_id(message.message_id());
  v1::GetMessageResponse got;
  ASSERT_TRUE(stub_->GetMessage(Context().get(), get, &got).ok());
  EXPECT_EQ(got.message().recipients(0).state(), "leased");

  v1::ReportRequest request;
  v1::JobReport& report = *request.add_reports();
  *report.mutable_job() = key;
  report.add_recipients()->set_recipient_id(job.recipients(0).recipient_id());
  report.mutable_recipients(0)->set_outcome(v1::RecipientReport::OUTCOME_DELIVERED);
  v1::ReportResponse reported;
  ASSERT_TRUE(stub_->Report(Context().get(), request, &reported).ok());
  // It has left the queue, and its log tells so.
  ASSERT_TRUE(stub_->GetMessage(Context().get(), get, &got).ok());
  EXPECT_EQ(got.message().message_id(), message.message_id());
  EXPECT_EQ(got.message().recipients_size(), 0);
  ASSERT_EQ(got.message().events_size(), 2);
  EXPECT_EQ(got.message().events(0).kind(), "accepted");
  EXPECT_EQ(got.message().events(1).kind(), "delivered");
  EXPECT_EQ(got.message().events(1).recipient(), "bob@example.net");
  get.set_tenant_id(2);
  const grpc::Status unknown = stub_->GetMessage(Context().get(), get, &got);
  EXPECT_EQ(FailureOf(rpc::FromGrpc(unknown)), Failure::kNotFound);
}

TEST_F(QueueServerTest, WithoutTheTokenNothingIsDone) {
  grpc::ClientContext context;
  v1::EnqueueRequest request;
  *request.add_messages() = Outbound("bob@example.net");
  v1::EnqueueResponse response;
  EXPECT_EQ(stub_->Enqueue(&context, request, &response).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), 0);
}

TEST_F(QueueServerTest, MalformedMessageIsItsOwnFailure) {
  v1::OutboundMessage message = Outbound("bob@example.net");
  message.set_message_id("short");
  const v1::EnqueueResult result = Enqueue(message);
  EXPECT_EQ(result.failure().failure(), static_cast<int>(Failure::kInvalidArgument));
  EXPECT_TRUE(result.failure().permanent());
}

TEST_F(QueueServerTest, LargeBodyTravelsByReference) {
  std::string body;
  for (int i = 0; i < 60000; ++i) body += "line " + std::to_string(i) + "\r\n";
  common::v1::PutBodyResponse put;
  auto context = Context();
  auto writer = bodies_->Put(context.get(), &put);
  common::v1::PutBodyRequest piece;
  piece.set_tenant_id(1);
  for (std::size_t at = 0; at < body.size(); at += 100000) {
    piece.set_data(body.substr(at, 100000));
    ASSERT_TRUE(writer->Write(piece));
  }
  ASSERT_TRUE(writer->WritesDone());
  const grpc::Status stored = writer->Finish();
  ASSERT_TRUE(stored.ok()) << stored.error_message();
  EXPECT_EQ(put.body().size(), body.size());

  v1::OutboundMessage message = Outbound("bob@example.net");
  *message.mutable_stored_body() = put.body();
  EXPECT_FALSE(Enqueue(message).has_failure());
  const v1::LeaseResponse leased = Lease(10000);
  ASSERT_EQ(leased.jobs_size(), 1);
  ASSERT_TRUE(leased.jobs(0).has_stored_body());

  common::v1::ReadBodyRequest read;
  read.set_tenant_id(1);
  read.set_sha256(leased.jobs(0).stored_body().sha256());
  std::string back;
  context = Context();
  auto reader = bodies_->Read(context.get(), read);
  common::v1::ReadBodyResponse part;
  while (reader->Read(&part)) back += part.data();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(back, body);

  // Another tenant's body is not there.
  read.set_tenant_id(2);
  context = Context();
  reader = bodies_->Read(context.get(), read);
  EXPECT_FALSE(reader->Read(&part));
  EXPECT_EQ(FailureOf(rpc::FromGrpc(reader->Finish())), Failure::kNotFound);
}

TEST(QueueServerConfigTest, NamesTheMissingKey) {
  config::v1::Config config;
  auto started = QueueServer::Start(config, "t");
  EXPECT_EQ(started.status().message(), "postgres.url is missing");
  config.mutable_postgres()->set_url("host=/nowhere");
  started = QueueServer::Start(config, "t");
  EXPECT_EQ(started.status().message(), "redis.address is missing");
}

}  // namespace
}  // namespace posthorn::queue
