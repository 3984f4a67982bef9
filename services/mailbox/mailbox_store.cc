#include "services/mailbox/mailbox_store.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "lib/base/failure.h"
#include "services/mailbox/mailbox_name.h"
#include "services/mailbox/rows.h"

// Reading mailboxes and changing messages; changes of the mailboxes themselves are in
// mailbox_tree.cc.

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Query;
using postgres::Result;

constexpr char kSelectAll[] =
    "SELECT" POSTHORN_INFO_COLUMNS
    "FROM mailbox.mailbox m WHERE m.tenant_id = $1 AND m.account_id = $2 ORDER BY m.name COLLATE \"C\"";
constexpr char kSelectOtherSubscriptions[] =
    "SELECT s.name FROM mailbox.subscription s WHERE s.tenant_id = $1 AND s.account_id = $2"
    " AND NOT EXISTS (SELECT FROM mailbox.mailbox m WHERE m.tenant_id = $1 AND m.account_id = $2"
    "                 AND m.name = s.name) ORDER BY s.name COLLATE \"C\"";
constexpr char kSelectByName[] =
    "SELECT" POSTHORN_INFO_COLUMNS
    "FROM mailbox.mailbox m WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.name = $3";
constexpr char kFindByName[] =
    "SELECT m.mailbox_id, m.uid_validity FROM mailbox.mailbox m"
    " WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.name = $3";
// Of all mailboxes, or of those named so.
constexpr char kCountDeleted[] =
    "SELECT e.mailbox_id, count(*), sum(e.size)::bigint FROM mailbox.entry e"
    " WHERE e.tenant_id = $1 AND e.mailbox_id = ANY (ARRAY(SELECT m.mailbox_id"
    "  FROM mailbox.mailbox m WHERE m.tenant_id = $1 AND m.account_id = $2"
    "  AND ($3::text IS NULL OR m.name = $3)))"
    " AND e.flags & 8 <> 0 GROUP BY e.mailbox_id";
constexpr char kSelectQuota[] =
    "SELECT used_bytes, quota_bytes, messages, quota_messages FROM mailbox.account"
    " WHERE tenant_id = $1 AND account_id = $2";
constexpr char kSelectById[] =
    "SELECT" POSTHORN_INFO_COLUMNS
    ", m.pruned_modseq"
    " FROM mailbox.mailbox m WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.mailbox_id = $3";
constexpr int kPrunedColumn = kRecentUidColumn + 1;

// The claim answers where \Recent begins for this session; no row: nothing is recent.
constexpr char kClaimByName[] =
    "UPDATE mailbox.mailbox m SET recent_uid = m.uid_next FROM mailbox.mailbox o"
    " WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.name = $3 AND m.recent_uid < m.uid_next"
    " AND o.tenant_id = m.tenant_id AND o.mailbox_id = m.mailbox_id RETURNING o.recent_uid";
constexpr char kClaimById[] =
    "UPDATE mailbox.mailbox m SET recent_uid = m.uid_next FROM mailbox.mailbox o"
    " WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.mailbox_id = $3"
    " AND m.recent_uid < m.uid_next"
    " AND o.tenant_id = m.tenant_id AND o.mailbox_id = m.mailbox_id RETURNING o.recent_uid";

constexpr char kSelectEntriesByName[] =
    "SELECT" POSTHORN_ENTRY_COLUMNS
    "FROM mailbox.entry e WHERE e.tenant_id = $1 AND e.mailbox_id ="
    " (SELECT m.mailbox_id FROM mailbox.mailbox m"
    "  WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.name = $3)"
    " ORDER BY e.uid LIMIT $4";
constexpr char kSelectMoreEntries[] =
    "SELECT" POSTHORN_ENTRY_COLUMNS
    "FROM mailbox.entry e WHERE e.tenant_id = $1 AND e.mailbox_id ="
    " (SELECT m.mailbox_id FROM mailbox.mailbox m"
    "  WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.mailbox_id = $3)"
    " AND e.uid > $4 AND e.uid < $5 ORDER BY e.uid LIMIT $6";
// By MODSEQ in the inner one, or the plan reads all of the mailbox in the order that the outer one wants;
// and with the predicate of the index.
constexpr char kSelectChanged[] =
    "SELECT" POSTHORN_ENTRY_COLUMNS
    "FROM (SELECT * FROM mailbox.entry WHERE tenant_id = $1 AND mailbox_id ="
    " (SELECT m.mailbox_id FROM mailbox.mailbox m"
    "  WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.mailbox_id = $3)"
    " AND modseq > $4 AND modseq > 0 ORDER BY modseq OFFSET 0) e ORDER BY e.uid";
