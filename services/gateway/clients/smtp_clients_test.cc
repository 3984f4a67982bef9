// The gRPC clients against services that the test plays, over an in-process channel.
#include <grpcpp/grpcpp.h>

#include <future>
#include <mutex>

#include "gtest/gtest.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/failure_status.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/directory/v1/directory.grpc.pb.h"
#include "posthorn/mailbox/v1/delivery.grpc.pb.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "services/gateway/clients/delivery_client.h"
#include "services/gateway/clients/directory_client.h"
#include "services/gateway/clients/queue_client.h"

namespace posthorn::gateway {
namespace {

constexpr char kToken[] = "the token";

bool HasToken(const grpc::ServerContext& context) {
  const auto it = context.client_metadata().find("authorization");
  return it != context.client_metadata().end() &&
         std::string(it->second.data(), it->second.size()) == std::string("Bearer ") + kToken;
}

class PlayedBodies final : public common::v1::Bodies::Service {
 public:
  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<common::v1::PutBodyRequest>* reader,
                   common::v1::PutBodyResponse* response) override {
    if (!HasToken(*context)) return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "");
    common::v1::PutBodyRequest piece;
    body.clear();
    while (reader->Read(&piece)) {
      if (body.empty()) tenant = piece.tenant_id();
      largest_piece = std::max(largest_piece, piece.data().size());
      body += piece.data();
    }
    if (fail) return rpc::ToGrpc(MakeFailure(Failure::kStorageDown));
    response->mutable_body()->set_sha256("the hash");
    response->mutable_body()->set_size(body.size());
    return grpc::Status::OK;
  }
  std::string body;
  std::int64_t tenant = 0;
  std::size_t largest_piece = 0;
  bool fail = false;
};

class PlayedDelivery final : public mailbox::v1::LocalDelivery::Service {
 public:
  grpc::Status Deliver(grpc::ServerContext* context, const mailbox::v1::DeliverRequest* request,
                       mailbox::v1::DeliverResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!HasToken(*context)) return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "");
    if (!failure.ok()) return rpc::ToGrpc(failure);
    for (const mailbox::v1::Delivery& delivery : request->deliveries()) {
      mailbox::v1::DeliveryResult& result = *response->add_results();
      for (const mailbox::v1::LocalRecipient& to : delivery.recipients()) {
        mailbox::v1::RecipientResult& out = *result.add_recipients();
        if (to.account_id() == 1) {
          out.set_outcome(mailbox::v1::RecipientResult::OUTCOME_STORED);
        } else if (to.account_id() == 2) {
          out.set_outcome(mailbox::v1::RecipientResult::OUTCOME_DUPLICATE);
        } else if (to.account_id() == 3) {
          out.set_outcome(mailbox::v1::RecipientResult::OUTCOME_FAILED);
          *out.mutable_failure() = rpc::ToDetail(MakeFailure(Failure::kNoSuchRecipient));
        } else {
          out.set_outcome(mailbox::v1::RecipientResult::OUTCOME_FAILED);
        }
      }
      deliveries.push_back(delivery);
    }
    return grpc::Status::OK;
  }
  std::mutex mutex;
  std::vector<mailbox::v1::Delivery> deliveries;  // guarded by mutex
  absl::Status failure;
};

class PlayedQueue final : public queue::v1::Queue::Service {
 public:
  grpc::Status Enqueue(grpc::ServerContext* context, const queue::v1::EnqueueRequest* request,
                       queue::v1::EnqueueResponse* response) override {
    if (!HasToken(*context)) return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "");
    for (const queue::v1::OutboundMessage& message : request->messages()) {
      messages.push_back(message);
      queue::v1::EnqueueResult& result = *response->add_results();
      if (!failure.ok()) {
        *result.mutable_failure() = rpc::ToDetail(failure);
      } else {
        result.set_message_id(first_id.empty() ? message.message_id() : first_id);
        result.set_duplicate(!first_id.empty());
      }
    }
    return grpc::Status::OK;
  }
  std::vector<queue::v1::OutboundMessage> messages;
  std::string first_id;
  absl::Status failure;
};

