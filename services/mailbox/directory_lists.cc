// Lists and aliases as the directory answers for them: who may post, whom a list reaches, who may
// see the members.
#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/directory_search.h"
#include "services/mailbox/directory_store.h"
#include "services/mailbox/address_rules.h"
#include "services/mailbox/recipient_lookup.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;
using Kind = RecipientEntry::Kind;

constexpr char kLookupMainDomain[] = "SELECT tenant_id, name FROM lookup.main_domain($1)";
// $3: all names of a sender; $4: the same and "@domain". Membership is followed upwards, through
// the lists that are members of lists: a person is in few lists, and a list may have many members.
constexpr char kPostingFacts[] =
    "WITH RECURSIVE within (name) AS ("
    "  SELECT unnest($3)"
    "  UNION SELECT m.list FROM within w JOIN directory.list_member m"
    "    ON m.tenant_id = $1 AND m.member = w.name)"
    " SELECT l.posting, l.visibility, l.owners && $3, l.senders && $4,"
    "  EXISTS (SELECT FROM within w WHERE w.name = $2)"
    " FROM directory.list l WHERE l.tenant_id = $1 AND l.address = $2";
constexpr char kSelectMembers[] =
    "SELECT address FROM directory.list_member WHERE tenant_id = $1 AND list = $2 AND member > $3"
    " ORDER BY member LIMIT $4";
constexpr char kCountMembers[] =
    "SELECT count(*) FROM directory.list_member WHERE tenant_id = $1 AND list = $2";
constexpr char kSelectList[] =
    "SELECT bounces FROM directory.list WHERE tenant_id = $1 AND address = $2";
constexpr char kSelectNames[] =
    "SELECT address FROM directory.address WHERE tenant_id = $1 AND account_id = $2";
constexpr char kSelectAllMembers[] =
    "SELECT array_agg(address ORDER BY member) FROM directory.list_member"
    " WHERE tenant_id = $1 AND list = $2";

struct ListFacts {
  ListPosting posting = ListPosting::kOwners;
  ListVisibility visibility = ListVisibility::kOwners;
  bool is_owner = false;
  bool is_sender = false;
  bool is_member = false;
};

Task<absl::StatusOr<ListFacts>> FactsFor(postgres::Database& database, TenantId tenant,
                                         std::string list, std::vector<std::string> names) {
  std::vector<std::string> patterns = names;
  for (const std::string& name : names) patterns.push_back(name.substr(name.rfind('@')));
  Params params = Params::Of(tenant, list);
  params.AddTexts(names).AddTexts(patterns);
  absl::StatusOr<Result> row =
      co_await database.QueryFor(tenant, kPostingFacts, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such list");
  ListFacts facts;
  facts.posting = static_cast<ListPosting>(row->Int(0, 0));
  facts.visibility = static_cast<ListVisibility>(row->Int(0, 1));
  facts.is_owner = row->Bool(0, 2);
  facts.is_sender = row->Bool(0, 3);
  facts.is_member = row->Bool(0, 4);
  co_return facts;
}

bool MayPost(const ListFacts& facts, bool same_tenant) {
  if (facts.is_owner) return true;
  switch (facts.posting) {
    case ListPosting::kAnyone: return true;
    case ListPosting::kTenant: return same_tenant;
    case ListPosting::kMembers: return facts.is_member;
    case ListPosting::kOwners: return false;
    case ListPosting::kSenders: return facts.is_sender;
  }
  return false;
}

bool MaySee(const ListFacts& facts) {
  if (facts.is_owner) return true;
  switch (facts.visibility) {
    case ListVisibility::kOwners: return false;
    case ListVisibility::kMembers: return facts.is_member;
    case ListVisibility::kTenant: return true;
  }
  return false;
}

}  // namespace

Task<absl::StatusOr<std::vector<std::string>>> DirectoryStore::NamesOf(TenantId tenant,
                                                                       AccountId account) {
  absl::StatusOr<Result> rows =
      co_await database_.QueryFor(tenant, kSelectNames, Params::Of(tenant, account));
  if (!rows.ok()) co_return rows.status();
  std::vector<std::string> names;
  for (int i = 0; i < rows->rows(); ++i) names.push_back(rows->Text(i, 0));
  co_return names;
}

