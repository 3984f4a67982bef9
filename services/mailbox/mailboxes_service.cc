#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/body_store.h"
#include "lib/rpc/server.h"
#include "posthorn/mailbox/v1/mailbox.grpc.pb.h"
#include "services/mailbox/delivery_store.h"
#include "services/mailbox/mailbox_store.h"
#include "services/mailbox/mailboxes_convert.h"
#include "services/mailbox/message_reader.h"
#include "services/mailbox/search.h"
#include "services/mailbox/services.h"

namespace posthorn::mailbox {
namespace {

namespace pb = posthorn::mailbox::v1;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// Entries in one message of the OpenMailbox stream.
constexpr std::size_t kEntriesPerMessage = 2000;

// `writer` outlives the task.
Task<bool> WritePiece(rpc::ServerWriter<pb::ReadMessageResponse>& writer, std::string piece) {
  pb::ReadMessageResponse response;
  response.set_data(std::move(piece));
  const bool more = co_await writer.Write(std::move(response));
  co_return more;
}

class MailboxesService final : public pb::Mailboxes::CallbackService {
 public:
  MailboxesService(ServiceContext context, MailboxStore& store, DeliveryStore& deliveries,
                   postgres::BodyStore& bodies, TextIndex& text_index)
      : context_(context),
        store_(store),
        deliveries_(deliveries),
        bodies_(bodies),
        text_index_(text_index) {}

#define POSTHORN_UNARY(METHOD)                                                                 \
  ServerUnaryReactor* METHOD(CallbackServerContext* call, const pb::METHOD##Request* request,  \
                             pb::METHOD##Response* response) override {                        \
    return rpc::HandleUnary(call, context_.guard, context_.loops.Next(),                       \
                            Run(*request, *response));                                         \
  }
  POSTHORN_UNARY(ListMailboxes)
  POSTHORN_UNARY(CreateMailbox)
  POSTHORN_UNARY(DeleteMailbox)
  POSTHORN_UNARY(RenameMailbox)
  POSTHORN_UNARY(Subscribe)
  POSTHORN_UNARY(GetMailbox)
  POSTHORN_UNARY(GetChanges)
  POSTHORN_UNARY(StoreFlags)
  POSTHORN_UNARY(StoreFlagsUnchanged)
  POSTHORN_UNARY(Append)
  POSTHORN_UNARY(AppendAll)
  POSTHORN_UNARY(Replace)
  POSTHORN_UNARY(CopyMessages)
  POSTHORN_UNARY(Expunge)
  POSTHORN_UNARY(Search)
  POSTHORN_UNARY(GetQuota)
  POSTHORN_UNARY(GetWatermarks)
  POSTHORN_UNARY(AcquirePopLock)
  POSTHORN_UNARY(ReleasePopLock)
#undef POSTHORN_UNARY

#define POSTHORN_STREAM(METHOD)                                                                  \
  grpc::ServerWriteReactor<pb::METHOD##Response>* METHOD(                                        \
      CallbackServerContext* call, const pb::METHOD##Request* request) override {                \
    std::function<Task<absl::Status>(rpc::ServerWriter<pb::METHOD##Response>&)> handler =        \
        [this, request](rpc::ServerWriter<pb::METHOD##Response>& writer) {                       \
          return Run(*request, writer);                                                          \
        };                                                                                       \
    return rpc::HandleServerStream<pb::METHOD##Response>(call, context_.guard,                   \
                                                         context_.loops.Next(),                  \
                                                         std::move(handler));                    \
  }
  POSTHORN_STREAM(OpenMailbox)
  POSTHORN_STREAM(Fetch)
  POSTHORN_STREAM(ReadMessage)
#undef POSTHORN_STREAM

 private:
  // Requests, responses and writers outlive the tasks below.

  Task<absl::StatusOr<FlagChanges>> StoreFlags(const pb::StoreFlagsRequest& request,
                                               ModSeq unchanged_since) {
    if (request.mode() < pb::StoreFlagsRequest::MODE_SET ||
        request.mode() > pb::StoreFlagsRequest::MODE_REMOVE) {
      co_return MakeFailure(Failure::kInvalidArgument);
    }
    absl::StatusOr<std::vector<std::string>> keywords = KeywordsOf(request.flags());
    if (!keywords.ok()) co_return keywords.status();
    absl::StatusOr<FlagChanges> changes = co_await store_.StoreFlags(
        AccountOf(request.account()), MailboxId(request.mailbox_id()), RangesOf(request.uids()),
        static_cast<FlagMode>(request.mode()), request.flags().system(), *std::move(keywords),
        unchanged_since);
    co_return changes;
  }

