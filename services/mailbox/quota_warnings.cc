#include "services/mailbox/quota_warnings.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/postgres/body_store.h"
#include "lib/telemetry/log.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Result;
using postgres::Transaction;

constexpr char kChecks[] = "SELECT tenant_id, account_id FROM lookup.mailbox_quota_checks($1::int)";
#define POSTHORN_USE_COLUMNS                                                                      \
  "SELECT a.quota_bytes, a.used_bytes, a.quota_messages, a.messages,"                             \
  " coalesce((SELECT w.percent FROM mailbox.quota_warning w"                                      \
  "  WHERE w.tenant_id = $1 AND w.account_id = $2), 0),"                                          \
  " coalesce((SELECT w.generation FROM mailbox.quota_warning w"                                   \
  "  WHERE w.tenant_id = $1 AND w.account_id = $2), 0),"                                          \
  " coalesce((SELECT d.address FROM directory.address d"                                          \
  "  WHERE d.tenant_id = $1 AND d.account_id = $2 ORDER BY d.created_at, d.address LIMIT 1), '')" \
  " FROM mailbox.account a WHERE a.tenant_id = $1 AND a.account_id = $2"
constexpr char kSelectUse[] = POSTHORN_USE_COLUMNS;
// With the lock no change of the account is under way whose trigger found the check still there.
constexpr char kLockUse[] = POSTHORN_USE_COLUMNS " FOR UPDATE OF a";
constexpr char kDeleteCheck[] =
    "DELETE FROM mailbox.quota_check WHERE tenant_id = $1 AND account_id = $2";
constexpr char kSetWarning[] =
    "INSERT INTO mailbox.quota_warning (tenant_id, account_id, percent, generation)"
    " VALUES ($1, $2, $3::int, $4) ON CONFLICT (tenant_id, account_id) DO UPDATE"
    " SET percent = EXCLUDED.percent, generation = EXCLUDED.generation";

bool Reaches(std::int64_t used, std::int64_t quota, int percent) {
  return quota > 0 && static_cast<__int128>(used) * 100 >= static_cast<__int128>(quota) * percent;
}

std::string UseText(std::int64_t used, std::int64_t quota, const char* unit) {
  return absl::StrCat("  ", used, " of ", quota, " ", unit, "\r\n");
}

}  // namespace

QuotaWarnings::QuotaWarnings(postgres::Database& database, DeliveryStore& deliveries,
                             const Clock& clock, std::vector<int> percents)
    : database_(database), deliveries_(deliveries), clock_(clock), percents_(std::move(percents)) {}

int QuotaWarnings::LevelOf(const Use& use) const {
  int level = 0;
  for (const int percent : percents_) {
    if (percent > level && (Reaches(use.used_bytes, use.quota_bytes, percent) ||
                            Reaches(use.messages, use.quota_messages, percent))) {
      level = percent;
    }
  }
  return level;
}

Task<absl::StatusOr<int>> QuotaWarnings::RunOnce(int limit) {
  absl::StatusOr<Result> checks =
      co_await database_.Query(std::vector<TenantId>(), kChecks, Params::Of(limit));
  if (!checks.ok()) co_return checks.status();
  int warned = 0;
  for (int i = 0; i < checks->rows(); ++i) {
    const Account account(TenantId(checks->Int(i, 0)), AccountId(checks->Int(i, 1)));
    absl::StatusOr<bool> done = co_await Look(account);
    if (!done.ok()) co_return done.status();
    warned += *done ? 1 : 0;
  }
  co_return warned;
}

