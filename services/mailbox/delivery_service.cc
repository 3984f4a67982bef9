#include <grpcpp/grpcpp.h>

#include <vector>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/body_store.h"
#include "lib/rpc/failure_status.h"
#include "lib/rpc/server.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "posthorn/mailbox/v1/delivery.grpc.pb.h"
#include "services/mailbox/delivery_store.h"
#include "services/mailbox/services.h"
#include "services/mailbox/tag_mailboxes.h"
#include "services/mailbox/when_all.h"

namespace posthorn::mailbox {
namespace {

namespace pb = posthorn::mailbox::v1;

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

void SetResult(const absl::StatusOr<StoredMessage>& stored, pb::RecipientResult& result) {
  static metrics::Counter& stored_total = metrics::MakeCounter(
      "posthorn_mailbox_delivered_total", "Messages put into mailboxes.");
  static metrics::Counter& duplicate_total = metrics::MakeCounter(
      "posthorn_mailbox_duplicates_total",
      "Deliveries of a message that was there already. Many: somebody sends again a lot; look for "
      "timeouts.");
  static metrics::Counter& failed_total = metrics::MakeCounter(
      "posthorn_mailbox_failed_deliveries_total",
      "Deliveries into mailboxes refused for now or for good. Growing fast: look at the database.");
  if (!stored.ok()) {
    failed_total.Increment();
    result.set_outcome(pb::RecipientResult::OUTCOME_FAILED);
    *result.mutable_failure() = rpc::ToDetail(stored.status());
  } else if (stored->duplicate) {
    duplicate_total.Increment();
    result.set_outcome(pb::RecipientResult::OUTCOME_DUPLICATE);
  } else {
    stored_total.Increment();
    result.set_outcome(pb::RecipientResult::OUTCOME_STORED);
  }
}

class DeliveryService final : public pb::LocalDelivery::CallbackService {
 public:
  DeliveryService(ServiceContext context, DeliveryStore& store, TagMailboxes& tags,
                  AddressPolicy policy)
      : context_(context), store_(store), tags_(tags), policy_(policy) {}

  grpc::ServerUnaryReactor* Deliver(grpc::CallbackServerContext* call,
                                    const pb::DeliverRequest* request,
                                    pb::DeliverResponse* response) override {
    return rpc::HandleUnary(call, context_.guard, context_.loops.Next(), Run(request, response));
  }

 private:
  Task<absl::Status> Run(const pb::DeliverRequest* request, pb::DeliverResponse* response) {
    std::vector<Task<void>> tasks;
    for (const pb::Delivery& delivery : request->deliveries()) {
      pb::DeliveryResult* result = response->add_results();
      for (int i = 0; i < delivery.recipients_size(); ++i) result->add_recipients();
    }
    for (int i = 0; i < request->deliveries_size(); ++i) {
      tasks.push_back(RunDelivery(request->deliveries(i), *response->mutable_results(i)));
    }
    co_await WhenAll(std::move(tasks));
    co_return absl::OkStatus();
  }

  // Request and response outlive the tasks.
  Task<void> RunDelivery(const pb::Delivery& delivery, pb::DeliveryResult& result) {
    absl::StatusOr<std::shared_ptr<const PreparedBody>> body = co_await Prepare(delivery);
    absl::StatusOr<MessageId> id = MessageId::FromBytes(delivery.message_id());
    if (!body.ok() || !id.ok()) {
      const absl::Status status =
          body.ok() ? MakeFailure(Failure::kInvalidArgument, "malformed message id")
                    : body.status();
      for (pb::RecipientResult& recipient : *result.mutable_recipients()) {
        SetResult(status, recipient);
      }
      co_return;
    }
    std::vector<Task<void>> tasks;
    for (int i = 0; i < delivery.recipients_size(); ++i) {
      const pb::LocalRecipient& recipient = delivery.recipients(i);
      NewMessage message;
      message.body = *body;
      message.account = AccountId(recipient.account_id());
      message.id = *id;
      message.resend_key = delivery.resend_key();
      message.prefix = recipient.prefix();
      message.received_at =
          delivery.has_received_at() ? TimeOf(delivery.received_at()) : absl::Now();
      tasks.push_back(
          RunRecipient(std::move(message), recipient.address(), *result.mutable_recipients(i)));
    }
    co_await WhenAll(std::move(tasks));
  }

  // Into the mailbox the address asks for. The delivery's key is the account and the message, so a
  // second one is a duplicate wherever the first went.
  Task<absl::StatusOr<StoredMessage>> Store(NewMessage message, std::string address) {
    const Account account(message.body->tenant, message.account);
    absl::StatusOr<MailboxId> mailbox = co_await tags_.Find(account, std::move(address));
    if (!mailbox.ok()) co_return mailbox.status();
    if (*mailbox) {
      NewMessage copy = message;
      copy.mailbox = *mailbox;
      absl::StatusOr<StoredMessage> stored = co_await store_.Store(std::move(copy));
      // Removed since it was found.
      if (stored.ok() || FailureOf(stored.status()) != Failure::kNoSuchMailbox) co_return stored;
    }
    absl::StatusOr<StoredMessage> stored = co_await store_.Store(std::move(message));
    co_return stored;
  }

  Task<void> RunRecipient(NewMessage message, std::string address, pb::RecipientResult& result) {
    const std::string id = message.id.ToString();
    const std::int64_t account = message.account.value();
    absl::StatusOr<StoredMessage> stored = co_await Store(std::move(message), std::move(address));
    if (!stored.ok() && FailureOf(stored.status()) == Failure::kOverQuota) {
      stored = MakeFailure(policy_.over_quota);
    }
    if (!stored.ok()) {
      log::Warn("mailbox", "delivery failed",
                {{"id", id}, {"account", account}, {"status", stored.status()}});
    } else {
      log::Debug("mailbox", "delivered",
                 {{"id", id}, {"account", account}, {"uid", stored->uid},
                  {"duplicate", stored->duplicate}});
    }
    SetResult(stored, result);
  }

  Task<absl::StatusOr<std::shared_ptr<const PreparedBody>>> Prepare(const pb::Delivery& delivery) {
    const TenantId tenant(delivery.tenant_id());
    if (delivery.has_stored_body()) {
      absl::StatusOr<std::shared_ptr<const PreparedBody>> stored =
          co_await store_.PrepareStored(tenant, delivery.stored_body().sha256());
      // The caller stores it again and comes back.
      if (!stored.ok() && FailureOf(stored.status()) == Failure::kNotFound) {
        co_return MakeFailure(Failure::kUnavailable);
      }
      co_return stored;
    }
    if (delivery.inline_body().size() > postgres::kInlineOctets) {
      co_return MakeFailure(Failure::kInvalidArgument, "a body over 64 KiB goes through Bodies.Put");
    }
    co_return DeliveryStore::Prepare(tenant, delivery.inline_body());
  }

  const ServiceContext context_;
  DeliveryStore& store_;
  TagMailboxes& tags_;
  const AddressPolicy policy_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDeliveryService(ServiceContext context, DeliveryStore& store,
                                                   TagMailboxes& tags, AddressPolicy policy) {
  return std::make_unique<DeliveryService>(context, store, tags, policy);
}

}  // namespace posthorn::mailbox