class PlayedDirectory final : public directory::v1::Directory::Service {
 public:
  grpc::Status Resolve(grpc::ServerContext* context, const directory::v1::ResolveRequest* request,
                       directory::v1::ResolveResponse* response) override {
    if (!HasToken(*context)) return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "");
    ++resolves;
    if (request->address() == "list@example.test") {
      response->set_kind(directory::v1::ResolveResponse::KIND_LOCAL);
      response->set_tenant_id(7);
      directory::v1::Target& local = *response->add_targets();
      local.set_account_id(11);
      local.set_address("alice@example.test");
      directory::v1::Target& remote = *response->add_targets();
      remote.set_remote_address("x@remote.example");
      remote.set_address("x@remote.example");
    } else if (request->address() == "nobody@example.test") {
      response->set_kind(directory::v1::ResolveResponse::KIND_NO_SUCH_RECIPIENT);
      response->set_tenant_id(7);
    } else if (request->address() == "new@example.test") {
      response->set_kind(static_cast<directory::v1::ResolveResponse::Kind>(99));
    } else {
      response->set_kind(directory::v1::ResolveResponse::KIND_REMOTE);
    }
    return grpc::Status::OK;
  }
  grpc::Status Authenticate(grpc::ServerContext*, const directory::v1::AuthenticateRequest* request,
                            directory::v1::AuthenticateResponse* response) override {
    if (request->password() != "secret" || request->service() != "smtp" ||
        request->client_address() != "192.0.2.1") {
      return rpc::ToGrpc(MakeFailure(Failure::kAuthenticationFailed));
    }
    response->set_tenant_id(7);
    response->set_account_id(11);
    response->set_address("alice@example.test");
    return grpc::Status::OK;
  }
  grpc::Status AuthorizeSender(grpc::ServerContext*,
                               const directory::v1::AuthorizeSenderRequest* request,
                               directory::v1::AuthorizeSenderResponse*) override {
    if (request->tenant_id() == 7 && request->account_id() == 11) return grpc::Status::OK;
    return rpc::ToGrpc(MakeFailure(Failure::kSenderNotAllowed));
  }
  grpc::Status FindTenant(grpc::ServerContext*, const directory::v1::FindTenantRequest* request,
                          directory::v1::FindTenantResponse* response) override {
    if (request->name() != "demo") return rpc::ToGrpc(MakeFailure(Failure::kNotFound));
    response->set_tenant_id(7);
    return grpc::Status::OK;
  }
  int resolves = 0;
};

class SmtpClientsTest : public testing::Test {
 protected:
  SmtpClientsTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&bodies_);
    builder.RegisterService(&delivery_);
    builder.RegisterService(&queue_);
    builder.RegisterService(&directory_);
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel(grpc::ChannelArguments());
  }
  ~SmtpClientsTest() override { server_->Shutdown(); }

  // gRPC ends the threads of callbacks with the last channel that has used them, and version 1.51 may
  // free their queue twice then: one channel stays.
  static void SetUpTestSuite() {
    static auto* const kept = new std::shared_ptr<grpc::Channel>(
        grpc::CreateChannel("unix:/nonexistent", grpc::InsecureChannelCredentials()));
    const auto stub = directory::v1::Directory::NewStub(*kept);
    grpc::ClientContext context;
    directory::v1::FindTenantRequest request;
    directory::v1::FindTenantResponse response;
    std::promise<bool> done;
    stub->async()->FindTenant(&context, &request, &response,
                              [&](const grpc::Status& status) { done.set_value(status.ok()); });
    EXPECT_FALSE(done.get_future().get());
  }

  template <typename T>
  T Run(Task<T> task) {
    std::promise<T> promise;
    Spawn(loop_, Fulfil(std::move(task), promise));
    return promise.get_future().get();
  }
  template <typename T>
  static Task<void> Fulfil(Task<T> task, std::promise<T>& promise) {
    promise.set_value(co_await std::move(task));
  }
  std::shared_ptr<net::StagedBody> Body(const std::string& text) {
    auto body = std::make_shared<net::StagedBody>(*area_);
    EXPECT_TRUE(body->Append(text).ok());
    return body;
  }
  LocalMessage ToAccounts(std::vector<std::int64_t> accounts, const std::string& body) {
    LocalMessage message;
    message.tenant = TenantId(7);
    message.id = id_;
    message.reverse_path = "s@remote.example";
    message.body = Body(body);
    message.received_at = absl::FromUnixMillis(1700000000250);
    message.resend_key = "key";
    for (const std::int64_t account : accounts) {
      message.recipients.emplace_back(AccountId(account), "a@example.test", "Prefix: x\r\n");
    }
    return message;
  }

  const RpcSettings settings_{kToken, absl::Seconds(20)};
  const MessageId id_ = MessageId::Generate(absl::FromUnixSeconds(1700000000));
  std::unique_ptr<net::StagingArea> area_ =
      net::StagingArea::Open(testing::TempDir() + "/smtp_clients", 64 << 20).value();
  PlayedBodies bodies_;
  PlayedDelivery delivery_;
  PlayedQueue queue_;
  PlayedDirectory directory_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  SystemClock clock_;
  net::EventLoop loop_;
};

