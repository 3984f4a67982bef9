#include "services/gateway/clients/mailbox_client.h"

#include <utility>

#include "lib/base/failure.h"
#include "lib/rpc/client.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/mailbox/v1/mailbox.grpc.pb.h"
#include "services/gateway/clients/mailbox_convert.h"
#include "services/gateway/clients/proto_time.h"

namespace posthorn::gateway {
namespace {

namespace pb = posthorn::mailbox::v1;
// Elaborated, because the stub has a function of the same name.
using Async = class pb::Mailboxes::Stub::async;

constexpr absl::Duration kStreamTimeout = absl::Minutes(10);

void SetAccount(TenantId tenant, AccountId account, pb::AccountRef& ref) {
  ref.set_tenant_id(tenant.value());
  ref.set_account_id(account.value());
}

template <typename Request>
Request For(TenantId tenant, AccountId account) {
  Request request;
  SetAccount(tenant, account, *request.mutable_account());
  return request;
}

template <typename Request>
Request For(TenantId tenant, AccountId account, MailboxId mailbox) {
  Request request = For<Request>(tenant, account);
  request.set_mailbox_id(mailbox.value());
  return request;
}

// Into an AppendRequest, or a message of an AppendAllRequest.
template <typename Proto>
void Fill(AppendMessage message, Proto& out) {
  ToProto(message.flags, *out.mutable_flags());
  *out.mutable_received_at() = ToProtoTime(message.received_at);
  if (message.stored_body) {
    out.mutable_stored_body()->set_sha256(message.stored_body->sha256);
    out.mutable_stored_body()->set_size(message.stored_body->size);
  } else {
    out.set_inline_body(std::move(message.inline_body));
  }
}

void Fill(const std::vector<UidRange>& uids, StoreMode mode, const MessageFlags& flags,
          pb::StoreFlagsRequest& request) {
  ToProto(uids, *request.mutable_uids());
  switch (mode) {
    case StoreMode::kSet:
      request.set_mode(pb::StoreFlagsRequest::MODE_SET);
      break;
    case StoreMode::kAdd:
      request.set_mode(pb::StoreFlagsRequest::MODE_ADD);
      break;
    case StoreMode::kRemove:
      request.set_mode(pb::StoreFlagsRequest::MODE_REMOVE);
      break;
  }
  ToProto(flags, *request.mutable_flags());
}

// Of a StoreFlagsResponse, or a StoreFlagsUnchangedResponse.
template <typename Response>
StoreFlagsResult ToResult(const Response& response) {
  StoreFlagsResult result;
  for (const pb::Entry& entry : response.changed()) result.changed.push_back(FromProto(entry));
  result.highest_modseq = response.highest_modseq();
  return result;
}

// Converts each response of a stream.
template <typename Response, typename Value, Value (*convert)(Response&)>
class ConvertingReader final : public Reader<Value> {
 public:
  explicit ConvertingReader(rpc::StreamReader<Response> reader) : reader_(std::move(reader)) {}

  Task<absl::StatusOr<std::optional<Value>>> Next() override {
    absl::StatusOr<std::optional<Response>> response = co_await reader_.Next();
    if (!response.ok()) co_return response.status();
    if (!response->has_value()) co_return std::optional<Value>();
    co_return std::optional<Value>(convert(**response));
  }

 private:
  rpc::StreamReader<Response> reader_;
};

MailboxBatch ToBatch(pb::OpenMailboxResponse& response) {
  MailboxBatch batch;
  if (response.has_mailbox()) batch.info = FromProto(response.mailbox());
  batch.recent_from_uid = response.recent_from_uid();
  batch.entries.reserve(static_cast<std::size_t>(response.entries_size()));
  for (const pb::Entry& entry : response.entries()) batch.entries.push_back(FromProto(entry));
  return batch;
}

std::vector<MessageData> ToMessages(pb::FetchResponse& response) {
  std::vector<MessageData> messages;
  messages.reserve(static_cast<std::size_t>(response.messages_size()));
  for (pb::MessageData& data : *response.mutable_messages()) messages.push_back(FromProto(data));
  return messages;
}

std::string ToPiece(pb::ReadMessageResponse& response) {
  return std::move(*response.mutable_data());
}

class RpcBodyWriter final : public BodyWriter {
 public:
  RpcBodyWriter(common::v1::Bodies::Stub& stub, TenantId tenant, const rpc::CallOptions& options)
      : writer_(stub.async(), &common::v1::Bodies::Stub::async::Put, options), tenant_(tenant) {}

