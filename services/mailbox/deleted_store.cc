#include "services/mailbox/deleted_store.h"

#include <algorithm>
#include <optional>

#include "lib/base/failure.h"
#include "lib/mime/encoded_word.h"
#include "lib/mime/envelope.h"
#include "services/mailbox/mailbox_name.h"
#include "services/mailbox/rows.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr int kPurgeAccounts = 1000;
constexpr int kPurgeBatch = 500;

constexpr char kSelectDeleted[] =
    "SELECT d.deleted_id, d.mailbox_name, d.uid, d.deleted_at, d.received_at, d.size, m.envelope"
    " FROM (SELECT * FROM mailbox.deleted WHERE tenant_id = $1 AND account_id = $2"
    "  AND deleted_id > $3 AND ($4 = '' OR mailbox_name = $4) AND deleted_at >= $5"
    "  AND deleted_at < $6 ORDER BY deleted_id LIMIT $7) d"
    " CROSS JOIN LATERAL (SELECT envelope FROM mailbox.email WHERE tenant_id = $1"
    "  AND account_id = $2 AND email_id = d.email_id OFFSET 0) m ORDER BY d.deleted_id";
constexpr char kUndelete[] =
    "SELECT o_outcome, o_found, o_modseq FROM mailbox.undelete($1, $2, $3, $4)";
constexpr char kAccountsToPurge[] =
    "SELECT tenant_id, account_id"
    " FROM lookup.mailbox_accounts_to_purge($1 * interval '1 second', $2::int)";
constexpr char kPurge[] = "SELECT mailbox.purge_deleted($1, $2, $3 * interval '1 second', $4::int)";

// What people know a message by.
void AddEnvelope(std::string_view bytes, DeletedMessage& message) {
  const absl::StatusOr<mime::Envelope> envelope = mime::ParseEnvelope(bytes);
  if (!envelope.ok()) return;  // of another version
  message.subject = mime::DecodeHeaderText(envelope->subject.value_or(""));
  for (const mime::Address& address : envelope->from) {
    if (address.IsGroupStart() || address.IsGroupEnd()) continue;
    message.from = address.mailbox.value_or("") + "@" + address.host.value_or("");
    return;
  }
}

}  // namespace

DeletedStore::DeletedStore(postgres::Database& database, ChangeHints& hints)
    : database_(database), hints_(hints) {}

Task<absl::StatusOr<std::vector<DeletedMessage>>> DeletedStore::List(Account account,
                                                                     DeletedFilter filter) {
  const int limit = filter.limit <= 0 ? kMaxPage : std::min(filter.limit, kMaxPage);
  Params params = Params::Of(account.tenant, account.account, filter.after, filter.mailbox,
                             filter.since, filter.until, limit);
  absl::StatusOr<Result> rows =
      co_await database_.QueryFor(account.tenant, kSelectDeleted, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<DeletedMessage> messages;
  for (int i = 0; i < rows->rows(); ++i) {
    DeletedMessage& message = messages.emplace_back();
    message.id = rows->Int(i, 0);
    message.mailbox = rows->Text(i, 1);
    message.uid = static_cast<Uid>(rows->Int(i, 2));
    message.deleted_at = rows->Time(i, 3);
    message.received_at = rows->Time(i, 4);
    message.size = static_cast<std::uint64_t>(rows->Int(i, 5));
    AddEnvelope(rows->Bytes(i, 6), message);
  }
  co_return messages;
}

Task<absl::StatusOr<std::int64_t>> DeletedStore::Undelete(Account account,
                                                          std::vector<std::int64_t> ids,
                                                          std::string mailbox) {
  if (ids.empty() || ids.size() > kMaxUndelete) {
    co_return MakeFailure(Failure::kInvalidArgument, "1 to 1,000 messages at a time");
  }
  std::optional<std::string> destination;
  if (!mailbox.empty()) {
    absl::StatusOr<std::string> canonical = CanonicalName(mailbox);
    if (!canonical.ok()) co_return canonical.status();
    destination = *std::move(canonical);
  }
  Params params = Params::Of(account.tenant, account.account);
  params.AddInts(ids).Add(destination);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kUndelete, std::move(params));
  if (!row.ok()) co_return OrOverQuota(row.status());
  switch (row->Int(0, 0)) {
    case 1:
      break;
    case 3:
      co_return MakeFailure(Failure::kOverQuota);
    default:
      co_return MakeFailure(Failure::kNotFound);
  }
  if (row->Int(0, 1) > 0) hints_.Changed(account, row->Int(0, 2));
  co_return row->Int(0, 1);
}

Task<absl::StatusOr<std::int64_t>> DeletedStore::Purge(absl::Duration age, std::int64_t limit) {
  const std::int64_t seconds = absl::ToInt64Seconds(age);
  std::int64_t total = 0;
  while (total < limit) {
    absl::StatusOr<Result> accounts = co_await database_.Query(
        std::vector<TenantId>(), kAccountsToPurge, Params::Of(seconds, kPurgeAccounts));
    if (!accounts.ok()) co_return accounts.status();
    if (accounts->empty()) break;
    std::int64_t round = 0;
    for (int i = 0; i < accounts->rows() && total + round < limit; ++i) {
      const TenantId tenant(accounts->Int(i, 0));
      Params params = Params::Of(tenant, accounts->Int(i, 1), seconds, kPurgeBatch);
      absl::StatusOr<Result> purged =
          co_await database_.QueryFor(tenant, kPurge, std::move(params));
      if (!purged.ok()) co_return purged.status();
      round += purged->Int(0, 0);
    }
    if (round == 0) break;  // another replica was faster
    total += round;
  }
  co_return total;
}

}  // namespace posthorn::mailbox