constexpr char kSelectExpunged[] =
    "SELECT x.uid FROM mailbox.expunged x WHERE x.tenant_id = $1 AND x.mailbox_id ="
    " (SELECT m.mailbox_id FROM mailbox.mailbox m"
    "  WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.mailbox_id = $3)"
    " AND x.modseq > $4 ORDER BY x.uid";

constexpr char kLockAccount[] =
    "SELECT 1 FROM mailbox.account WHERE tenant_id = $1 AND account_id = $2 FOR UPDATE";
constexpr char kSelectModSeqs[] =
    "SELECT e.uid, e.modseq FROM unnest($4::bigint[], $5::bigint[]) r (f, l)"
    " CROSS JOIN LATERAL (SELECT uid, modseq FROM mailbox.entry"
    "  WHERE tenant_id = $1 AND mailbox_id = (SELECT m.mailbox_id FROM mailbox.mailbox m"
    "   WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.mailbox_id = $3)"
    "  AND uid BETWEEN r.f AND r.l OFFSET 0) e ORDER BY e.uid";
constexpr char kStoreFlags[] =
    "SELECT o_uid, o_modseq, o_flags, o_keywords, o_size, o_email_id, o_received_at"
    " FROM mailbox.store_flags($1, $2, $3, $4, $5, $6::int, $7::int, $8)";
constexpr char kCopy[] =
    "SELECT o_outcome, o_uid_validity, o_from, o_to, o_modseq"
    " FROM mailbox.copy($1, $2, $3, $4, $5, $6, $7)";
constexpr char kExpunge[] =
    "SELECT o_modseq, o_uids FROM mailbox.expunge($1, $2, $3, $4, $5, $6)";
constexpr char kWatermarks[] =
    "SELECT a.tenant_id, a.account_id, a.modseq FROM unnest($1, $2) r (tenant, account)"
    " CROSS JOIN LATERAL (SELECT tenant_id, account_id, modseq FROM mailbox.account"
    "  WHERE tenant_id = r.tenant AND account_id = r.account OFFSET 0) a";

constexpr char kSelectAccount[] =
    "SELECT 1 FROM mailbox.account WHERE tenant_id = $1 AND account_id = $2";
constexpr char kAcquireLock[] =
    "INSERT INTO mailbox.pop_lock AS p (tenant_id, account_id, holder, expires_at)"
    " SELECT a.tenant_id, a.account_id, $3, now() + $4 * interval '1 second'"
    " FROM mailbox.account a WHERE a.tenant_id = $1 AND a.account_id = $2"
    " ON CONFLICT (tenant_id, account_id) DO UPDATE"
    " SET holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at"
    " WHERE p.holder = EXCLUDED.holder OR p.expires_at < now()";
constexpr char kReleaseLock[] =
    "DELETE FROM mailbox.pop_lock WHERE tenant_id = $1 AND account_id = $2 AND holder = $3";

Params Key(Account account) { return Params::Of(account.tenant, account.account); }

void AddDeleted(const Result& counts, MailboxInfo& info) {
  for (int i = 0; i < counts.rows(); ++i) {
    if (counts.Int(i, 0) != info.id.value()) continue;
    info.deleted = static_cast<std::uint32_t>(counts.Int(i, 1));
    info.deleted_size = static_cast<std::uint64_t>(counts.Int(i, 2));
  }
}

// Locks the account and divides what is in `uids`: the ranges whose messages have no MODSEQ above
// `since`, and the others.
absl::StatusOr<std::vector<UidRange>> UnchangedIn(postgres::Transaction& transaction,
                                                  Account account, MailboxId mailbox,
                                                  const std::vector<UidRange>& uids, ModSeq since,
                                                  std::vector<Uid>& modified) {
  absl::StatusOr<Result> locked = transaction.Exec(kLockAccount, Key(account));
  if (!locked.ok()) return locked.status();
  Params params = Key(account);
  params.Add(mailbox);
  AddRanges(uids, params);
  absl::StatusOr<Result> rows = transaction.Exec(kSelectModSeqs, params);
  if (!rows.ok()) return rows.status();
  std::vector<UidRange> unchanged;
  bool extend = false;
  for (int i = 0; i < rows->rows(); ++i) {
    const Uid uid = static_cast<Uid>(rows->Int(i, 0));
    if (rows->Int(i, 1) > since) {
      modified.push_back(uid);
      extend = false;
    } else if (extend && unchanged.back().last + 1 == uid) {
      unchanged.back().last = uid;
    } else {
      unchanged.emplace_back(uid, uid);
      extend = true;
    }
  }
  return unchanged;
}

}  // namespace