  Task<absl::Status> Write(std::string bytes) override {
    common::v1::PutBodyRequest request;
    request.set_tenant_id(std::exchange(tenant_, TenantId()).value());
    request.set_data(std::move(bytes));
    started_ = true;
    const bool written = co_await writer_.Write(std::move(request));
    // Finish knows the reason.
    if (!written) co_return MakeFailure(Failure::kUnavailable);
    co_return absl::OkStatus();
  }

  Task<absl::StatusOr<StoredBody>> Finish() override {
    if (!started_) {
      // An empty body: the tenant still has to be named.
      const absl::Status written = co_await Write({});
      if (!written.ok()) co_return written;
    }
    absl::StatusOr<common::v1::PutBodyResponse> response = co_await writer_.Finish();
    if (!response.ok()) co_return response.status();
    StoredBody body;
    body.sha256 = response->body().sha256();
    body.size = response->body().size();
    co_return body;
  }

 private:
  rpc::StreamWriter<common::v1::PutBodyRequest, common::v1::PutBodyResponse> writer_;
  TenantId tenant_;
  bool started_ = false;
};

class MailboxClient final : public MailStore {
 public:
  MailboxClient(std::shared_ptr<grpc::Channel> channel, RpcSettings settings)
      : stub_(pb::Mailboxes::NewStub(channel)),
        bodies_(common::v1::Bodies::NewStub(channel)),
        options_(settings.token, settings.timeout),
        stream_options_(settings.token, kStreamTimeout) {}

  Task<absl::StatusOr<MailboxList>> ListMailboxes(TenantId tenant, AccountId account,
                                                  bool count_deleted) override {
    auto request = For<pb::ListMailboxesRequest>(tenant, account);
    request.set_count_deleted(count_deleted);
    absl::StatusOr<pb::ListMailboxesResponse> response =
        co_await Call<pb::ListMailboxesResponse>(&Async::ListMailboxes, std::move(request));
    if (!response.ok()) co_return response.status();
    MailboxList list;
    for (const pb::MailboxInfo& info : response->mailboxes()) {
      list.mailboxes.push_back(FromProto(info));
    }
    list.other_subscriptions.assign(response->other_subscriptions().begin(),
                                    response->other_subscriptions().end());
    co_return list;
  }

  Task<absl::StatusOr<MailboxInfo>> CreateMailbox(TenantId tenant, AccountId account,
                                                  std::string name,
                                                  std::string special_use) override {
    auto request = For<pb::CreateMailboxRequest>(tenant, account);
    request.set_name(std::move(name));
    request.set_special_use(std::move(special_use));
    absl::StatusOr<pb::CreateMailboxResponse> response =
        co_await Call<pb::CreateMailboxResponse>(&Async::CreateMailbox, std::move(request));
    if (!response.ok()) co_return response.status();
    co_return FromProto(response->mailbox());
  }

  Task<absl::Status> DeleteMailbox(TenantId tenant, AccountId account, std::string name) override {
    auto request = For<pb::DeleteMailboxRequest>(tenant, account);
    request.set_name(std::move(name));
    co_return (co_await Call<pb::DeleteMailboxResponse>(&Async::DeleteMailbox, std::move(request)))
        .status();
  }

  Task<absl::Status> RenameMailbox(TenantId tenant, AccountId account, std::string from,
                                   std::string to) override {
    auto request = For<pb::RenameMailboxRequest>(tenant, account);
    request.set_from(std::move(from));
    request.set_to(std::move(to));
    co_return (co_await Call<pb::RenameMailboxResponse>(&Async::RenameMailbox, std::move(request)))
        .status();
  }

  Task<absl::Status> Subscribe(TenantId tenant, AccountId account, std::string name,
                               bool subscribed) override {
    auto request = For<pb::SubscribeRequest>(tenant, account);
    request.set_name(std::move(name));
    request.set_subscribed(subscribed);
    co_return (co_await Call<pb::SubscribeResponse>(&Async::Subscribe, std::move(request)))
        .status();
  }

