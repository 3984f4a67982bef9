#include "services/mailbox/delivery_store.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"
#include "lib/mime/structure.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/rows.h"

namespace posthorn::mailbox {
namespace {

using Outcome = std::optional<absl::StatusOr<StoredMessage>>;

constexpr char kDeliver[] =
    "SELECT o_outcome, o_uid, o_modseq, o_uid_validity FROM mailbox.deliver("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::smallint)";
constexpr char kDeliverOne[] =
    "SELECT o_outcome, o_uid, o_modseq, o_uid_validity FROM mailbox.deliver_one("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::smallint)";
constexpr char kLockAccount[] =
    "SELECT 1 FROM mailbox.account WHERE tenant_id = $1 AND account_id = $2 FOR UPDATE";
constexpr char kExpungeOne[] =
    "SELECT o_modseq, o_uids FROM mailbox.expunge($1, $2, $3, ARRAY[$4], ARRAY[$4], false)";
constexpr char kSelectInfo[] =
    "SELECT size, info FROM mailbox.body WHERE tenant_id = $1 AND sha256 = $2";

// Bodies of a group, each once, and what the rows refer to.
struct GroupBodies {
  std::vector<const PreparedBody*> bodies;
  std::vector<std::int64_t> of_row;  // counts from 1
};

GroupBodies CollectBodies(absl::Span<NewMessage* const> rows) {
  GroupBodies result;
  absl::flat_hash_map<std::pair<std::int64_t, absl::string_view>, std::int64_t> seen;
  for (const NewMessage* row : rows) {
    const PreparedBody& body = *row->body;
    const auto [it, is_new] = seen.try_emplace(
        std::pair<std::int64_t, absl::string_view>(body.tenant.value(), body.sha256),
        static_cast<std::int64_t>(result.bodies.size()) + 1);
    if (is_new) result.bodies.push_back(&body);
    result.of_row.push_back(it->second);
  }
  return result;
}

void AddBodies(const std::vector<const PreparedBody*>& bodies, postgres::Params& params) {
  std::vector<std::int64_t> tenants;
  std::vector<std::int64_t> sizes;
  std::vector<std::optional<std::string_view>> hashes;
  std::vector<std::optional<std::string_view>> frames;
  std::vector<std::optional<std::string_view>> envelopes;
  std::vector<std::optional<std::string_view>> structures;
  for (const PreparedBody* body : bodies) {
    tenants.push_back(body->tenant.value());
    sizes.push_back(static_cast<std::int64_t>(body->size));
    hashes.emplace_back(body->sha256);
    frames.push_back(body->frame);
    envelopes.emplace_back(body->facts.envelope);
    structures.emplace_back(body->facts.structure);
  }
  std::vector<TenantId> distinct;
  for (const std::int64_t tenant : tenants) distinct.emplace_back(tenant);
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  params.Add(postgres::TenantArray(distinct));
  params.AddInts(tenants).AddBytesArray(hashes).AddInts(sizes).AddBytesArray(frames);
  params.AddBytesArray(envelopes).AddBytesArray(structures);
}

void AddRows(absl::Span<NewMessage* const> rows, const std::vector<std::int64_t>& body_of_row,
             postgres::Params& params) {
  std::vector<std::int64_t> accounts;
  std::vector<std::int64_t> mailboxes;
  std::vector<std::int64_t> flags;
  std::vector<std::string> ids;
  std::vector<std::optional<std::string_view>> id_views;
  std::vector<std::optional<std::string_view>> resend_keys;
  std::vector<std::optional<std::string_view>> prefixes;
  std::vector<absl::Time> times;
  std::vector<std::string> keywords;
  for (const NewMessage* row : rows) {
    accounts.push_back(row->account.value());
    mailboxes.push_back(row->mailbox.value());
    flags.push_back(row->flags);
    ids.push_back(row->id.bytes());
    resend_keys.emplace_back();
    if (!row->resend_key.empty()) resend_keys.back() = row->resend_key;
    prefixes.emplace_back(row->prefix);
    times.push_back(row->received_at);
    keywords.push_back(absl::StrJoin(row->keywords, " "));
  }
  for (const std::string& id : ids) id_views.emplace_back(id);
  params.AddInts(body_of_row).AddInts(accounts).AddInts(mailboxes).AddBytesArray(id_views);
  params.AddBytesArray(resend_keys).AddBytesArray(prefixes).AddTimes(times).AddInts(flags);
  params.AddTexts(keywords).Add(static_cast<int>(mime::kStructureVersion));
}

