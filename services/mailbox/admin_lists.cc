// Distribution lists and their members.

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/admin_rows.h"
#include "services/mailbox/admin_store.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Result;
using postgres::Transaction;

constexpr char kInsertAddress[] =
    "INSERT INTO directory.address (tenant_id, address, domain, targets) VALUES ($1, $2, $3, '{}')";
constexpr char kInsertList[] =
    "INSERT INTO directory.list (tenant_id, address, description, owners, posting, senders,"
    " visibility, bounces) VALUES ($1, $2, $3, $4, $5::smallint, $6, $7::smallint, $8)";
#define POSTHORN_LIST_COLUMNS                                                                  \
  "SELECT l.tenant_id, l.address, l.description, l.owners, l.posting, l.senders, l.visibility," \
  " (SELECT count(*) FROM directory.list_member m"                                             \
  "  WHERE m.tenant_id = l.tenant_id AND m.list = l.address), a.created_at, l.bounces"         \
  " FROM directory.list l JOIN directory.address a"                                            \
  " ON a.tenant_id = l.tenant_id AND a.address = l.address "
constexpr char kSelectList[] =
    POSTHORN_LIST_COLUMNS "WHERE l.tenant_id = $1 AND l.address = $2";
constexpr char kSelectLists[] =
    POSTHORN_LIST_COLUMNS
    "WHERE l.address > $1 AND ($2 = '' OR a.domain = $2) ORDER BY l.address LIMIT $3";
constexpr char kSetList[] =
    "UPDATE directory.list SET description = $3, owners = $4, posting = $5::smallint,"
    " senders = $6, visibility = $7::smallint, bounces = $8 WHERE tenant_id = $1 AND address = $2";
constexpr char kDeleteAddress[] =
    "DELETE FROM directory.address WHERE tenant_id = $1 AND address = $2 AND targets = '{}'";
// Members are counted under this lock, so that the limit holds.
constexpr char kLockList[] =
    "SELECT (SELECT count(*) FROM directory.list_member m"
    "  WHERE m.tenant_id = l.tenant_id AND m.list = l.address)"
    " FROM directory.list l WHERE l.tenant_id = $1 AND l.address = $2 FOR UPDATE OF l";
constexpr char kInsertMembers[] =
    "INSERT INTO directory.list_member (tenant_id, list, member, address)"
    " SELECT $1, $2, m.member, m.address FROM unnest($3, $4) m (member, address)"
    " ON CONFLICT (tenant_id, list, member) DO NOTHING";
constexpr char kDeleteMembers[] =
    "DELETE FROM directory.list_member WHERE tenant_id = $1 AND list = $2 AND member = ANY ($3)";
constexpr char kSelectMembers[] =
    "SELECT address FROM directory.list_member WHERE tenant_id = $1 AND list = $2 AND member > $3"
    " ORDER BY member LIMIT $4";

ListRecord ListOf(const Result& r, int row) {
  ListRecord record;
  record.tenant = TenantId(r.Int(row, 0));
  record.address = r.Text(row, 1);
  record.description = r.Text(row, 2);
  record.owners = r.Texts(row, 3);
  record.posting = static_cast<ListPosting>(r.Int(row, 4));
  record.senders = r.Texts(row, 5);
  record.visibility = static_cast<ListVisibility>(r.Int(row, 6));
  record.members = r.Int(row, 7);
  record.created_at = r.Time(row, 8);
  record.bounces = r.Text(row, 9);
  return record;
}

void Apply(ListChange change, ListRecord& record) {
  if (change.description.has_value()) record.description = *std::move(change.description);
  if (change.owners.has_value()) {
    record.owners = *std::move(change.owners);
    record.bounces = std::move(change.bounces);
  }
  if (change.posting.has_value()) record.posting = *change.posting;
  if (change.senders.has_value()) record.senders = *std::move(change.senders);
  if (change.visibility.has_value()) record.visibility = *change.visibility;
}

Params ParamsOf(const ListRecord& record) {
  Params params = Params::Of(record.tenant, record.address, record.description);
  params.AddTexts(record.owners).Add(static_cast<int>(record.posting));
  params.AddTexts(record.senders).Add(static_cast<int>(record.visibility));
  params.Add(record.bounces);
  return params;
}

}  // namespace