  Task<absl::StatusOr<MailboxInfo>> GetMailbox(TenantId tenant, AccountId account, std::string name,
                                               bool count_deleted) override {
    auto request = For<pb::GetMailboxRequest>(tenant, account);
    request.set_name(std::move(name));
    request.set_count_deleted(count_deleted);
    absl::StatusOr<pb::GetMailboxResponse> response =
        co_await Call<pb::GetMailboxResponse>(&Async::GetMailbox, std::move(request));
    if (!response.ok()) co_return response.status();
    co_return FromProto(response->mailbox());
  }

  std::unique_ptr<Reader<MailboxBatch>> OpenMailbox(TenantId tenant, AccountId account,
                                                    std::string name, bool claim_recent) override {
    auto request = For<pb::OpenMailboxRequest>(tenant, account);
    request.set_name(std::move(name));
    request.set_claim_recent(claim_recent);
    return std::make_unique<ConvertingReader<pb::OpenMailboxResponse, MailboxBatch, ToBatch>>(
        rpc::StreamReader<pb::OpenMailboxResponse>(stub_->async(), &Async::OpenMailbox,
                                                   std::move(request), stream_options_));
  }

  Task<absl::StatusOr<MailboxChanges>> GetChanges(TenantId tenant, AccountId account,
                                                  MailboxId mailbox, ModSeq since_modseq,
                                                  bool claim_recent) override {
    auto request = For<pb::GetChangesRequest>(tenant, account, mailbox);
    request.set_since_modseq(since_modseq);
    request.set_claim_recent(claim_recent);
    absl::StatusOr<pb::GetChangesResponse> response =
        co_await Call<pb::GetChangesResponse>(&Async::GetChanges, std::move(request));
    if (!response.ok()) co_return response.status();
    MailboxChanges changes;
    changes.info = FromProto(response->mailbox());
    for (const pb::Entry& entry : response->changed()) changes.changed.push_back(FromProto(entry));
    changes.expunged.assign(response->expunged().begin(), response->expunged().end());
    changes.recent_from_uid = response->recent_from_uid();
    co_return changes;
  }

  std::unique_ptr<Reader<std::vector<MessageData>>> Fetch(TenantId tenant, AccountId account,
                                                          MailboxId mailbox,
                                                          std::vector<UidRange> uids,
                                                          FetchParts parts) override {
    auto request = For<pb::FetchRequest>(tenant, account, mailbox);
    ToProto(uids, *request.mutable_uids());
    request.set_envelope(parts.envelope);
    request.set_structure(parts.structure);
    request.set_header(parts.header);
    request.set_body(parts.body);
    request.set_saved_at(parts.saved_at);
    request.set_ids(parts.ids);
    switch (parts.preview) {
      case FetchParts::Preview::kNo:
        break;
      case FetchParts::Preview::kLazy:
        request.set_preview(pb::FetchRequest::PREVIEW_LAZY);
        break;
      case FetchParts::Preview::kYes:
        request.set_preview(pb::FetchRequest::PREVIEW_YES);
        break;
    }
    return std::make_unique<
        ConvertingReader<pb::FetchResponse, std::vector<MessageData>, ToMessages>>(
        rpc::StreamReader<pb::FetchResponse>(stub_->async(), &Async::Fetch, std::move(request),
                                             stream_options_));
  }

  std::unique_ptr<Reader<std::string>> ReadMessage(TenantId tenant, AccountId account,
                                                   MailboxId mailbox, Uid uid, std::uint64_t offset,
                                                   std::uint64_t length) override {
    auto request = For<pb::ReadMessageRequest>(tenant, account, mailbox);
    request.set_uid(uid);
    request.set_offset(offset);
    request.set_length(length);
    return std::make_unique<ConvertingReader<pb::ReadMessageResponse, std::string, ToPiece>>(
        rpc::StreamReader<pb::ReadMessageResponse>(stub_->async(), &Async::ReadMessage,
                                                   std::move(request), stream_options_));
  }

  Task<absl::StatusOr<StoreFlagsResult>> StoreFlags(TenantId tenant, AccountId account,
                                                    MailboxId mailbox, std::vector<UidRange> uids,
                                                    StoreMode mode, MessageFlags flags) override {
    auto request = For<pb::StoreFlagsRequest>(tenant, account, mailbox);
    Fill(uids, mode, flags, request);
    absl::StatusOr<pb::StoreFlagsResponse> response =
        co_await Call<pb::StoreFlagsResponse>(&Async::StoreFlags, std::move(request));
    if (!response.ok()) co_return response.status();
    co_return ToResult(*response);
  }