TEST_F(SmtpClientsTest, DeliversAndReadsEveryOutcome) {
  const auto client = MakeDeliveryClient(channel_, settings_);
  const std::vector<absl::Status> statuses =
      Run(client->Deliver(ToAccounts({1, 2, 3, 4}, "body\r\n")));
  ASSERT_EQ(statuses.size(), 4u);
  EXPECT_TRUE(statuses[0].ok());
  EXPECT_TRUE(statuses[1].ok());
  EXPECT_EQ(FailureOf(statuses[2]), Failure::kNoSuchRecipient);
  EXPECT_FALSE(statuses[3].ok());
  EXPECT_FALSE(IsPermanent(statuses[3]));
  const mailbox::v1::Delivery& sent = delivery_.deliveries.at(0);
  EXPECT_EQ(sent.tenant_id(), 7);
  EXPECT_EQ(sent.message_id(), id_.bytes());
  EXPECT_EQ(sent.reverse_path(), "s@remote.example");
  EXPECT_EQ(sent.inline_body(), "body\r\n");
  EXPECT_EQ(sent.resend_key(), "key");
  EXPECT_EQ(sent.received_at().seconds(), 1700000000);
  EXPECT_EQ(sent.received_at().nanos(), 250000000);
  EXPECT_EQ(sent.recipients(0).prefix(), "Prefix: x\r\n");
}

TEST_F(SmtpClientsTest, StreamsLargeBodies) {
  const auto client = MakeDeliveryClient(channel_, settings_);
  std::string large;
  while (large.size() < 3000000) large += "line " + std::to_string(large.size()) + "\r\n";
  EXPECT_TRUE(Run(client->Deliver(ToAccounts({1}, large))).at(0).ok());
  EXPECT_EQ(bodies_.body, large);
  EXPECT_EQ(bodies_.tenant, 7);
  EXPECT_LE(bodies_.largest_piece, 256u * 1024);
  EXPECT_EQ(delivery_.deliveries.at(0).stored_body().sha256(), "the hash");
  bodies_.fail = true;
  const std::vector<absl::Status> failed = Run(client->Deliver(ToAccounts({1}, large)));
  EXPECT_EQ(FailureOf(failed.at(0)), Failure::kStorageDown);
  EXPECT_EQ(delivery_.deliveries.size(), 1u);
}

TEST_F(SmtpClientsTest, BodiesOnTheEdgeTravelInside) {
  const auto client = MakeDeliveryClient(channel_, settings_);
  Run(client->Deliver(ToAccounts({1}, std::string(65536, 'x'))));
  EXPECT_EQ(delivery_.deliveries.at(0).inline_body().size(), 65536u);
  Run(client->Deliver(ToAccounts({1}, std::string(65537, 'x'))));
  EXPECT_TRUE(delivery_.deliveries.at(1).has_stored_body());
}