Task<absl::Status> AdminStore::Prepare(TenantId tenant, ListChange& change) {
  if (change.description.has_value() && change.description->size() > 1000) {
    co_return MakeFailure(Failure::kInvalidArgument, "a description has at most 1000 octets");
  }
  if (change.owners.has_value()) {
    if (change.owners->empty() || change.owners->size() > kMaxListOwners) {
      co_return MakeFailure(Failure::kInvalidArgument, "a list has 1 to 20 owners");
    }
    absl::StatusOr<std::vector<Stored>> owners =
        co_await StoredForms(tenant, *std::move(change.owners), true);
    if (!owners.ok()) co_return owners.status();
    change.owners.emplace();
    change.bounces = owners->front().address;
    for (Stored& owner : *owners) change.owners->push_back(std::move(owner.key));
  }
  if (!change.senders.has_value()) co_return absl::OkStatus();
  if (change.senders->size() > kMaxListSenders) {
    co_return MakeFailure(Failure::kInvalidArgument, "a list names at most 1000 senders");
  }
  std::vector<std::string> addresses;
  std::vector<std::string> patterns;
  for (std::string& sender : *change.senders) {
    if (!sender.starts_with('@')) {
      addresses.push_back(std::move(sender));
      continue;
    }
    absl::StatusOr<std::string> domain = ParseDomainName(std::string_view(sender).substr(1));
    if (!domain.ok()) co_return domain.status();
    patterns.push_back("@" + *std::move(domain));
  }
  absl::StatusOr<std::vector<Stored>> senders =
      co_await StoredForms(tenant, std::move(addresses), false);
  if (!senders.ok()) co_return senders.status();
  for (Stored& sender : *senders) patterns.push_back(std::move(sender.key));
  change.senders = std::move(patterns);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<ListRecord>> AdminStore::AddList(std::string name, ListChange settings) {
  if (!settings.owners.has_value()) settings.owners.emplace();
  absl::StatusOr<Located> at = co_await Locate(std::move(name));
  if (!at.ok()) co_return at.status();
  absl::Status prepared = co_await Prepare(at->tenant, settings);
  if (!prepared.ok()) co_return prepared;
  ListRecord record;
  record.tenant = at->tenant;
  record.address = at->address.ToString();
  Apply(std::move(settings), record);
  std::function<absl::StatusOr<Nothing>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<Nothing> {
    absl::StatusOr<Result> address = transaction.Exec(
        kInsertAddress, Params::Of(record.tenant, record.address, at->address.domain));
    if (!address.ok()) return address.status();
    absl::StatusOr<Result> list = transaction.Exec(kInsertList, ParamsOf(record));
    if (!list.ok()) return list.status();
    return Nothing();
  };
  absl::StatusOr<Nothing> done =
      co_await database_.TransactFor<Nothing>(at->tenant, std::move(work));
  if (!done.ok()) co_return Taken(done.status());
  absl::StatusOr<ListRecord> added = co_await GetList(record.address);
  co_return added;
}

Task<absl::StatusOr<std::vector<ListRecord>>> AdminStore::ListLists(std::string domain,
                                                                    Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsForDomain(domain);
  if (!tenants.ok()) co_return tenants.status();
  absl::StatusOr<Result> rows = co_await database_.Query(
      *std::move(tenants), kSelectLists, Params::Of(page.after, domain, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  std::vector<ListRecord> records;
  for (int i = 0; i < rows->rows(); ++i) records.push_back(ListOf(*rows, i));
  co_return records;
}

Task<absl::StatusOr<ListRecord>> AdminStore::GetList(std::string name) {
  absl::StatusOr<Located> at = co_await Locate(std::move(name));
  if (!at.ok()) co_return at.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      at->tenant, kSelectList, Params::Of(at->tenant, at->address.ToString()));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such list");
  co_return ListOf(*row, 0);
}

Task<absl::StatusOr<ListRecord>> AdminStore::SetList(std::string name, ListChange change) {
  absl::StatusOr<ListRecord> record = co_await GetList(std::move(name));
  if (!record.ok()) co_return record.status();
  absl::Status prepared = co_await Prepare(record->tenant, change);
  if (!prepared.ok()) co_return prepared;
  Apply(std::move(change), *record);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(record->tenant, kSetList, ParamsOf(*record));
  if (!row.ok()) co_return row.status();
  if (row->affected() == 0) co_return MakeFailure(Failure::kNotFound, "no such list");
  co_return record;
}

Task<absl::Status> AdminStore::RemoveList(std::string name) {
  absl::StatusOr<ListRecord> record = co_await GetList(std::move(name));
  if (!record.ok()) co_return record.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      record->tenant, kDeleteAddress, Params::Of(record->tenant, record->address));
  co_return row.status();
}

Task<absl::StatusOr<std::int64_t>> AdminStore::AddListMembers(std::string name,
                                                              std::vector<std::string> members) {
  if (members.empty() || members.size() > kMaxMembersAtOnce) {
    co_return MakeFailure(Failure::kInvalidArgument, "1 to 10000 members at once");
  }
  absl::StatusOr<ListRecord> record = co_await GetList(std::move(name));
  if (!record.ok()) co_return record.status();
  absl::StatusOr<std::vector<Stored>> stored =
      co_await StoredForms(record->tenant, std::move(members), true);
  if (!stored.ok()) co_return stored.status();
  std::vector<std::string> keys;
  std::vector<std::string> addresses;
  for (Stored& member : *stored) {
    keys.push_back(std::move(member.key));
    addresses.push_back(std::move(member.address));
  }
  absl::Status loop = co_await CheckLoop(record->tenant, record->address, keys);
  if (!loop.ok()) co_return loop;
  std::function<absl::StatusOr<std::int64_t>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<std::int64_t> {
    absl::StatusOr<Result> locked =
        transaction.Exec(kLockList, Params::Of(record->tenant, record->address));
    if (!locked.ok()) return locked.status();
    if (locked->empty()) return MakeFailure(Failure::kNotFound, "no such list");
    Params params = Params::Of(record->tenant, record->address);
    params.AddTexts(keys).AddTexts(addresses);
    absl::StatusOr<Result> inserted = transaction.Exec(kInsertMembers, params);
    if (!inserted.ok()) return inserted.status();
    if (locked->Int(0, 0) + inserted->affected() > kMaxListMembers) {
      return MakeFailure(Failure::kInvalidArgument,
                         absl::StrCat("a list has at most ", kMaxListMembers, " members"));
    }
    return inserted->affected();
  };
  absl::StatusOr<std::int64_t> added =
      co_await database_.TransactFor<std::int64_t>(record->tenant, std::move(work));
  co_return added;
}

Task<absl::StatusOr<std::int64_t>> AdminStore::RemoveListMembers(
    std::string name, std::vector<std::string> members) {
  absl::StatusOr<ListRecord> record = co_await GetList(std::move(name));
  if (!record.ok()) co_return record.status();
  absl::StatusOr<std::vector<Stored>> stored =
      co_await StoredForms(record->tenant, std::move(members), false);
  if (!stored.ok()) co_return stored.status();
  std::vector<std::string> keys;
  for (Stored& member : *stored) keys.push_back(std::move(member.key));
  Params params = Params::Of(record->tenant, record->address);
  params.AddTexts(keys);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(record->tenant, kDeleteMembers, std::move(params));
  if (!row.ok()) co_return row.status();
  co_return row->affected();
}

Task<absl::StatusOr<std::vector<std::string>>> AdminStore::ListMembers(std::string name,
                                                                       Page page) {
  absl::StatusOr<ListRecord> record = co_await GetList(std::move(name));
  if (!record.ok()) co_return record.status();
  std::string after;
  if (!page.after.empty()) {
    absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(page.after);
    if (!parsed.ok()) co_return parsed.status();
    after = parsed->ToString();
  }
  absl::StatusOr<Result> rows = co_await database_.QueryFor(
      record->tenant, kSelectMembers,
      Params::Of(record->tenant, record->address, after, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  std::vector<std::string> result;
  for (int i = 0; i < rows->rows(); ++i) result.push_back(rows->Text(i, 0));
  co_return result;
}

}  // namespace posthorn::mailbox