Task<absl::Status> DirectoryStore::AuthorizePost(std::string list, std::string sender,
                                                 TenantId proven) {
  if (sender.empty()) {
    co_return MakeFailure(Failure::kPostNotAllowed, "Lists take no notifications");
  }
  absl::StatusOr<DirectoryAddress> to = ParseDirectoryAddress(list);
  absl::StatusOr<DirectoryAddress> from = ParseDirectoryAddress(sender);
  if (!to.ok()) co_return MakeFailure(Failure::kNotFound, "no such list");
  if (!from.ok()) co_return MakeFailure(Failure::kPostNotAllowed);
  absl::StatusOr<Result> domain = co_await database_.Query(
      std::vector<TenantId>(), kLookupMainDomain, Params::Of(to->domain));
  if (!domain.ok()) co_return domain.status();
  if (domain->empty()) co_return MakeFailure(Failure::kNotFound, "no such list");
  const TenantId tenant(domain->Int(0, 0));
  to->domain = domain->Text(0, 1);

  std::vector<DirectoryAddress> asked(1, *std::move(from));
  absl::StatusOr<std::vector<RecipientEntry>> entries =
      co_await LookUpRecipients(database_, options_.tag_separators, std::move(asked));
  if (!entries.ok()) co_return entries.status();
  const RecipientEntry& entry = entries->front();
  // From outside anybody can write any address: one of ours is believed after a login only.
  const bool unproven = entry.kind != Kind::kForeign && entry.tenant != proven;
  std::vector<std::string> names(1, entry.address);
  if (entry.kind == Kind::kAccount && entry.tenant == tenant) {
    absl::StatusOr<std::vector<std::string>> own = co_await NamesOf(tenant, entry.account);
    if (!own.ok()) co_return own.status();
    std::move(own->begin(), own->end(), std::back_inserter(names));
  }
  absl::StatusOr<ListFacts> facts =
      co_await FactsFor(database_, tenant, to->ToString(), std::move(names));
  if (!facts.ok()) co_return facts.status();
  if (facts->posting == ListPosting::kAnyone) co_return absl::OkStatus();
  if (unproven) {
    co_return MakeFailure(Failure::kPostNotAllowed, "Log in to post to this list");
  }
  const bool same_tenant = entry.kind != Kind::kForeign && entry.tenant == tenant;
  if (!MayPost(*facts, same_tenant)) co_return MakeFailure(Failure::kPostNotAllowed);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<std::string>>> DirectoryStore::MembersOf(TenantId tenant,
                                                                         std::string list) {
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(tenant, kSelectAllMembers, Params::Of(tenant, list));
  if (!row.ok()) co_return row.status();
  if (row->empty() || row->IsNull(0, 0)) co_return std::vector<std::string>();
  co_return row->Texts(0, 0);
}

Task<absl::StatusOr<ListExpansion>> DirectoryStore::ExpandList(std::string list) {
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(list);
  if (!parsed.ok()) co_return MakeFailure(Failure::kNotFound, "no such list");
  std::vector<DirectoryAddress> asked(1, *std::move(parsed));
  absl::StatusOr<std::vector<RecipientEntry>> entries =
      co_await LookUpRecipients(database_, options_.tag_separators, std::move(asked));
  if (!entries.ok()) co_return entries.status();
  const RecipientEntry& entry = entries->front();
  if (entry.kind != Kind::kList) co_return MakeFailure(Failure::kNotFound, "no such list");
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      entry.tenant, kSelectList, Params::Of(entry.tenant, entry.address));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such list");

  ListExpansion expansion;
  expansion.tenant = entry.tenant;
  expansion.address = entry.address;
  expansion.bounces = row->Text(0, 0);
  Search search(entry.tenant, kMaxListTargets);
  search.expand_lists = true;
  search.seen.insert(entry.address);
  absl::StatusOr<std::vector<std::string>> members =
      co_await MembersOf(entry.tenant, entry.address);
  if (!members.ok()) co_return members.status();
  const absl::Status status = co_await Follow(*std::move(members), search);
  if (!status.ok()) co_return status;
  expansion.targets = std::move(search.targets);
  co_return expansion;
}

Task<absl::StatusOr<ShownMembers>> DirectoryStore::ShowMembers(Account account,
                                                               std::string address) {
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return parsed.status();
  std::vector<DirectoryAddress> asked(1, *std::move(parsed));
  absl::StatusOr<std::vector<RecipientEntry>> entries =
      co_await LookUpRecipients(database_, "", std::move(asked));
  if (!entries.ok()) co_return entries.status();
  RecipientEntry& entry = entries->front();
  const bool has_members = entry.kind == Kind::kList || entry.kind == Kind::kAlias;
  if (!has_members || entry.tenant != account.tenant) {
    co_return MakeFailure(Failure::kNotFound, "no such list");
  }
  ShownMembers shown;
  if (entry.kind == Kind::kAlias) {
    shown.total = static_cast<std::int64_t>(entry.targets.size());
    shown.members = std::move(entry.targets);
    co_return shown;
  }
  absl::StatusOr<std::vector<std::string>> names =
      co_await NamesOf(account.tenant, account.account);
  if (!names.ok()) co_return names.status();
  absl::StatusOr<ListFacts> facts =
      co_await FactsFor(database_, account.tenant, entry.address, *std::move(names));
  if (!facts.ok()) co_return facts.status();
  if (!MaySee(*facts)) {
    co_return MakeFailure(Failure::kPermissionDenied, "Members of this list are not shown to you");
  }
  absl::StatusOr<Result> rows = co_await database_.QueryFor(
      account.tenant, kSelectMembers,
      Params::Of(account.tenant, entry.address, "", kMaxShownMembers));
  if (!rows.ok()) co_return rows.status();
  for (int i = 0; i < rows->rows(); ++i) shown.members.push_back(rows->Text(i, 0));
  absl::StatusOr<Result> count = co_await database_.QueryFor(
      account.tenant, kCountMembers, Params::Of(account.tenant, entry.address));
  if (!count.ok()) co_return count.status();
  shown.total = count->Int(0, 0);
  co_return shown;
}

}  // namespace posthorn::mailbox