// `id` is the message's, as octets; both must outlive the parameters.
postgres::Params ParamsOf(const NewMessage& message, const std::string& id) {
  const PreparedBody& body = *message.body;
  std::optional<postgres::Bytes> data;
  if (body.frame.has_value()) data.emplace(*body.frame);
  std::optional<postgres::Bytes> resend_key;
  if (!message.resend_key.empty()) resend_key.emplace(message.resend_key);
  postgres::Params params = postgres::Params::Of(body.tenant, postgres::Bytes(body.sha256));
  params.Add(static_cast<std::int64_t>(body.size)).Add(data);
  params.Add(postgres::Bytes(body.facts.envelope)).Add(postgres::Bytes(body.facts.structure));
  params.Add(message.account).Add(message.mailbox).Add(postgres::Bytes(id));
  params.Add(resend_key).Add(postgres::Bytes(message.prefix)).Add(message.received_at);
  params.Add(static_cast<std::int64_t>(message.flags)).Add(absl::StrJoin(message.keywords, " "));
  params.Add(static_cast<int>(mime::kStructureVersion));
  return params;
}

Outcome OutcomeOf(const postgres::Result& result, int row) {
  switch (result.Int(row, 0)) {
    case 1:
    case 2: {
      StoredMessage stored;
      stored.duplicate = result.Int(row, 0) == 2;
      stored.uid = static_cast<Uid>(result.Int(row, 1));
      stored.modseq = result.Int(row, 2);
      stored.uid_validity = static_cast<std::uint32_t>(result.Int(row, 3));
      return absl::StatusOr<StoredMessage>(stored);
    }
    case 3: return absl::StatusOr<StoredMessage>(MakeFailure(Failure::kOverQuota));
    case 4: return absl::StatusOr<StoredMessage>(MakeFailure(Failure::kNoSuchRecipient));
    case 5: return absl::StatusOr<StoredMessage>(MakeFailure(Failure::kNoSuchMailbox));
    case 6: return absl::StatusOr<StoredMessage>(MakeFailure(Failure::kUnavailable));
    default: return std::nullopt;
  }
}

// By a Connection, where it is a transaction of its own, or a Transaction.
template <typename Executor>
absl::StatusOr<std::vector<Outcome>> Deliver(Executor& executor,
                                             absl::Span<NewMessage* const> rows) {
  // The functions set the tenants themselves, as their first statement.
  if (rows.size() == 1) {
    const std::string id = rows[0]->id.bytes();
    absl::StatusOr<postgres::Result> result = executor.Exec(kDeliverOne, ParamsOf(*rows[0], id));
    if (!result.ok()) return result.status();
    return std::vector<Outcome>(1, OutcomeOf(*result, 0));
  }
  const GroupBodies bodies = CollectBodies(rows);
  postgres::Params params;
  AddBodies(bodies.bodies, params);
  AddRows(rows, bodies.of_row, params);
  absl::StatusOr<postgres::Result> result = executor.Exec(kDeliver, params);
  if (!result.ok()) return result.status();
  if (result->rows() != static_cast<int>(rows.size())) {
    return absl::InternalError("mailbox.deliver answered another number of rows");
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(rows.size());
  for (int i = 0; i < result->rows(); ++i) outcomes.push_back(OutcomeOf(*result, i));
  return outcomes;
}

absl::StatusOr<std::vector<Outcome>> CommitGroup(postgres::Connection& connection,
                                                 absl::Span<NewMessage* const> rows) {
  absl::StatusOr<std::vector<Outcome>> outcomes = Deliver(connection, rows);
  // Of a group an error is nobody's own: each row runs alone then.
  if (outcomes.ok() || rows.size() != 1) return outcomes;
  absl::Status own = OrOverQuota(outcomes.status());
  if (FailureOf(own) != Failure::kOverQuota) return own;
  return std::vector<Outcome>(1, absl::StatusOr<StoredMessage>(std::move(own)));
}

absl::StatusOr<std::vector<StoredMessage>> StoreAllIn(postgres::Transaction& transaction,
                                                      std::vector<NewMessage>& messages) {
  std::vector<NewMessage*> rows;
  for (NewMessage& message : messages) rows.push_back(&message);
  // With the lock held none of them can be busy because of somebody else.
  const postgres::Params account =
      postgres::Params::Of(rows.front()->body->tenant, rows.front()->account);
  absl::StatusOr<postgres::Result> locked = transaction.Exec(kLockAccount, account);
  if (!locked.ok()) return locked.status();
  absl::StatusOr<std::vector<Outcome>> outcomes = Deliver(transaction, rows);
  if (!outcomes.ok()) return outcomes.status();
  std::vector<StoredMessage> stored;
  for (const Outcome& outcome : *outcomes) {
    // What fits alone but not behind the others.
    if (!outcome.has_value()) return MakeFailure(Failure::kOverQuota);
    if (!outcome->ok()) return outcome->status();
    stored.push_back(**outcome);
  }
  return stored;
}

absl::StatusOr<StoredMessage> ReplaceIn(postgres::Transaction& transaction, NewMessage& message,
                                        MailboxId old_mailbox, Uid old_uid) {
  const postgres::Params old =
      postgres::Params::Of(message.body->tenant, message.account, old_mailbox, old_uid);
  absl::StatusOr<postgres::Result> expunged = transaction.Exec(kExpungeOne, old);
  if (!expunged.ok()) return expunged.status();
  const bool gone = expunged->IsNull(0, 0) || expunged->Ints(0, 1).empty();
  std::vector<NewMessage> messages;
  messages.push_back(message);
  absl::StatusOr<std::vector<StoredMessage>> stored = StoreAllIn(transaction, messages);
  if (!stored.ok()) return stored.status();
  // It has gone either with an earlier run of this very call, whose commit was in doubt, or before
  // it: then nothing is stored.
  if (gone && !stored->front().duplicate) return MakeFailure(Failure::kNotFound);
  return stored->front();
}

postgres::WriteGroupOptions ForDeliver(postgres::WriteGroupOptions options) {
  options.idempotent = true;
  return options;
}

}  // namespace

