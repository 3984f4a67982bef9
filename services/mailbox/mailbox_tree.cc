// Creating, deleting and renaming mailboxes, and subscriptions. Each change locks the account
// through mailbox.next_modseq, as all changes below an account do.

#include "lib/base/failure.h"
#include "services/mailbox/mailbox_name.h"
#include "services/mailbox/mailbox_store.h"
#include "services/mailbox/rows.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Result;
using postgres::Transaction;

constexpr char kNextModseq[] = "SELECT mailbox.next_modseq($1, $2)";
constexpr char kInsertMailbox[] =
    "INSERT INTO mailbox.mailbox (tenant_id, mailbox_id, account_id, uid_validity, name,"
    " special_use, highest_modseq)"
    " VALUES ($1, nextval('mailbox.mailbox_id'), $2, nextval('mailbox.uid_validity'), $3, $4, $5)"
    " ON CONFLICT (tenant_id, account_id, name) DO NOTHING RETURNING mailbox_id";
constexpr char kSelectByName[] =
    "SELECT" POSTHORN_INFO_COLUMNS
    "FROM mailbox.mailbox m WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.name = $3";
constexpr char kHasChildren[] =
    "SELECT 1 FROM mailbox.mailbox WHERE tenant_id = $1 AND account_id = $2"
    " AND starts_with(name, $3 || '/') LIMIT 1";
constexpr char kDeleteMailbox[] = "SELECT mailbox.delete_mailbox($1, $2, $3)";
constexpr char kRename[] =
    "UPDATE mailbox.mailbox SET name = $4 || substr(name, length($3) + 1)"
    " WHERE tenant_id = $1 AND account_id = $2 AND (name = $3 OR starts_with(name, $3 || '/'))";
constexpr char kMoveAll[] =
    "SELECT o_modseq FROM mailbox.copy($1, $2, $3, '{1}', '{4294967295}', $4, true)";
constexpr char kSubscribe[] =
    "INSERT INTO mailbox.subscription (tenant_id, account_id, name)"
    " SELECT a.tenant_id, a.account_id, $3 FROM mailbox.account a"
    " WHERE a.tenant_id = $1 AND a.account_id = $2 ON CONFLICT DO NOTHING";
constexpr char kUnsubscribe[] =
    "DELETE FROM mailbox.subscription WHERE tenant_id = $1 AND account_id = $2 AND name = $3";

constexpr char kInbox[] = "INBOX";

Params Key(Account account) { return Params::Of(account.tenant, account.account); }

// Locks the account; its new MODSEQ or kNotFound.
absl::StatusOr<ModSeq> Lock(Transaction& transaction, Account account) {
  absl::StatusOr<Result> row = transaction.Exec(kNextModseq, Key(account));
  if (!row.ok()) return row.status();
  if (row->IsNull(0, 0)) return MakeFailure(Failure::kNotFound);
  return row->Int(0, 0);
}

// True if it was not there before.
absl::StatusOr<bool> Insert(Transaction& transaction, Account account, const std::string& name,
                            const std::string& special_use, ModSeq modseq) {
  Params params = Key(account);
  params.Add(name).Add(special_use).Add(modseq);
  absl::StatusOr<Result> row = transaction.Exec(kInsertMailbox, params);
  if (!row.ok()) return row.status();
  return !row->empty();
}

absl::Status InsertParents(Transaction& transaction, Account account, const std::string& name,
                           ModSeq modseq) {
  for (const std::string& parent : ParentsOf(name)) {
    absl::StatusOr<bool> inserted = Insert(transaction, account, parent, "", modseq);
    if (!inserted.ok()) return inserted.status();
  }
  return absl::OkStatus();
}

absl::StatusOr<MailboxInfo> Find(Transaction& transaction, Account account,
                                 const std::string& name) {
  Params params = Key(account);
  params.Add(name);
  absl::StatusOr<Result> row = transaction.Exec(kSelectByName, params);
  if (!row.ok()) return row.status();
  if (row->empty()) return MakeFailure(Failure::kNoSuchMailbox);
  return InfoOf(*row, 0);
}

// Whether mailboxes lie below `name`, which need not be one itself.
absl::StatusOr<bool> HasChildren(Transaction& transaction, Account account,
                                 const std::string& name) {
  Params params = Key(account);
  params.Add(name);
  absl::StatusOr<Result> rows = transaction.Exec(kHasChildren, params);
  if (!rows.ok()) return rows.status();
  return !rows->empty();
}

absl::StatusOr<MailboxInfo> CreateIn(Transaction& transaction, Account account,
                                     const std::string& name, const std::string& special_use) {
  absl::StatusOr<ModSeq> modseq = Lock(transaction, account);
  if (!modseq.ok()) return modseq.status();
  if (absl::Status s = InsertParents(transaction, account, name, *modseq); !s.ok()) return s;
  absl::StatusOr<bool> inserted = Insert(transaction, account, name, special_use, *modseq);
  if (!inserted.ok()) return inserted.status();
  if (!*inserted) return MakeFailure(Failure::kMailboxExists);
  return Find(transaction, account, name);
}

absl::StatusOr<ModSeq> DeleteIn(Transaction& transaction, Account account,
                                const std::string& name) {
  absl::StatusOr<ModSeq> modseq = Lock(transaction, account);
  if (!modseq.ok()) return modseq.status();
  absl::StatusOr<MailboxInfo> info = Find(transaction, account, name);
  if (!info.ok() && FailureOf(info.status()) == Failure::kNoSuchMailbox) {
    absl::StatusOr<bool> children = HasChildren(transaction, account, name);
    if (!children.ok()) return children.status();
    if (*children) return MakeFailure(Failure::kMailboxHasChildren);
  }
  if (!info.ok()) return info.status();
  Params by_id = Key(account);
  by_id.Add(info->id);
  absl::StatusOr<Result> deleted = transaction.Exec(kDeleteMailbox, by_id);
  if (!deleted.ok()) return deleted.status();
  return *modseq;
}