TEST_F(SmtpClientsTest, AFailedCallIsNeverARefusal) {
  const auto client = MakeDeliveryClient(channel_, settings_);
  for (const absl::Status& status :
       {MakeFailure(Failure::kStorageDown), MakeFailure(Failure::kInvalidArgument),
        absl::InternalError("x")}) {
    delivery_.failure = status;
    const std::vector<absl::Status> statuses = Run(client->Deliver(ToAccounts({1, 2}, "x")));
    ASSERT_EQ(statuses.size(), 2u);
    for (const absl::Status& got : statuses) {
      EXPECT_FALSE(got.ok());
      EXPECT_FALSE(IsPermanent(got));
    }
  }
}

TEST_F(SmtpClientsTest, AServiceThatIsAwayIsTemporary) {
  const auto nowhere =
      grpc::CreateChannel("unix:/nonexistent/socket", grpc::InsecureChannelCredentials());
  const auto delivery = MakeDeliveryClient(nowhere, settings_);
  const auto directory = MakeDirectoryClient(nowhere, settings_, clock_);
  for (const std::string& body : {std::string("x"), std::string(100000, 'x')}) {
    const absl::Status status = Run(delivery->Deliver(ToAccounts({1}, body))).at(0);
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(IsPermanent(status));
  }
  const absl::Status status = Run(directory->Resolve("alice@example.test")).status();
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(IsPermanent(status));
}

TEST_F(SmtpClientsTest, ConcurrentDeliveriesEachGetTheirOwnAnswer) {
  const auto client = MakeDeliveryClient(channel_, settings_);
  constexpr int kCount = 200;
  std::vector<std::promise<std::vector<absl::Status>>> promises(kCount);
  for (int i = 0; i < kCount; ++i) {
    Spawn(loop_, Fulfil(client->Deliver(ToAccounts({1 + i % 3}, "x")), promises[i]));
  }
  for (int i = 0; i < kCount; ++i) {
    const absl::Status status = promises[i].get_future().get().at(0);
    EXPECT_EQ(status.ok(), i % 3 != 2) << i;
  }
}

TEST_F(SmtpClientsTest, Enqueues) {
  const auto client = MakeQueueClient(channel_, settings_);
  OutboundMessage message;
  message.tenant = TenantId(7);
  message.id = id_;
  message.reverse_path = "s@example.test";
  message.prefix = "Received: x\r\n";
  message.body = Body("body");
  message.received_at = absl::FromUnixSeconds(1700000000);
  message.resend_key = "envelope";
  message.local_resend_key = "local";
  message.idempotency_key = "idem";
  message.body_is_8bit = true;
  message.recipients.emplace_back("x@remote.example", "list@example.test", AccountId());
  message.recipients.emplace_back("alice@example.test", "alice@example.test", AccountId(11));
  message.options.envelope_id = "QQ314";
  message.options.ret = smtp::DsnReturn::kHeaders;
  message.options.require_tls = true;
  message.options.hold_until = absl::FromUnixSeconds(1700000060);
  message.options.priority = -4;
  message.options.deliver_by.emplace(absl::FromUnixSeconds(1700000120), true, true);
  message.options.smtputf8 = true;
  message.options.body_is_binary = true;
  message.recipients[1].options.original_recipient = "rfc822;b@example.net";
  message.recipients[1].options.notify.success = true;
  message.recipients[1].options.notify.delay = true;
  const absl::StatusOr<Enqueued> enqueued = Run(client->Enqueue(message));
  ASSERT_TRUE(enqueued.ok()) << enqueued.status();
  EXPECT_EQ(enqueued->id, id_);
  EXPECT_FALSE(enqueued->duplicate);
  const queue::v1::OutboundMessage& sent = queue_.messages.at(0);
  EXPECT_EQ(sent.tenant_id(), 7);
  EXPECT_EQ(sent.message_id(), id_.bytes());
  EXPECT_EQ(sent.prefix(), "Received: x\r\n");
  EXPECT_EQ(sent.inline_body(), "body");
  EXPECT_EQ(sent.resend_key(), "envelope");
  EXPECT_EQ(sent.local_resend_key(), "local");
  EXPECT_EQ(sent.idempotency_key(), "idem");
  EXPECT_TRUE(sent.body_is_8bit());
  EXPECT_EQ(sent.recipients(0).original_address(), "list@example.test");
  EXPECT_EQ(sent.recipients(1).account_id(), 11);
  EXPECT_EQ(sent.options().envelope_id(), "QQ314");
  EXPECT_EQ(sent.options().ret(), queue::v1::EnvelopeOptions::RET_HEADERS);
  EXPECT_TRUE(sent.options().require_tls());
  EXPECT_EQ(sent.options().hold_until().seconds(), 1700000060);
  EXPECT_EQ(sent.options().priority(), -4);
  EXPECT_EQ(sent.options().deliver_by().by().seconds(), 1700000120);
  EXPECT_EQ(sent.options().deliver_by().mode(), queue::v1::DeliverBy::MODE_NOTIFY);
  EXPECT_TRUE(sent.options().deliver_by().trace());
  EXPECT_TRUE(sent.options().smtputf8());
  EXPECT_TRUE(sent.options().body_is_binary());
  EXPECT_FALSE(sent.recipients(0).has_options());
  EXPECT_EQ(sent.recipients(1).options().original_recipient(), "rfc822;b@example.net");
  ASSERT_EQ(sent.recipients(1).options().notify_size(), 2);
  EXPECT_EQ(sent.recipients(1).options().notify(0), queue::v1::RecipientOptions::NOTIFY_SUCCESS);
  EXPECT_EQ(sent.recipients(1).options().notify(1), queue::v1::RecipientOptions::NOTIFY_DELAY);

  const MessageId first = MessageId::Generate(absl::FromUnixSeconds(1600000000));
  queue_.first_id = first.bytes();
  const absl::StatusOr<Enqueued> again = Run(client->Enqueue(message));
  EXPECT_EQ(again->id, first);
  EXPECT_TRUE(again->duplicate);

  queue_.failure = MakeFailure(Failure::kStorageDown);
  EXPECT_EQ(FailureOf(Run(client->Enqueue(message)).status()), Failure::kStorageDown);
}

