#include "services/mailbox/mail_transfer.h"

#include <map>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "lib/base/failure.h"
#include "services/mailbox/message_reader.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr Uid kLastUid = 0xffffffff;

constexpr char kSelectFlags[] =
    "SELECT e.uid, e.flags, e.keywords FROM mailbox.entry e"
    " WHERE e.tenant_id = $1 AND e.mailbox_id = $2 AND e.uid = ANY ($3)";
constexpr char kSelectKnown[] =
    "SELECT key FROM mailbox.imported"
    " WHERE tenant_id = $1 AND account_id = $2 AND key = ANY ($3)";
constexpr char kInsertKnown[] =
    "INSERT INTO mailbox.imported (tenant_id, account_id, key)"
    " SELECT a.tenant_id, a.account_id, k FROM mailbox.account a, unnest($3::bytea[]) k"
    " WHERE a.tenant_id = $1 AND a.account_id = $2 ON CONFLICT DO NOTHING";

std::vector<std::optional<std::string_view>> ViewsOf(const std::vector<std::string>& keys) {
  return std::vector<std::optional<std::string_view>>(keys.begin(), keys.end());
}

// `out` outlives the task.
Task<bool> AppendTo(std::string& out, std::string piece) {
  out += piece;
  co_return true;
}

}  // namespace

Task<absl::StatusOr<std::vector<MailboxInfo>>> MailTransfer::List(Account account) {
  absl::StatusOr<MailboxList> list = co_await mailboxes_.List(account);
  if (!list.ok()) co_return list.status();
  co_return std::move(list->mailboxes);
}

Task<absl::StatusOr<MailboxInfo>> MailTransfer::Ensure(Account account, std::string name,
                                                       bool subscribe) {
  absl::StatusOr<MailboxInfo> info = co_await mailboxes_.Get(account, name);
  if (!info.ok() && FailureOf(info.status()) == Failure::kNoSuchMailbox) {
    absl::StatusOr<MailboxInfo> created = co_await mailboxes_.Create(account, name, "");
    info = std::move(created);
  }
  if (!info.ok() && FailureOf(info.status()) == Failure::kMailboxExists) {  // since we looked
    absl::StatusOr<MailboxInfo> again = co_await mailboxes_.Get(account, name);
    info = std::move(again);
  }
  if (!info.ok()) co_return info.status();
  if (subscribe && !info->subscribed) {
    absl::Status subscribed = co_await mailboxes_.Subscribe(account, std::move(name), true);
    if (!subscribed.ok()) co_return subscribed;
    info->subscribed = true;
  }
  co_return info;
}

Task<absl::StatusOr<std::vector<ExportedMessage>>> MailTransfer::Export(Account account,
                                                                        MailboxId mailbox,
                                                                        Uid after) {
  std::vector<ExportedMessage> exported;
  while (exported.empty() && after < kLastUid) {
    FetchItems items;
    items.body = true;
    std::vector<UidRange> range(1, UidRange(after + 1, kLastUid));
    FetchCursor cursor(bodies_, account, mailbox, std::move(range), items);
    absl::StatusOr<std::vector<FetchedMessage>> batch = co_await cursor.Next();
    if (!batch.ok()) co_return batch.status();
    if (batch->empty()) break;
    std::vector<std::int64_t> uids;
    for (const FetchedMessage& message : *batch) uids.push_back(message.uid);
    Params params = Params::Of(account.tenant, mailbox);
    params.AddInts(uids);
    absl::StatusOr<Result> rows =
        co_await database_.QueryFor(account.tenant, kSelectFlags, std::move(params));
    if (!rows.ok()) co_return rows.status();
    absl::flat_hash_map<std::int64_t, int> row_of;
    for (int i = 0; i < rows->rows(); ++i) row_of[rows->Int(i, 0)] = i;
    for (FetchedMessage& message : *batch) {
      after = message.uid;
      const auto row = row_of.find(message.uid);
      if (row == row_of.end()) continue;  // expunged in between
      ExportedMessage& out = exported.emplace_back();
      out.uid = message.uid;
      out.flags = static_cast<std::uint32_t>(rows->Int(row->second, 1));
      if (!rows->IsNull(row->second, 2)) out.keywords = rows->Texts(row->second, 2);
      out.received_at = message.received_at;
      out.size = message.size;
      out.complete = message.body_complete;
      out.data = std::move(message.body);
    }
  }
  co_return exported;
}

Task<absl::StatusOr<std::string>> MailTransfer::Read(Account account, MailboxId mailbox, Uid uid,
                                                     std::uint64_t offset) {
  std::string data;
  std::function<Task<bool>(std::string)> sink = [&data](std::string piece) {
    return AppendTo(data, std::move(piece));
  };
  absl::Status status =
      co_await ReadMessage(bodies_, account, mailbox, uid, offset, kReadOctets, std::move(sink));
  if (!status.ok()) co_return status;
  co_return data;
}