  Task<absl::StatusOr<StoreFlagsResult>> StoreFlagsUnchanged(TenantId tenant, AccountId account,
                                                             MailboxId mailbox,
                                                             std::vector<UidRange> uids,
                                                             StoreMode mode, MessageFlags flags,
                                                             ModSeq unchanged_since) override {
    pb::StoreFlagsUnchangedRequest request;
    *request.mutable_store() = For<pb::StoreFlagsRequest>(tenant, account, mailbox);
    Fill(uids, mode, flags, *request.mutable_store());
    request.set_unchanged_since(unchanged_since);
    absl::StatusOr<pb::StoreFlagsUnchangedResponse> response =
        co_await Call<pb::StoreFlagsUnchangedResponse>(&Async::StoreFlagsUnchanged,
                                                       std::move(request));
    if (!response.ok()) co_return response.status();
    StoreFlagsResult result = ToResult(*response);
    result.modified.assign(response->modified().begin(), response->modified().end());
    co_return result;
  }

  std::unique_ptr<BodyWriter> PutBody(TenantId tenant) override {
    return std::make_unique<RpcBodyWriter>(*bodies_, tenant, stream_options_);
  }

  Task<absl::StatusOr<AppendResult>> Append(TenantId tenant, AccountId account, std::string mailbox,
                                            AppendMessage message) override {
    auto request = For<pb::AppendRequest>(tenant, account);
    request.set_mailbox(std::move(mailbox));
    Fill(std::move(message), request);
    absl::StatusOr<pb::AppendResponse> response =
        co_await Call<pb::AppendResponse>(&Async::Append, std::move(request));
    if (!response.ok()) co_return response.status();
    AppendResult result;
    result.uid_validity = response->uid_validity();
    result.uid = response->uid();
    co_return result;
  }

  Task<absl::StatusOr<AppendAllResult>> AppendAll(TenantId tenant, AccountId account,
                                                  std::string mailbox,
                                                  std::vector<AppendMessage> messages) override {
    auto request = For<pb::AppendAllRequest>(tenant, account);
    request.set_mailbox(std::move(mailbox));
    for (AppendMessage& message : messages) Fill(std::move(message), *request.add_messages());
    absl::StatusOr<pb::AppendAllResponse> response =
        co_await Call<pb::AppendAllResponse>(&Async::AppendAll, std::move(request));
    if (!response.ok()) co_return response.status();
    AppendAllResult result;
    result.uid_validity = response->uid_validity();
    result.uids.assign(response->uids().begin(), response->uids().end());
    co_return result;
  }

  Task<absl::StatusOr<AppendResult>> Replace(TenantId tenant, AccountId account,
                                             std::string mailbox, AppendMessage message,
                                             MailboxId old_mailbox, Uid old_uid) override {
    auto request = For<pb::ReplaceRequest>(tenant, account);
    request.set_mailbox(std::move(mailbox));
    Fill(std::move(message), *request.mutable_message());
    request.set_replaced_mailbox_id(old_mailbox.value());
    request.set_replaced_uid(old_uid);
    absl::StatusOr<pb::ReplaceResponse> response =
        co_await Call<pb::ReplaceResponse>(&Async::Replace, std::move(request));
    if (!response.ok()) co_return response.status();
    AppendResult result;
    result.uid_validity = response->uid_validity();
    result.uid = response->uid();
    co_return result;
  }

  Task<absl::StatusOr<Quota>> GetQuota(TenantId tenant, AccountId account) override {
    absl::StatusOr<pb::GetQuotaResponse> response = co_await Call<pb::GetQuotaResponse>(
        &Async::GetQuota, For<pb::GetQuotaRequest>(tenant, account));
    if (!response.ok()) co_return response.status();
    Quota quota;
    quota.used_octets = response->used_octets();
    quota.limit_octets = response->limit_octets();
    quota.used_messages = response->used_messages();
    quota.limit_messages = response->limit_messages();
    co_return quota;
  }