  // `given` is an AppendRequest or a message of an AppendAllRequest.
  template <typename Given>
  Task<absl::StatusOr<NewMessage>> ToNewMessage(const Given& given, Account account,
                                                MailboxId mailbox) {
    absl::StatusOr<std::vector<std::string>> keywords = KeywordsOf(given.flags());
    if (!keywords.ok()) co_return keywords.status();
    absl::StatusOr<std::shared_ptr<const PreparedBody>> body =
        MakeFailure(Failure::kInvalidArgument, "a body over 64 KiB goes through Bodies.Put");
    if (given.has_stored_body()) {
      absl::StatusOr<std::shared_ptr<const PreparedBody>> stored =
          co_await deliveries_.PrepareStored(account.tenant, given.stored_body().sha256());
      body = std::move(stored);
    } else if (given.inline_body().size() <= postgres::kInlineOctets) {
      body = DeliveryStore::Prepare(account.tenant, given.inline_body());
    }
    if (!body.ok()) co_return body.status();
    NewMessage message;
    message.body = *std::move(body);
    message.account = account.account;
    message.mailbox = mailbox;
    message.received_at = given.has_received_at() ? TimeOf(given.received_at()) : absl::Now();
    // Only for this call, so that it may be tried again after a commit in doubt.
    message.id = MessageId::Generate(absl::Now());
    message.flags = given.flags().system() & kAllFlags;
    message.keywords = *std::move(keywords);
    co_return message;
  }