absl::Status MailTransfer::CheckKeys(const std::vector<std::string>& keys) {
  if (keys.size() > kMaxKeys) return MakeFailure(Failure::kInvalidArgument, "too many keys");
  for (const std::string& key : keys) {
    if (key.size() != kImportKeyOctets) {
      return MakeFailure(Failure::kInvalidArgument, "a key has 16 octets");
    }
  }
  return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<bool>>> MailTransfer::Find(Account account,
                                                           const std::vector<std::string>& keys) {
  if (absl::Status s = CheckKeys(keys); !s.ok()) co_return s;
  Params params = Params::Of(account.tenant, account.account);
  params.AddBytesArray(ViewsOf(keys));
  absl::StatusOr<Result> rows =
      co_await database_.QueryFor(account.tenant, kSelectKnown, std::move(params));
  if (!rows.ok()) co_return rows.status();
  absl::flat_hash_set<std::string> known;
  for (int i = 0; i < rows->rows(); ++i) known.insert(rows->Text(i, 0));
  std::vector<bool> result;
  for (const std::string& key : keys) result.push_back(known.contains(key));
  co_return result;
}

Task<absl::Status> MailTransfer::Remember(Account account, std::vector<std::string> keys) {
  if (keys.empty()) co_return absl::OkStatus();
  if (absl::Status s = CheckKeys(keys); !s.ok()) co_return s;
  Params params = Params::Of(account.tenant, account.account);
  params.AddBytesArray(ViewsOf(keys));
  absl::StatusOr<Result> inserted =
      co_await database_.QueryFor(account.tenant, kInsertKnown, std::move(params));
  co_return inserted.status();
}

Task<absl::StatusOr<std::vector<NewMessage>>> MailTransfer::Prepare(
    Account account, std::vector<ImportedMessage> messages) {
  std::map<std::string, MailboxId> ids;
  std::vector<NewMessage> prepared;
  for (ImportedMessage& given : messages) {
    MailboxId& mailbox = ids[given.mailbox];
    if (!mailbox) {
      absl::StatusOr<MailboxInfo> info = co_await mailboxes_.Get(account, given.mailbox);
      if (!info.ok()) co_return info.status();
      mailbox = info->id;
    }
    NewMessage& message = prepared.emplace_back();
    if (given.stored_sha256.empty()) {
      if (given.data.size() > postgres::kInlineOctets) {
        co_return MakeFailure(Failure::kInvalidArgument, "a body over 64 KiB is uploaded first");
      }
      message.body = DeliveryStore::Prepare(account.tenant, given.data);
    } else {
      absl::StatusOr<std::shared_ptr<const PreparedBody>> body =
          co_await deliveries_.PrepareStored(account.tenant, std::move(given.stored_sha256));
      if (!body.ok()) {
        const bool gone = FailureOf(body.status()) == Failure::kNotFound;
        co_return gone ? MakeFailure(Failure::kUnavailable) : body.status();
      }
      message.body = *std::move(body);
    }
    absl::StatusOr<MessageId> id = MessageId::FromBytes(given.key);
    if (!id.ok()) co_return id.status();
    message.id = *id;
    message.account = account.account;
    message.mailbox = mailbox;
    message.received_at = given.received_at;
    message.flags = given.flags & kAllFlags;
    message.keywords = std::move(given.keywords);
  }
  co_return prepared;
}

// The key is the message id too, so that what was stored but could not be remembered is a duplicate
// when it comes again.
Task<absl::StatusOr<ImportCounts>> MailTransfer::Import(Account account,
                                                        std::vector<ImportedMessage> messages) {
  std::vector<std::string> keys;
  for (const ImportedMessage& message : messages) keys.push_back(message.key);
  absl::StatusOr<std::vector<bool>> known = co_await Find(account, keys);
  if (!known.ok()) co_return known.status();
  ImportCounts counts;
  std::vector<ImportedMessage> fresh;
  std::vector<std::string> fresh_keys;
  absl::flat_hash_set<std::string> seen;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if ((*known)[i] || !seen.insert(keys[i]).second) {
      ++counts.known;
      continue;
    }
    fresh.push_back(std::move(messages[i]));
    fresh_keys.push_back(keys[i]);
  }
  if (fresh.empty()) co_return counts;
  absl::StatusOr<std::vector<NewMessage>> prepared = co_await Prepare(account, std::move(fresh));
  if (!prepared.ok()) co_return prepared.status();
  std::vector<NewMessage> all = *prepared;
  absl::StatusOr<std::vector<StoredMessage>> stored = co_await deliveries_.StoreAll(std::move(all));
  if (stored.ok()) {
    for (const StoredMessage& message : *stored) {
      ++(message.duplicate ? counts.known : counts.stored);
    }
    absl::Status remembered = co_await Remember(account, fresh_keys);
    if (!remembered.ok()) co_return remembered;
    co_return counts;
  }
  if (FailureOf(stored.status()) != Failure::kOverQuota) co_return stored.status();
  // As many as fit.
  std::vector<std::string> done;
  absl::Status failed;
  for (std::size_t i = 0; i < prepared->size() && failed.ok(); ++i) {
    absl::StatusOr<StoredMessage> one = co_await deliveries_.Store(std::move((*prepared)[i]));
    if (one.ok()) {
      done.push_back(fresh_keys[i]);
    } else {
      failed = one.status();
    }
  }
  absl::Status remembered = co_await Remember(account, done);
  if (!remembered.ok()) co_return remembered;
  if (!failed.ok()) co_return failed;
  counts.stored += static_cast<std::int64_t>(done.size());
  co_return counts;
}

}  // namespace posthorn::mailbox