  Task<absl::StatusOr<CopyResult>> CopyMessages(TenantId tenant, AccountId account,
                                                MailboxId mailbox, std::vector<UidRange> uids,
                                                std::string destination, bool move) override {
    auto request = For<pb::CopyMessagesRequest>(tenant, account, mailbox);
    ToProto(uids, *request.mutable_uids());
    request.set_destination(std::move(destination));
    request.set_move(move);
    absl::StatusOr<pb::CopyMessagesResponse> response =
        co_await Call<pb::CopyMessagesResponse>(&Async::CopyMessages, std::move(request));
    if (!response.ok()) co_return response.status();
    CopyResult result;
    result.uid_validity = response->uid_validity();
    result.source_uids.assign(response->source_uids().begin(), response->source_uids().end());
    result.destination_uids.assign(response->destination_uids().begin(),
                                   response->destination_uids().end());
    co_return result;
  }

  Task<absl::StatusOr<ExpungeResult>> Expunge(TenantId tenant, AccountId account, MailboxId mailbox,
                                              std::vector<UidRange> uids,
                                              bool only_deleted) override {
    auto request = For<pb::ExpungeRequest>(tenant, account, mailbox);
    ToProto(uids, *request.mutable_uids());
    request.set_only_deleted(only_deleted);
    absl::StatusOr<pb::ExpungeResponse> response =
        co_await Call<pb::ExpungeResponse>(&Async::Expunge, std::move(request));
    if (!response.ok()) co_return response.status();
    ExpungeResult result;
    result.expunged.assign(response->expunged().begin(), response->expunged().end());
    result.highest_modseq = response->highest_modseq();
    co_return result;
  }

  Task<absl::StatusOr<std::vector<Uid>>> Search(TenantId tenant, AccountId account,
                                                MailboxId mailbox, std::vector<UidRange> uids,
                                                StoreSearchKey key) override {
    auto request = For<pb::SearchRequest>(tenant, account, mailbox);
    ToProto(uids, *request.mutable_uids());
    ToProto(key, *request.mutable_key());
    absl::StatusOr<pb::SearchResponse> response =
        co_await Call<pb::SearchResponse>(&Async::Search, std::move(request));
    if (!response.ok()) co_return response.status();
    co_return std::vector<Uid>(response->uids().begin(), response->uids().end());
  }

  Task<absl::StatusOr<std::vector<ModSeq>>> GetWatermarks(
      std::vector<std::pair<TenantId, AccountId>> accounts) override {
    pb::GetWatermarksRequest request;
    for (const auto& [tenant, account] : accounts) {
      SetAccount(tenant, account, *request.add_accounts());
    }
    absl::StatusOr<pb::GetWatermarksResponse> response =
        co_await Call<pb::GetWatermarksResponse>(&Async::GetWatermarks, std::move(request));
    if (!response.ok()) co_return response.status();
    co_return std::vector<ModSeq>(response->highest_modseq().begin(),
                                  response->highest_modseq().end());
  }

  Task<absl::Status> AcquirePopLock(TenantId tenant, AccountId account, std::string holder,
                                    absl::Duration lease) override {
    auto request = For<pb::AcquirePopLockRequest>(tenant, account);
    request.set_holder(std::move(holder));
    request.set_lease_seconds(static_cast<std::int32_t>(absl::ToInt64Seconds(lease)));
    co_return (
        co_await Call<pb::AcquirePopLockResponse>(&Async::AcquirePopLock, std::move(request)))
        .status();
  }

  Task<absl::Status> ReleasePopLock(TenantId tenant, AccountId account,
                                    std::string holder) override {
    auto request = For<pb::ReleasePopLockRequest>(tenant, account);
    request.set_holder(std::move(holder));
    co_return (
        co_await Call<pb::ReleasePopLockResponse>(&Async::ReleasePopLock, std::move(request)))
        .status();
  }

 private:
  template <typename Response, typename Request>
  Task<absl::StatusOr<Response>> Call(void (Async::*method)(grpc::ClientContext*, const Request*,
                                                            Response*,
                                                            std::function<void(grpc::Status)>),
                                      Request request) {
    return rpc::Unary<Response>(stub_->async(), method, std::move(request), options_);
  }

  std::unique_ptr<pb::Mailboxes::Stub> stub_;
  std::unique_ptr<common::v1::Bodies::Stub> bodies_;
  const rpc::CallOptions options_;
  const rpc::CallOptions stream_options_;
};

}  // namespace

std::unique_ptr<MailStore> MakeMailboxClient(std::shared_ptr<grpc::Channel> mailbox,
                                             RpcSettings settings) {
  return std::make_unique<MailboxClient>(std::move(mailbox), std::move(settings));
}

}  // namespace posthorn::gateway