// The mail goes first, under an id that follows from what it says: if the note of it is lost the
// next round finds it stored already.
Task<absl::StatusOr<bool>> QuotaWarnings::Look(Account account) {
  const auto use_of = [](const Result& row) {
    Use use;
    use.quota_bytes = row.Int(0, 0);
    use.used_bytes = row.Int(0, 1);
    use.quota_messages = row.Int(0, 2);
    use.messages = row.Int(0, 3);
    use.warned_percent = static_cast<int>(row.Int(0, 4));
    use.generation = row.Int(0, 5);
    use.address = row.Text(0, 6);
    return use;
  };
  const Params key = Params::Of(account.tenant, account.account);
  absl::StatusOr<Result> row = co_await database_.QueryFor(account.tenant, kSelectUse, key);
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return false;
  const Use before = use_of(*row);
  const int mailed = LevelOf(before);
  const bool warn = mailed > before.warned_percent && !before.address.empty();
  if (warn) {
    absl::Status status = co_await Warn(account, before, mailed);
    if (!status.ok()) co_return status;
  }
  std::function<absl::StatusOr<Nothing>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<Nothing> {
    absl::StatusOr<Result> locked = transaction.Exec(kLockUse, key);
    if (!locked.ok()) return locked.status();
    if (locked->empty()) return Nothing();
    const Use now = use_of(*locked);
    const int level = LevelOf(now);
    if (now.generation != before.generation) return Nothing();  // another replica was here
    if (level > std::max(before.warned_percent, mailed)) return Nothing();  // the next round's
    absl::StatusOr<Result> deleted = transaction.Exec(kDeleteCheck, key);
    if (!deleted.ok()) return deleted.status();
    if (!warn && level == before.warned_percent) return Nothing();
    absl::StatusOr<Result> set = transaction.Exec(
        kSetWarning,
        Params::Of(account.tenant, account.account, level, before.generation + (warn ? 1 : 0)));
    if (!set.ok()) return set.status();
    return Nothing();
  };
  absl::StatusOr<Nothing> noted =
      co_await database_.TransactFor<Nothing>(account.tenant, std::move(work));
  if (!noted.ok()) co_return noted.status();
  co_return warn;
}

Task<absl::Status> QuotaWarnings::Warn(Account account, const Use& use, int level) {
  const std::string name = absl::StrCat("quota/", account.tenant.value(), "/",
                                        account.account.value(), "/", use.generation, "/", level);
  const std::string domain = use.address.substr(use.address.rfind('@') + 1);
  const absl::Time now = clock_.Now();
  std::string text = absl::StrCat(
      "From: Mail System <postmaster@", domain, ">\r\nTo: <", use.address,
      ">\r\nSubject: Your mailbox is ", level,
      "% full\r\nDate: ", absl::FormatTime("%a, %d %b %Y %H:%M:%S +0000", now, absl::UTCTimeZone()),
      "\r\nMessage-ID: <quota.", account.account.value(), ".", use.generation, ".", level, "@",
      domain,
      ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
      "Your mailbox has reached ",
      level, "% of what it may hold:\r\n\r\n");
  if (use.quota_bytes > 0) text += UseText(use.used_bytes, use.quota_bytes, "octets");
  if (use.quota_messages > 0) text += UseText(use.messages, use.quota_messages, "messages");
  text +=
      "\r\nOnce it is full, new mail is no longer accepted. Deleting messages and emptying\r\n"
      "the trash makes room.\r\n";
  NewMessage message;
  message.body = DeliveryStore::Prepare(account.tenant, text);
  message.account = account.account;
  absl::StatusOr<MessageId> id = MessageId::FromBytes(postgres::Sha256(name).substr(0, 16));
  if (!id.ok()) co_return id.status();
  message.id = *id;
  message.prefix = "Return-Path: <>\r\n";
  message.received_at = now;
  absl::StatusOr<StoredMessage> stored = co_await deliveries_.Store(std::move(message));
  const bool full = !stored.ok() && FailureOf(stored.status()) == Failure::kOverQuota;
  if (stored.ok() || (!full && !IsPermanent(stored.status()))) co_return stored.status();
  // Full or gone: nothing that another try would change.
  log::Info("mailbox", "a quota warning could not be stored",
            {{"account", account.account.value()}, {"status", stored.status()}});
  co_return absl::OkStatus();
}

}  // namespace posthorn::mailbox