MailboxStore::MailboxStore(postgres::Database& database, ChangeHints& hints)
    : database_(database), hints_(hints) {}

Task<absl::StatusOr<MailboxList>> MailboxStore::List(Account account, bool count_deleted) {
  std::vector<Query> queries;
  queries.emplace_back(kSelectAll, Key(account));
  queries.emplace_back(kSelectOtherSubscriptions, Key(account));
  if (count_deleted) {
    Params all = Key(account);
    all.Add(std::optional<std::string>());
    queries.emplace_back(kCountDeleted, std::move(all));
  }
  absl::StatusOr<std::vector<Result>> results =
      co_await database_.Snapshot(account.tenant, std::move(queries));
  if (!results.ok()) co_return results.status();
  if ((*results)[0].empty()) co_return MakeFailure(Failure::kNotFound);
  MailboxList list;
  for (int i = 0; i < (*results)[0].rows(); ++i) list.mailboxes.push_back(InfoOf((*results)[0], i));
  if (count_deleted) {
    for (MailboxInfo& info : list.mailboxes) AddDeleted((*results)[2], info);
  }
  for (int i = 0; i < (*results)[1].rows(); ++i) {
    list.other_subscriptions.push_back((*results)[1].Text(i, 0));
  }
  co_return list;
}

Task<absl::StatusOr<MailboxInfo>> MailboxStore::Get(Account account, std::string name,
                                                    bool count_deleted) {
  absl::StatusOr<std::string> canonical = CanonicalName(name);
  if (!canonical.ok()) co_return MakeFailure(Failure::kNoSuchMailbox);
  Params params = Key(account);
  params.Add(*canonical);
  if (!count_deleted) {
    absl::StatusOr<Result> row =
        co_await database_.QueryFor(account.tenant, kSelectByName, std::move(params));
    if (!row.ok()) co_return row.status();
    if (row->empty()) co_return MakeFailure(Failure::kNoSuchMailbox);
    co_return InfoOf(*row, 0);
  }
  std::vector<Query> queries;
  queries.emplace_back(kSelectByName, params);
  queries.emplace_back(kCountDeleted, params);
  absl::StatusOr<std::vector<Result>> results =
      co_await database_.Snapshot(account.tenant, std::move(queries));
  if (!results.ok()) co_return results.status();
  if ((*results)[0].empty()) co_return MakeFailure(Failure::kNoSuchMailbox);
  MailboxInfo info = InfoOf((*results)[0], 0);
  AddDeleted((*results)[1], info);
  co_return info;
}

Task<absl::StatusOr<MailboxInfo>> MailboxStore::Find(Account account, std::string name) {
  absl::StatusOr<std::string> canonical = CanonicalName(name);
  if (!canonical.ok()) co_return MakeFailure(Failure::kNoSuchMailbox);
  Params params = Key(account);
  params.Add(*canonical);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kFindByName, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNoSuchMailbox);
  MailboxInfo info;
  info.id = MailboxId(row->Int(0, 0));
  info.uid_validity = static_cast<std::uint32_t>(row->Int(0, 1));
  co_return info;
}

Task<absl::StatusOr<Quota>> MailboxStore::GetQuota(Account account) {
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kSelectQuota, Key(account));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound);
  Quota quota;
  quota.used_octets = static_cast<std::uint64_t>(row->Int(0, 0));
  quota.limit_octets = static_cast<std::uint64_t>(row->Int(0, 1));
  quota.used_messages = static_cast<std::uint64_t>(row->Int(0, 2));
  quota.limit_messages = static_cast<std::uint64_t>(row->Int(0, 3));
  co_return quota;
}