  Task<absl::Status> Run(const pb::ListMailboxesRequest& request,
                         pb::ListMailboxesResponse& response) {
    absl::StatusOr<MailboxList> list =
        co_await store_.List(AccountOf(request.account()), request.count_deleted());
    if (!list.ok()) co_return list.status();
    for (MailboxInfo& info : list->mailboxes) ToProto(std::move(info), response.add_mailboxes());
    for (std::string& name : list->other_subscriptions) {
      response.add_other_subscriptions(std::move(name));
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::CreateMailboxRequest& request,
                         pb::CreateMailboxResponse& response) {
    absl::StatusOr<MailboxInfo> info = co_await store_.Create(
        AccountOf(request.account()), request.name(), request.special_use());
    if (!info.ok()) co_return info.status();
    ToProto(*std::move(info), response.mutable_mailbox());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::DeleteMailboxRequest& request, pb::DeleteMailboxResponse&) {
    absl::Status status = co_await store_.Delete(AccountOf(request.account()), request.name());
    co_return status;
  }

  Task<absl::Status> Run(const pb::RenameMailboxRequest& request, pb::RenameMailboxResponse&) {
    absl::Status status =
        co_await store_.Rename(AccountOf(request.account()), request.from(), request.to());
    co_return status;
  }

  Task<absl::Status> Run(const pb::SubscribeRequest& request, pb::SubscribeResponse&) {
    absl::Status status = co_await store_.Subscribe(AccountOf(request.account()), request.name(),
                                                    request.subscribed());
    co_return status;
  }

  Task<absl::Status> Run(const pb::GetMailboxRequest& request, pb::GetMailboxResponse& response) {
    absl::StatusOr<MailboxInfo> info = co_await store_.Get(
        AccountOf(request.account()), request.name(), request.count_deleted());
    if (!info.ok()) co_return info.status();
    ToProto(*std::move(info), response.mutable_mailbox());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::OpenMailboxRequest& request,
                         rpc::ServerWriter<pb::OpenMailboxResponse>& writer) {
    const Account account = AccountOf(request.account());
    absl::StatusOr<OpenedMailbox> opened =
        co_await store_.Open(account, request.name(), request.claim_recent());
    if (!opened.ok()) co_return opened.status();
    const MailboxId mailbox = opened->info.id;
    const Uid uid_next = opened->info.uid_next;
    std::vector<Entry> entries = std::move(opened->entries);
    bool complete = opened->complete;
    pb::OpenMailboxResponse message;
    ToProto(std::move(opened->info), message.mutable_mailbox());
    message.set_recent_from_uid(opened->recent_from_uid);
    for (;;) {
      std::size_t i = 0;
      do {
        for (; i < entries.size() &&
               message.entries_size() < static_cast<int>(kEntriesPerMessage); ++i) {
          ToProto(entries[i], message.add_entries());
        }
        const bool written = co_await writer.Write(std::move(message));
        if (!written) co_return MakeFailure(Failure::kCancelled);
        message.Clear();
      } while (i < entries.size());
      if (complete || entries.empty()) co_return absl::OkStatus();
      const Uid last = entries.back().uid;
      absl::StatusOr<std::vector<Entry>> more =
          co_await store_.MoreEntries(account, mailbox, last, uid_next);
      if (!more.ok()) co_return more.status();
      entries = *std::move(more);
      complete = entries.size() < MailboxStore::kEntryBatch;
      if (entries.empty()) co_return absl::OkStatus();
    }
  }

  Task<absl::Status> Run(const pb::GetChangesRequest& request, pb::GetChangesResponse& response) {
    absl::StatusOr<Changes> changes =
        co_await store_.GetChanges(AccountOf(request.account()), MailboxId(request.mailbox_id()),
                                   request.since_modseq(), request.claim_recent());
    if (!changes.ok()) co_return changes.status();
    ToProto(std::move(changes->info), response.mutable_mailbox());
    for (const Entry& entry : changes->changed) ToProto(entry, response.add_changed());
    response.mutable_expunged()->Add(changes->expunged.begin(), changes->expunged.end());
    response.set_recent_from_uid(changes->recent_from_uid);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::FetchRequest& request,
                         rpc::ServerWriter<pb::FetchResponse>& writer) {
    FetchItems items;
    items.envelope = request.envelope();
    items.structure = request.structure();
    items.header = request.header();
    items.body = request.body();
    items.saved_at = request.saved_at();
    items.ids = request.ids();
    items.preview = request.preview() != pb::FetchRequest::PREVIEW_NO;
    items.make_previews = request.preview() == pb::FetchRequest::PREVIEW_YES;
    FetchCursor cursor(bodies_, AccountOf(request.account()), MailboxId(request.mailbox_id()),
                       RangesOf(request.uids()), items);
    cursor.ReadAhead();
    absl::Status sent = co_await SendAll(cursor, writer);
    // Also when the client has gone.
    co_await cursor.Stop();
    co_return sent;
  }

  static Task<absl::Status> SendAll(FetchCursor& cursor,
                                    rpc::ServerWriter<pb::FetchResponse>& writer) {
    for (;;) {
      absl::StatusOr<std::vector<FetchedMessage>> batch = co_await cursor.Next();
      if (!batch.ok()) co_return batch.status();
      if (batch->empty()) co_return absl::OkStatus();
      pb::FetchResponse response;
      for (FetchedMessage& message : *batch) ToProto(std::move(message), response.add_messages());
      const bool written = co_await writer.Write(std::move(response));
      if (!written) co_return MakeFailure(Failure::kCancelled);
    }
  }

  Task<absl::Status> Run(const pb::ReadMessageRequest& request,
                         rpc::ServerWriter<pb::ReadMessageResponse>& writer) {
    std::function<Task<bool>(std::string)> sink = [&writer](std::string piece) {
      return WritePiece(writer, std::move(piece));
    };
    absl::Status status = co_await mailbox::ReadMessage(bodies_, AccountOf(request.account()),
                                               MailboxId(request.mailbox_id()), request.uid(),
                                               request.offset(), request.length(), std::move(sink));
    co_return status;
  }

  Task<absl::Status> Run(const pb::StoreFlagsRequest& request, pb::StoreFlagsResponse& response) {
    absl::StatusOr<FlagChanges> changes = co_await StoreFlags(request, kAnyModSeq);
    if (!changes.ok()) co_return changes.status();
    for (const Entry& entry : changes->changed) ToProto(entry, response.add_changed());
    response.set_highest_modseq(changes->highest_modseq);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::StoreFlagsUnchangedRequest& request,
                         pb::StoreFlagsUnchangedResponse& response) {
    absl::StatusOr<FlagChanges> changes =
        co_await StoreFlags(request.store(), request.unchanged_since());
    if (!changes.ok()) co_return changes.status();
    for (const Entry& entry : changes->changed) ToProto(entry, response.add_changed());
    response.set_highest_modseq(changes->highest_modseq);
    response.mutable_modified()->Add(changes->modified.begin(), changes->modified.end());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::AppendRequest& request, pb::AppendResponse& response) {
    const Account account = AccountOf(request.account());
    absl::StatusOr<MailboxInfo> mailbox = co_await store_.Find(account, request.mailbox());
    if (!mailbox.ok()) co_return mailbox.status();
    absl::StatusOr<NewMessage> message = co_await ToNewMessage(request, account, mailbox->id);
    if (!message.ok()) co_return message.status();
    absl::StatusOr<StoredMessage> stored = co_await deliveries_.Store(*std::move(message));
    if (!stored.ok()) co_return stored.status();
    response.set_uid_validity(mailbox->uid_validity);
    response.set_uid(stored->uid);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::AppendAllRequest& request, pb::AppendAllResponse& response) {
    const Account account = AccountOf(request.account());
    if (request.messages().empty()) co_return MakeFailure(Failure::kInvalidArgument);
    absl::StatusOr<MailboxInfo> mailbox = co_await store_.Find(account, request.mailbox());
    if (!mailbox.ok()) co_return mailbox.status();
    std::vector<NewMessage> messages;
    for (const pb::NewMessage& given : request.messages()) {
      absl::StatusOr<NewMessage> message = co_await ToNewMessage(given, account, mailbox->id);
      if (!message.ok()) co_return message.status();
      messages.push_back(*std::move(message));
    }
    absl::StatusOr<std::vector<StoredMessage>> stored =
        co_await deliveries_.StoreAll(std::move(messages));
    if (!stored.ok()) co_return stored.status();
    response.set_uid_validity(mailbox->uid_validity);
    for (const StoredMessage& message : *stored) response.add_uids(message.uid);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::ReplaceRequest& request, pb::ReplaceResponse& response) {
    const Account account = AccountOf(request.account());
    absl::StatusOr<MailboxInfo> mailbox = co_await store_.Find(account, request.mailbox());
    if (!mailbox.ok()) co_return mailbox.status();
    absl::StatusOr<NewMessage> message =
        co_await ToNewMessage(request.message(), account, mailbox->id);
    if (!message.ok()) co_return message.status();
    absl::StatusOr<StoredMessage> stored = co_await deliveries_.Replace(
        *std::move(message), MailboxId(request.replaced_mailbox_id()), request.replaced_uid());
    if (!stored.ok()) co_return stored.status();
    response.set_uid_validity(mailbox->uid_validity);
    response.set_uid(stored->uid);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::GetQuotaRequest& request, pb::GetQuotaResponse& response) {
    absl::StatusOr<Quota> quota = co_await store_.GetQuota(AccountOf(request.account()));
    if (!quota.ok()) co_return quota.status();
    response.set_used_octets(quota->used_octets);
    response.set_limit_octets(quota->limit_octets);
    response.set_used_messages(quota->used_messages);
    response.set_limit_messages(quota->limit_messages);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::CopyMessagesRequest& request,
                         pb::CopyMessagesResponse& response) {
    absl::StatusOr<CopyResult> copied = co_await store_.Copy(
        AccountOf(request.account()), MailboxId(request.mailbox_id()), RangesOf(request.uids()),
        request.destination(), request.move());
    if (!copied.ok()) co_return copied.status();
    response.set_uid_validity(copied->uid_validity);
    response.mutable_source_uids()->Add(copied->source.begin(), copied->source.end());
    response.mutable_destination_uids()->Add(copied->destination.begin(),
                                             copied->destination.end());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::ExpungeRequest& request, pb::ExpungeResponse& response) {
    std::vector<UidRange> ranges = RangesOf(request.uids());
    if (request.uids().empty()) ranges.emplace_back(1, kLastUid);
    absl::StatusOr<ExpungeResult> result =
        co_await store_.Expunge(AccountOf(request.account()), MailboxId(request.mailbox_id()),
                                std::move(ranges), request.only_deleted());
    if (!result.ok()) co_return result.status();
    response.mutable_expunged()->Add(result->expunged.begin(), result->expunged.end());
    response.set_highest_modseq(result->highest_modseq);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::SearchRequest& request, pb::SearchResponse& response) {
    absl::StatusOr<SearchKey> key = KeyOf(request.key());
    if (!key.ok()) co_return key.status();
    absl::StatusOr<std::vector<Uid>> uids = co_await mailbox::Search(
        bodies_, AccountOf(request.account()), MailboxId(request.mailbox_id()),
        RangesOf(request.uids()), *std::move(key), &text_index_);
    if (!uids.ok()) co_return uids.status();
    response.mutable_uids()->Add(uids->begin(), uids->end());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::GetWatermarksRequest& request,
                         pb::GetWatermarksResponse& response) {
    std::vector<Account> accounts;
    for (const pb::AccountRef& account : request.accounts()) accounts.push_back(AccountOf(account));
    absl::StatusOr<std::vector<ModSeq>> marks = co_await store_.Watermarks(std::move(accounts));
    if (!marks.ok()) co_return marks.status();
    response.mutable_highest_modseq()->Add(marks->begin(), marks->end());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::AcquirePopLockRequest& request, pb::AcquirePopLockResponse&) {
    absl::Status status = co_await store_.AcquirePopLock(
        AccountOf(request.account()), request.holder(), absl::Seconds(request.lease_seconds()));
    co_return status;
  }

  Task<absl::Status> Run(const pb::ReleasePopLockRequest& request, pb::ReleasePopLockResponse&) {
    absl::Status status =
        co_await store_.ReleasePopLock(AccountOf(request.account()), request.holder());
    co_return status;
  }

  const ServiceContext context_;
  MailboxStore& store_;
  DeliveryStore& deliveries_;
  postgres::BodyStore& bodies_;
  TextIndex& text_index_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeMailboxesService(ServiceContext context, MailboxStore& store,
                                                    DeliveryStore& deliveries,
                                                    postgres::BodyStore& bodies,
                                                    TextIndex& text_index) {
  return std::make_unique<MailboxesService>(context, store, deliveries, bodies, text_index);
}

}  // namespace posthorn::mailbox