absl::StatusOr<ModSeq> RenameInbox(Transaction& transaction, Account account, const std::string& to,
                                   ModSeq modseq) {
  absl::StatusOr<MailboxInfo> inbox = Find(transaction, account, kInbox);
  if (!inbox.ok()) return inbox.status();
  absl::StatusOr<bool> inserted = Insert(transaction, account, to, "", modseq);
  if (!inserted.ok()) return inserted.status();
  if (!*inserted) return MakeFailure(Failure::kMailboxExists);
  Params params = Key(account);
  params.Add(inbox->id).Add(to);
  absl::StatusOr<Result> moved = transaction.Exec(kMoveAll, params);
  if (!moved.ok()) return moved.status();
  return moved->Int(0, 0);
}

absl::StatusOr<ModSeq> RenameIn(Transaction& transaction, Account account, const std::string& from,
                                const std::string& to) {
  absl::StatusOr<ModSeq> modseq = Lock(transaction, account);
  if (!modseq.ok()) return modseq.status();
  absl::StatusOr<MailboxInfo> source = Find(transaction, account, from);
  if (!source.ok()) {
    if (FailureOf(source.status()) != Failure::kNoSuchMailbox) return source.status();
    // A name that only has mailboxes below it is renamed with them.
    absl::StatusOr<bool> children = HasChildren(transaction, account, from);
    if (!children.ok()) return children.status();
    if (!*children) return source.status();
  }
  if (absl::Status s = InsertParents(transaction, account, to, *modseq); !s.ok()) return s;
  if (from == kInbox) return RenameInbox(transaction, account, to, *modseq);
  Params params = Key(account);
  params.Add(from).Add(to);
  absl::StatusOr<Result> renamed = transaction.Exec(kRename, params);
  if (!renamed.ok()) {
    const bool exists = postgres::SqlState(renamed.status()) == postgres::kUniqueViolation;
    return exists ? MakeFailure(Failure::kMailboxExists) : renamed.status();
  }
  return *modseq;
}

}  // namespace

Task<absl::StatusOr<MailboxInfo>> MailboxStore::Create(Account account, std::string name,
                                                       std::string special_use) {
  absl::StatusOr<std::string> canonical = CanonicalName(name);
  if (!canonical.ok()) co_return canonical.status();
  std::function<absl::StatusOr<MailboxInfo>(Transaction&)> work = [&](Transaction& transaction) {
    return CreateIn(transaction, account, *canonical, special_use);
  };
  absl::StatusOr<MailboxInfo> info =
      co_await database_.TransactFor<MailboxInfo>(account.tenant, std::move(work));
  if (info.ok()) hints_.Changed(account, info->highest_modseq);
  co_return info;
}

Task<absl::Status> MailboxStore::Delete(Account account, std::string name) {
  absl::StatusOr<std::string> canonical = CanonicalName(name);
  if (!canonical.ok()) co_return MakeFailure(Failure::kNoSuchMailbox);
  if (*canonical == kInbox) {
    co_return MakeFailure(Failure::kPermissionDenied, "INBOX cannot be deleted");
  }
  std::function<absl::StatusOr<ModSeq>(Transaction&)> work = [&](Transaction& transaction) {
    return DeleteIn(transaction, account, *canonical);
  };
  absl::StatusOr<ModSeq> modseq =
      co_await database_.TransactFor<ModSeq>(account.tenant, std::move(work));
  if (modseq.ok()) hints_.Changed(account, *modseq);
  co_return modseq.status();
}

Task<absl::Status> MailboxStore::Rename(Account account, std::string from, std::string to) {
  absl::StatusOr<std::string> source = CanonicalName(from);
  if (!source.ok()) co_return MakeFailure(Failure::kNoSuchMailbox);
  absl::StatusOr<std::string> target = CanonicalName(to);
  if (!target.ok()) co_return target.status();
  if (*target == kInbox || *target == *source) co_return MakeFailure(Failure::kMailboxExists);
  // A mailbox cannot become its own child, except that INBOX' messages may move below it.
  if (*source != kInbox && target->starts_with(*source + "/")) {
    co_return MakeFailure(Failure::kMailboxNameInvalid);
  }
  std::function<absl::StatusOr<ModSeq>(Transaction&)> work = [&](Transaction& transaction) {
    return RenameIn(transaction, account, *source, *target);
  };
  absl::StatusOr<ModSeq> modseq =
      co_await database_.TransactFor<ModSeq>(account.tenant, std::move(work));
  if (modseq.ok()) hints_.Changed(account, *modseq);
  co_return modseq.status();
}

Task<absl::Status> MailboxStore::Subscribe(Account account, std::string name, bool subscribed) {
  absl::StatusOr<std::string> canonical = CanonicalName(name);
  if (!canonical.ok()) co_return canonical.status();
  Params params = Key(account);
  params.Add(*canonical);
  absl::StatusOr<Result> result = co_await database_.QueryFor(
      account.tenant, subscribed ? kSubscribe : kUnsubscribe, std::move(params));
  if (!result.ok()) co_return result.status();
  if (result->affected() > 0) co_return absl::OkStatus();
  absl::Status exists = co_await RequireAccount(account);  // else it was so before
  co_return exists;
}

}  // namespace posthorn::mailbox
