#include "services/mailbox/threads.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/failure.h"
#include "lib/mime/base_subject.h"
#include "lib/mime/case_fold.h"
#include "lib/mime/envelope.h"
#include "lib/postgres/body_store.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr int kBatch = 500;
// Of one message; the last ids of a long list say most (RFC 5322 section 3.6.4).
constexpr std::size_t kMaxIds = 100;
// Octets of a SHA-256 that are kept.
constexpr std::size_t kKeyOctets = 16;

constexpr char kIsBehind[] =
    "SELECT 1 FROM mailbox.account a WHERE a.tenant_id = $1 AND a.account_id = $2"
    " AND EXISTS (SELECT FROM mailbox.email e WHERE e.tenant_id = $1 AND e.account_id = $2"
    "  AND e.email_id > a.threaded_to)";
constexpr char kLock[] =
    "SELECT threaded_to FROM mailbox.account WHERE tenant_id = $1 AND account_id = $2 FOR UPDATE";
constexpr char kSelectEmails[] =
    "SELECT email_id, envelope FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    " AND email_id > $3 ORDER BY email_id LIMIT $4";
constexpr char kSelectThreads[] =
    "SELECT key, thread_id FROM mailbox.thread WHERE tenant_id = $1 AND account_id = $2"
    " AND key = ANY ($3)";
constexpr char kInsertThreads[] =
    "INSERT INTO mailbox.thread (tenant_id, account_id, key, thread_id)"
    " SELECT $1, $2, k, t FROM unnest($3::bytea[], $4::bigint[]) n (k, t)";
constexpr char kUpdateEmails[] =
    "UPDATE mailbox.email SET thread_id = ($4::bigint[])[array_position($3::bigint[], email_id)]"
    " WHERE tenant_id = $1 AND account_id = $2 AND email_id = ANY ($3)";
constexpr char kAdvance[] =
    "UPDATE mailbox.account SET threaded_to = $3 WHERE tenant_id = $1 AND account_id = $2";

struct Email {
  std::int64_t id = 0;
  std::vector<std::string> keys;
};

// The ids between "<" and ">" in a header value; without any, the value itself.
void AddIds(const std::optional<std::string>& value, std::vector<std::string_view>& ids) {
  if (!value) return;
  const std::size_t before = ids.size();
  std::string_view rest = *value;
  for (;;) {
    const std::size_t begin = rest.find('<');
    if (begin == std::string_view::npos) break;
    const std::size_t end = rest.find('>', begin);
    if (end == std::string_view::npos) break;
    if (end > begin + 1) ids.push_back(rest.substr(begin + 1, end - begin - 1));
    rest.remove_prefix(end + 1);
  }
  if (ids.size() == before && !value->empty()) ids.push_back(*value);
}

std::vector<std::string> KeysOf(std::string_view serialised) {
  std::vector<std::string> keys;
  const absl::StatusOr<mime::Envelope> envelope = mime::ParseEnvelope(serialised);
  // Of another version: such a message is a thread of its own.
  if (!envelope.ok()) return keys;
  std::vector<std::string_view> ids;
  AddIds(envelope->references, ids);
  AddIds(envelope->in_reply_to, ids);
  AddIds(envelope->message_id, ids);
  if (ids.size() > kMaxIds) ids.erase(ids.begin(), ids.end() - kMaxIds);
  const std::string subject =
      mime::FoldCompatible(mime::BaseSubjectOf(envelope->subject.value_or("")).text);
  for (const std::string_view id : ids) {
    std::string text(id);
    text.push_back('\0');
    text += subject;
    keys.push_back(postgres::Sha256(text).substr(0, kKeyOctets));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::vector<std::optional<std::string_view>> Views(const std::vector<std::string>& keys) {
  return std::vector<std::optional<std::string_view>>(keys.begin(), keys.end());
}

Params Key(Account account) { return Params::Of(account.tenant, account.account); }

// One batch; whether there may be more.
absl::StatusOr<bool> AssignSome(postgres::Transaction& transaction, Account account) {
  absl::StatusOr<Result> locked = transaction.Exec(kLock, Key(account));
  if (!locked.ok()) return locked.status();
  if (locked->empty()) return MakeFailure(Failure::kNotFound);
  Params after = Key(account);
  after.Add(locked->Int(0, 0)).Add(kBatch);
  absl::StatusOr<Result> rows = transaction.Exec(kSelectEmails, after);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return false;
  std::vector<Email> emails;
  std::vector<std::string> keys;
  for (int i = 0; i < rows->rows(); ++i) {
    emails.emplace_back();
    emails.back().id = rows->Int(i, 0);
    emails.back().keys = KeysOf(rows->Bytes(i, 1));
    keys.insert(keys.end(), emails.back().keys.begin(), emails.back().keys.end());
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());

  const std::vector<std::optional<std::string_view>> wanted = Views(keys);
  Params known = Key(account);
  known.AddBytesArray(wanted);
  absl::StatusOr<Result> threads = transaction.Exec(kSelectThreads, known);
  if (!threads.ok()) return threads.status();
  absl::flat_hash_map<std::string, std::int64_t> thread_of;
  for (int i = 0; i < threads->rows(); ++i) {
    thread_of[threads->Text(i, 0)] = threads->Int(i, 1);
  }

  std::vector<std::string> new_keys;
  std::vector<std::int64_t> new_threads;
  std::vector<std::int64_t> moved;
  std::vector<std::int64_t> moved_to;
  for (const Email& email : emails) {
    std::int64_t thread = email.id;
    for (const std::string& key : email.keys) {
      const auto found = thread_of.find(key);
      if (found != thread_of.end()) thread = std::min(thread, found->second);
    }
    for (const std::string& key : email.keys) {
      if (!thread_of.try_emplace(key, thread).second) continue;
      new_keys.push_back(key);
      new_threads.push_back(thread);
    }
    if (thread == email.id) continue;
    moved.push_back(email.id);
    moved_to.push_back(thread);
  }
  if (!new_keys.empty()) {
    const std::vector<std::optional<std::string_view>> views = Views(new_keys);
    Params insert = Key(account);
    insert.AddBytesArray(views).AddInts(new_threads);
    absl::StatusOr<Result> inserted = transaction.Exec(kInsertThreads, insert);
    if (!inserted.ok()) return inserted.status();
  }
  if (!moved.empty()) {
    Params update = Key(account);
    update.AddInts(moved).AddInts(moved_to);
    absl::StatusOr<Result> updated = transaction.Exec(kUpdateEmails, update);
    if (!updated.ok()) return updated.status();
  }
  Params advance = Key(account);
  advance.Add(emails.back().id);
  absl::StatusOr<Result> advanced = transaction.Exec(kAdvance, advance);
  if (!advanced.ok()) return advanced.status();
  return emails.size() == static_cast<std::size_t>(kBatch);
}

}  // namespace

Task<absl::Status> AssignThreads(postgres::Database& database, Account account) {
  // Most often there is nothing to do, and then no lock to wait for.
  absl::StatusOr<Result> behind =
      co_await database.QueryFor(account.tenant, kIsBehind, Key(account));
  if (!behind.ok()) co_return behind.status();
  bool more = !behind->empty();
  while (more) {
    std::function<absl::StatusOr<bool>(postgres::Transaction&)> work =
        [account](postgres::Transaction& transaction) { return AssignSome(transaction, account); };
    absl::StatusOr<bool> assigned =
        co_await database.TransactFor<bool>(account.tenant, std::move(work));
    if (!assigned.ok()) co_return assigned.status();
    more = *assigned;
  }
  co_return absl::OkStatus();
}

}  // namespace posthorn::mailbox