DeliveryStore::DeliveryStore(postgres::Database& database, postgres::WriteGroupOptions options,
                             ChangeHints& hints)
    : database_(database), hints_(hints), group_(ForDeliver(std::move(options)), CommitGroup) {}

std::shared_ptr<const PreparedBody> DeliveryStore::Prepare(TenantId tenant, std::string_view body) {
  auto prepared = std::make_shared<PreparedBody>();
  prepared->tenant = tenant;
  prepared->sha256 = postgres::Sha256(body);
  prepared->size = body.size();
  prepared->frame = postgres::Compress(body);
  prepared->facts = FactsOf(body);
  return prepared;
}

Task<absl::StatusOr<std::shared_ptr<const PreparedBody>>> DeliveryStore::PrepareStored(
    TenantId tenant, std::string sha256) {
  postgres::Params params = postgres::Params::Of(tenant, postgres::Bytes(sha256));
  absl::StatusOr<postgres::Result> row =
      co_await database_.QueryFor(tenant, kSelectInfo, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound);
  absl::StatusOr<MessageFacts> facts = UnpackFacts(row->Bytes(0, 1));
  if (!facts.ok()) co_return facts.status();
  auto prepared = std::make_shared<PreparedBody>();
  prepared->tenant = tenant;
  prepared->sha256 = std::move(sha256);
  prepared->size = static_cast<std::uint64_t>(row->Int(0, 0));
  prepared->facts = *std::move(facts);
  co_return std::shared_ptr<const PreparedBody>(std::move(prepared));
}

Task<absl::StatusOr<StoredMessage>> DeliveryStore::Store(NewMessage message) {
  const Account account(message.body->tenant, message.account);
  absl::StatusOr<StoredMessage> stored = co_await group_.Submit(std::move(message));
  if (stored.ok() && !stored->duplicate) hints_.Changed(account, stored->modseq);
  co_return stored;
}

Task<absl::StatusOr<std::vector<StoredMessage>>> DeliveryStore::StoreAll(
    std::vector<NewMessage> messages) {
  const Account account(messages.front().body->tenant, messages.front().account);
  std::function<absl::StatusOr<std::vector<StoredMessage>>(postgres::Transaction&)> work =
      [&messages](postgres::Transaction& transaction) {
        return StoreAllIn(transaction, messages);
      };
  absl::StatusOr<std::vector<StoredMessage>> stored =
      co_await database_.TransactFor<std::vector<StoredMessage>>(account.tenant, work);
  if (!stored.ok() && postgres::IsInDoubt(stored.status())) {
    // If it was committed after all, all are duplicates now.
    stored = co_await database_.TransactFor<std::vector<StoredMessage>>(account.tenant, work);
  }
  if (!stored.ok()) co_return OrOverQuota(stored.status());
  if (!stored->back().duplicate) hints_.Changed(account, stored->back().modseq);
  co_return stored;
}

Task<absl::StatusOr<StoredMessage>> DeliveryStore::Replace(NewMessage message,
                                                           MailboxId old_mailbox, Uid old_uid) {
  const Account account(message.body->tenant, message.account);
  std::function<absl::StatusOr<StoredMessage>(postgres::Transaction&)> work =
      [&message, old_mailbox, old_uid](postgres::Transaction& transaction) {
        return ReplaceIn(transaction, message, old_mailbox, old_uid);
      };
  absl::StatusOr<StoredMessage> stored =
      co_await database_.TransactFor<StoredMessage>(account.tenant, work);
  if (!stored.ok() && postgres::IsInDoubt(stored.status())) {
    stored = co_await database_.TransactFor<StoredMessage>(account.tenant, work);
  }
  if (!stored.ok()) co_return OrOverQuota(stored.status());
  if (!stored->duplicate) hints_.Changed(account, stored->modseq);
  co_return stored;
}

}  // namespace posthorn::mailbox