TEST_F(SmtpClientsTest, AsksTheDirectory) {
  const auto client = MakeDirectoryClient(channel_, settings_, clock_);
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<Resolution> list = Run(client->Resolve("list@example.test"));
    ASSERT_TRUE(list.ok()) << list.status();
    EXPECT_EQ(list->kind, AddressKind::kLocal);
    EXPECT_EQ(list->tenant, TenantId(7));
    ASSERT_EQ(list->targets.size(), 2u);
    EXPECT_EQ(list->targets[0].account, AccountId(11));
    EXPECT_EQ(list->targets[0].address, "alice@example.test");
    EXPECT_FALSE(list->targets[1].account);
    EXPECT_EQ(list->targets[1].address, "x@remote.example");
  }
  EXPECT_EQ(directory_.resolves, 1);
  EXPECT_EQ(Run(client->Resolve("nobody@example.test"))->kind, AddressKind::kNoSuchRecipient);
  EXPECT_EQ(Run(client->Resolve("x@remote.example"))->kind, AddressKind::kRemote);
  EXPECT_FALSE(Run(client->Resolve("new@example.test")).ok());

  const absl::StatusOr<Login> login = Run(
      client->Authenticate(Credentials("alice@example.test", "secret", "192.0.2.1", "smtp")));
  ASSERT_TRUE(login.ok()) << login.status();
  EXPECT_EQ(login->account, AccountId(11));
  const absl::StatusOr<Login> wrong =
      Run(client->Authenticate(Credentials("alice@example.test", "x", "192.0.2.1", "smtp")));
  EXPECT_EQ(FailureOf(wrong.status()), Failure::kAuthenticationFailed);

  EXPECT_TRUE(Run(client->AuthorizeSender(TenantId(7), AccountId(11), "alice@example.test")).ok());
  EXPECT_EQ(FailureOf(Run(client->AuthorizeSender(TenantId(7), AccountId(12), "a@b.example"))),
            Failure::kSenderNotAllowed);
  EXPECT_EQ(Run(client->FindTenant("demo")).value(), TenantId(7));
  EXPECT_EQ(FailureOf(Run(client->FindTenant("x")).status()), Failure::kNotFound);
}

}  // namespace
}  // namespace posthorn::gateway