Task<absl::StatusOr<OpenedMailbox>> MailboxStore::Open(Account account, std::string name,
                                                       bool claim_recent) {
  absl::StatusOr<std::string> canonical = CanonicalName(name);
  if (!canonical.ok()) co_return MakeFailure(Failure::kNoSuchMailbox);
  Params by_name = Key(account);
  by_name.Add(*canonical);
  Params entries = by_name;
  entries.Add(kEntryBatch);
  std::vector<Query> queries;
  queries.emplace_back(kSelectByName, by_name);
  queries.emplace_back(kSelectEntriesByName, std::move(entries));
  if (claim_recent) queries.emplace_back(kClaimByName, by_name);
  absl::StatusOr<std::vector<Result>> results =
      co_await database_.Snapshot(account.tenant, std::move(queries));
  if (!results.ok()) co_return results.status();
  const Result& info = (*results)[0];
  if (info.empty()) co_return MakeFailure(Failure::kNoSuchMailbox);
  OpenedMailbox opened;
  opened.info = InfoOf(info, 0);
  // What is recent: from recent_uid on, for a claim just as for a look.
  opened.recent_from_uid = static_cast<Uid>(info.Int(0, kRecentUidColumn));
  opened.entries = EntriesOf((*results)[1]);
  opened.complete = (*results)[1].rows() < kEntryBatch;
  co_return opened;
}

Task<absl::StatusOr<std::vector<Entry>>> MailboxStore::MoreEntries(Account account,
                                                                   MailboxId mailbox, Uid after,
                                                                   Uid before) {
  Params params = Key(account);
  params.Add(mailbox).Add(after).Add(before).Add(kEntryBatch);
  absl::StatusOr<Result> rows =
      co_await database_.QueryFor(account.tenant, kSelectMoreEntries, std::move(params));
  if (!rows.ok()) co_return rows.status();
  co_return EntriesOf(*rows);
}

Task<absl::StatusOr<Changes>> MailboxStore::GetChanges(Account account, MailboxId mailbox,
                                                       ModSeq since, bool claim_recent) {
  Params by_id = Key(account);
  by_id.Add(mailbox);
  Params by_modseq = by_id;
  by_modseq.Add(since);
  std::vector<Query> queries;
  queries.emplace_back(kSelectById, by_id);
  queries.emplace_back(kSelectChanged, by_modseq);
  queries.emplace_back(kSelectExpunged, by_modseq);
  if (claim_recent) queries.emplace_back(kClaimById, by_id);
  absl::StatusOr<std::vector<Result>> results =
      co_await database_.Snapshot(account.tenant, std::move(queries));
  if (!results.ok()) co_return results.status();
  const Result& info = (*results)[0];
  if (info.empty()) co_return MakeFailure(Failure::kNotFound);
  if (since < info.Int(0, kPrunedColumn)) co_return MakeFailure(Failure::kConflict);
  Changes changes;
  changes.info = InfoOf(info, 0);
  changes.recent_from_uid = static_cast<Uid>(info.Int(0, kRecentUidColumn));
  changes.changed = EntriesOf((*results)[1]);
  for (int i = 0; i < (*results)[2].rows(); ++i) {
    changes.expunged.push_back(static_cast<Uid>((*results)[2].Int(i, 0)));
  }
  co_return changes;
}

Task<absl::StatusOr<FlagChanges>> MailboxStore::StoreFlags(
    Account account, MailboxId mailbox, std::vector<UidRange> uids, FlagMode mode,
    std::uint32_t flags, std::vector<std::string> keywords, ModSeq unchanged_since) {
  const auto params = [&](const std::vector<UidRange>& ranges) {
    Params all = Key(account);
    all.Add(mailbox);
    AddRanges(ranges, all);
    all.Add(static_cast<int>(mode)).Add(flags & kAllFlags).AddTexts(keywords);
    return all;
  };
  FlagChanges changes;
  absl::StatusOr<Result> rows = Result();
  if (unchanged_since == kAnyModSeq) {
    Params all = params(uids);
    rows = co_await database_.QueryFor(account.tenant, kStoreFlags, std::move(all));
  } else {
    std::function<absl::StatusOr<Result>(postgres::Transaction&)> work =
        [&](postgres::Transaction& transaction) -> absl::StatusOr<Result> {
      changes.modified.clear();
      absl::StatusOr<std::vector<UidRange>> unchanged =
          UnchangedIn(transaction, account, mailbox, uids, unchanged_since, changes.modified);
      if (!unchanged.ok()) return unchanged.status();
      return transaction.Exec(kStoreFlags, params(*unchanged));
    };
    rows = co_await database_.TransactFor<Result>(account.tenant, std::move(work));
  }
  if (!rows.ok()) co_return rows.status();
  // The last row is the mailbox' own.
  for (int i = 0; i < rows->rows(); ++i) {
    Entry entry = EntryOf(*rows, i);
    if (entry.uid == 0) {
      changes.highest_modseq = entry.modseq;
    } else {
      changes.changed.push_back(std::move(entry));
    }
  }
  if (changes.highest_modseq <= 0) co_return MakeFailure(Failure::kNotFound);
  if (!changes.changed.empty()) hints_.Changed(account, changes.highest_modseq);
  co_return changes;
}

