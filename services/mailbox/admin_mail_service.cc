#include "services/mailbox/admin_mail_service.h"

#include <utility>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "services/mailbox/mailboxes_convert.h"

namespace posthorn::mailbox {
namespace {

namespace pb = posthorn::admin::v1;

void ToProto(MailboxInfo info, pb::AccountMailbox* out) {
  out->set_mailbox_id(info.id.value());
  out->set_name(std::move(info.name));
  out->set_special_use(std::move(info.special_use));
  out->set_subscribed(info.subscribed);
  out->set_uid_validity(info.uid_validity);
  out->set_uid_next(info.uid_next);
  out->set_messages(info.messages);
  out->set_size(info.size);
}

void ToProto(ExportedMessage message, pb::ExportedMessage* out) {
  out->set_uid(message.uid);
  out->set_flags(message.flags);
  for (std::string& keyword : message.keywords) out->add_keywords(std::move(keyword));
  out->set_received_at_micros(absl::ToUnixMicros(message.received_at));
  out->set_size(message.size);
  out->set_complete(message.complete);
  out->set_data(std::move(message.data));
}

ImportedMessage ImportedOf(const pb::ImportedMessage& given) {
  ImportedMessage message;
  for (const std::string& keyword : given.keywords()) {
    // What other systems allow and IMAP does not is left out; the message counts more.
    v1::Flags one;
    one.add_keywords(keyword);
    absl::StatusOr<std::vector<std::string>> good = KeywordsOf(one);
    if (good.ok()) message.keywords.push_back(std::move(good->front()));
  }
  message.key = given.key();
  message.mailbox = given.mailbox();
  message.flags = given.flags();
  message.received_at = given.received_at_micros() == 0
                            ? absl::Now()
                            : absl::FromUnixMicros(given.received_at_micros());
  message.data = given.data();
  message.stored_sha256 = given.stored_sha256();
  return message;
}

}  // namespace

Task<absl::StatusOr<Account>> AdminMail::Find(std::string address) {
  absl::StatusOr<AccountRecord> record = co_await accounts_.GetAccount(std::move(address));
  if (!record.ok()) co_return record.status();
  co_return record->account;
}

Task<absl::Status> AdminMail::Run(const pb::ListDeletedRequest& request,
                                  pb::ListDeletedResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  DeletedFilter filter;
  filter.mailbox = request.mailbox();
  if (request.since() != 0) filter.since = absl::FromUnixSeconds(request.since());
  if (request.until() != 0) filter.until = absl::FromUnixSeconds(request.until());
  filter.after = request.after();
  filter.limit = request.limit();
  absl::StatusOr<std::vector<DeletedMessage>> messages =
      co_await stores_.deleted.List(*account, std::move(filter));
  if (!messages.ok()) co_return messages.status();
  for (DeletedMessage& message : *messages) {
    pb::DeletedMessage* out = response.add_messages();
    out->set_deleted_id(message.id);
    out->set_mailbox(std::move(message.mailbox));
    out->set_uid(message.uid);
    out->set_deleted_at(absl::ToUnixSeconds(message.deleted_at));
    out->set_received_at(absl::ToUnixSeconds(message.received_at));
    out->set_size(message.size);
    out->set_from(std::move(message.from));
    out->set_subject(std::move(message.subject));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::UndeleteRequest& request,
                                  pb::UndeleteResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  std::vector<std::int64_t> ids(request.deleted_ids().begin(), request.deleted_ids().end());
  absl::StatusOr<std::int64_t> restored =
      co_await stores_.deleted.Undelete(*account, std::move(ids), request.mailbox());
  if (!restored.ok()) co_return restored.status();
  response.set_restored(*restored);
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::ListAccountMailboxesRequest& request,
                                  pb::ListAccountMailboxesResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  absl::StatusOr<std::vector<MailboxInfo>> list = co_await stores_.transfer.List(*account);
  if (!list.ok()) co_return list.status();
  for (MailboxInfo& info : *list) ToProto(std::move(info), response.add_mailboxes());
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::EnsureMailboxRequest& request,
                                  pb::EnsureMailboxResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  absl::StatusOr<MailboxInfo> info =
      co_await stores_.transfer.Ensure(*account, request.name(), request.subscribe());
  if (!info.ok()) co_return info.status();
  ToProto(*std::move(info), response.mutable_mailbox());
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::ExportMessagesRequest& request,
                                  pb::ExportMessagesResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  absl::StatusOr<std::vector<ExportedMessage>> messages = co_await stores_.transfer.Export(
      *account, MailboxId(request.mailbox_id()), request.after_uid());
  if (!messages.ok()) co_return messages.status();
  for (ExportedMessage& message : *messages) ToProto(std::move(message), response.add_messages());
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::ReadExportedRequest& request,
                                  pb::ReadExportedResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  absl::StatusOr<std::string> data = co_await stores_.transfer.Read(
      *account, MailboxId(request.mailbox_id()), request.uid(), request.offset());
  if (!data.ok()) co_return data.status();
  response.set_data(*std::move(data));
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::FindImportedRequest& request,
                                  pb::FindImportedResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  const std::vector<std::string> keys(request.keys().begin(), request.keys().end());
  absl::StatusOr<std::vector<bool>> known = co_await stores_.transfer.Find(*account, keys);
  if (!known.ok()) co_return known.status();
  for (const bool is_known : *known) response.add_known(is_known);
  co_return absl::OkStatus();
}

Task<absl::Status> AdminMail::Run(const pb::ImportMessagesRequest& request,
                                  pb::ImportMessagesResponse& response) {
  absl::StatusOr<Account> account = co_await Find(request.account());
  if (!account.ok()) co_return account.status();
  std::vector<ImportedMessage> messages;
  for (const pb::ImportedMessage& given : request.messages()) {
    messages.push_back(ImportedOf(given));
  }
  absl::StatusOr<ImportCounts> counts =
      co_await stores_.transfer.Import(*account, std::move(messages));
  if (!counts.ok()) co_return counts.status();
  std::vector<std::string> keys(request.keys().begin(), request.keys().end());
  absl::Status remembered = co_await stores_.transfer.Remember(*account, std::move(keys));
  if (!remembered.ok()) co_return remembered;
  response.set_stored(counts->stored);
  response.set_known(counts->known);
  co_return absl::OkStatus();
}

}  // namespace posthorn::mailbox