Task<absl::StatusOr<CopyResult>> MailboxStore::Copy(Account account, MailboxId mailbox,
                                                    std::vector<UidRange> uids,
                                                    std::string destination, bool move) {
  absl::StatusOr<std::string> canonical = CanonicalName(destination);
  if (!canonical.ok()) co_return MakeFailure(Failure::kNoSuchMailbox);
  Params params = Key(account);
  params.Add(mailbox);
  AddRanges(uids, params);
  params.Add(*canonical).Add(move);
  absl::StatusOr<Result> row = co_await database_.QueryFor(account.tenant, kCopy, std::move(params));
  if (!row.ok()) co_return OrOverQuota(row.status());
  switch (row->Int(0, 0)) {
    case 1: break;
    case 3: co_return MakeFailure(Failure::kOverQuota);
    case 5: co_return MakeFailure(Failure::kNoSuchMailbox);
    default: co_return MakeFailure(Failure::kNotFound);
  }
  CopyResult result;
  result.uid_validity = static_cast<std::uint32_t>(row->Int(0, 1));
  result.source = UidsOf(row->Ints(0, 2));
  result.destination = UidsOf(row->Ints(0, 3));
  if (!result.source.empty()) hints_.Changed(account, row->Int(0, 4));
  co_return result;
}

Task<absl::StatusOr<ExpungeResult>> MailboxStore::Expunge(Account account, MailboxId mailbox,
                                                          std::vector<UidRange> uids,
                                                          bool only_deleted) {
  Params params = Key(account);
  params.Add(mailbox);
  AddRanges(uids, params);
  params.Add(only_deleted);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kExpunge, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound);
  ExpungeResult result;
  result.highest_modseq = row->Int(0, 0);
  result.expunged = UidsOf(row->Ints(0, 1));
  if (!result.expunged.empty()) hints_.Changed(account, result.highest_modseq);
  co_return result;
}

Task<absl::StatusOr<std::vector<ModSeq>>> MailboxStore::Watermarks(std::vector<Account> accounts) {
  std::vector<TenantId> tenants;
  std::vector<std::int64_t> tenant_values;
  std::vector<std::int64_t> account_values;
  for (const Account& account : accounts) {
    tenants.push_back(account.tenant);
    tenant_values.push_back(account.tenant.value());
    account_values.push_back(account.account.value());
  }
  std::sort(tenants.begin(), tenants.end());
  tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
  Params params;
  params.AddInts(tenant_values).AddInts(account_values);
  absl::StatusOr<Result> rows =
      co_await database_.Query(std::move(tenants), kWatermarks, std::move(params));
  if (!rows.ok()) co_return rows.status();
  absl::flat_hash_map<std::pair<std::int64_t, std::int64_t>, ModSeq> found;
  for (int i = 0; i < rows->rows(); ++i) {
    found[{rows->Int(i, 0), rows->Int(i, 1)}] = rows->Int(i, 2);
  }
  std::vector<ModSeq> result;
  for (const Account& account : accounts) {
    const auto it = found.find({account.tenant.value(), account.account.value()});
    result.push_back(it == found.end() ? 0 : it->second);
  }
  co_return result;
}

Task<absl::Status> MailboxStore::RequireAccount(Account account) {
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kSelectAccount, Key(account));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound);
  co_return absl::OkStatus();
}

Task<absl::Status> MailboxStore::AcquirePopLock(Account account, std::string holder,
                                                absl::Duration lease) {
  Params params = Key(account);
  params.Add(postgres::Bytes(holder)).Add(absl::ToInt64Seconds(lease));
  absl::StatusOr<Result> result =
      co_await database_.QueryFor(account.tenant, kAcquireLock, std::move(params));
  if (!result.ok()) co_return result.status();
  if (result->affected() > 0) co_return absl::OkStatus();
  absl::Status exists = co_await RequireAccount(account);
  co_return exists.ok() ? MakeFailure(Failure::kMailboxInUse) : exists;
}

Task<absl::Status> MailboxStore::ReleasePopLock(Account account, std::string holder) {
  Params params = Key(account);
  params.Add(postgres::Bytes(holder));
  absl::StatusOr<Result> result =
      co_await database_.QueryFor(account.tenant, kReleaseLock, std::move(params));
  co_return result.status();
}

}  // namespace posthorn::mailbox
