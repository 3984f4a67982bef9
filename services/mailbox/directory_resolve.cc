// Where mail for an address goes: breadth first through aliases, in batches of one query each. What
// was seen is not followed again, so loops end by themselves; an alias that leads nowhere else is
// an error, as is one that leads too far.
#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/directory_search.h"
#include "services/mailbox/directory_store.h"
#include "services/mailbox/recipient_lookup.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;
using Kind = RecipientEntry::Kind;

constexpr std::size_t kBatch = 1000;
// The lowest id is the oldest: who signed up.
constexpr char kFirstAccount[] =
    "SELECT c.account_id, (SELECT min(a.address) FROM directory.address a"
    "  WHERE a.tenant_id = c.tenant_id AND a.account_id = c.account_id)"
    " FROM directory.account c WHERE c.tenant_id = $1 AND NOT c.disabled"
    " ORDER BY c.account_id LIMIT 1";

// RFC 5321 section 4.5.1 and RFC 2142 section 4.
bool IsAdministrative(const DirectoryAddress& address, std::string_view separators) {
  const auto matches = [](std::string_view local) {
    return local == "postmaster" || local == "abuse";
  };
  if (matches(address.local)) return true;
  const std::vector<DirectoryAddress::Tagged> tagged = address.WithoutTag(separators);
  return std::any_of(tagged.begin(), tagged.end(),
                     [&](const DirectoryAddress::Tagged& t) { return matches(t.base); });
}

Resolution::Target TargetOf(const RecipientEntry& entry) {
  Resolution::Target target(entry.account, entry.tagged);
  target.room = entry.room;
  return target;
}

Resolution::Kind KindOf(const std::vector<Resolution::Target>& targets) {
  return std::any_of(targets.begin(), targets.end(),
                     [](const Resolution::Target& t) { return t.is_list; })
             ? Resolution::Kind::kList
             : Resolution::Kind::kLocal;
}

}  // namespace

// `entry` and `search` belong to Follow, which awaits this.
Task<absl::Status> DirectoryStore::Visit(RecipientEntry& entry, const std::string& given,
                                         Search& search) {
  if (entry.kind == Kind::kForeign || entry.tenant != search.tenant) {
    search.targets.emplace_back(AccountId(), given);
    co_return absl::OkStatus();
  }
  if (entry.domain_suspended || entry.disabled) {
    search.any_disabled = true;
    co_return absl::OkStatus();
  }
  // An alias of a domain, or a tag, may be another name of what was seen.
  const bool is_new = entry.address == entry.tagged || search.seen.insert(entry.address).second;
  std::vector<std::string> leads_to;
  switch (entry.kind) {
    case Kind::kAccount:
      if (search.accounts.insert(entry.account).second) search.targets.push_back(TargetOf(entry));
      break;
    case Kind::kAlias:
      if (is_new) leads_to = std::move(entry.targets);
      break;
    case Kind::kList:
      if (!search.expand_lists) {
        search.targets.emplace_back(AccountId(), entry.address);
        search.targets.back().is_list = true;
      } else if (is_new) {
        absl::StatusOr<std::vector<std::string>> members =
            co_await MembersOf(search.tenant, entry.address);
        if (!members.ok()) co_return members.status();
        leads_to = *std::move(members);
      }
      break;
    case Kind::kUnknown:
      if (!entry.catch_all.empty() && !search.seen.contains(entry.catch_all)) {
        leads_to.push_back(std::move(entry.catch_all));
      }
      break;
    case Kind::kForeign:
      break;
  }
  std::move(leads_to.begin(), leads_to.end(), std::back_inserter(search.next));
  co_return absl::OkStatus();
}

Task<absl::Status> DirectoryStore::Follow(std::vector<std::string> names, Search& search) {
  for (int depth = 1; !names.empty(); ++depth) {
    if (depth > kMaxAliasDepth) {
      search.too_deep = true;
      break;
    }
    for (std::size_t begin = 0; begin < names.size(); begin += kBatch) {
      std::vector<DirectoryAddress> addresses;
      std::vector<std::string> given;
      for (std::size_t i = begin; i < std::min(begin + kBatch, names.size()); ++i) {
        absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(names[i]);
        if (!parsed.ok()) continue;
        if (!search.seen.insert(parsed->ToString()).second) {
          search.looped = true;
          continue;
        }
        addresses.push_back(*std::move(parsed));
        given.push_back(std::move(names[i]));
      }
      if (search.seen.size() > search.limit) co_return MakeFailure(Failure::kTooManyRecipients);
      if (addresses.empty()) continue;
      absl::StatusOr<std::vector<RecipientEntry>> entries =
          co_await LookUpRecipients(database_, options_.tag_separators, std::move(addresses));
      if (!entries.ok()) co_return entries.status();
      for (std::size_t i = 0; i < entries->size(); ++i) {
        absl::Status visited = co_await Visit((*entries)[i], given[i], search);
        if (!visited.ok()) co_return visited;
      }
    }
    names = std::exchange(search.next, {});
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<Resolution>> DirectoryStore::Resolve(std::string address) {
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return parsed.status();
  const bool administrative = IsAdministrative(*parsed, options_.tag_separators);
  std::vector<DirectoryAddress> asked(1, *parsed);
  absl::StatusOr<std::vector<RecipientEntry>> entries =
      co_await LookUpRecipients(database_, options_.tag_separators, std::move(asked));
  if (!entries.ok()) co_return entries.status();
  RecipientEntry& first = entries->front();
  Resolution resolution;
  if (first.kind == Kind::kForeign) co_return resolution;
  resolution.tenant = first.tenant;
  if (administrative) {
    // Who is to be told of trouble must be reachable also when the domain is in it.
    if (first.kind == Kind::kUnknown) first.catch_all.clear();
  } else if (first.domain_suspended) {
    resolution.kind = Resolution::Kind::kDomainSuspended;
    co_return resolution;
  }

  Search search(first.tenant, kMaxTargets);
  search.seen.insert(parsed->ToString());
  search.seen.insert(first.address);
  std::vector<std::string> names;
  switch (first.kind) {
    case Kind::kAccount:
      search.any_disabled = first.disabled;
      if (!first.disabled) search.targets.push_back(TargetOf(first));
      break;
    case Kind::kList:
      search.targets.emplace_back(AccountId(), first.address);
      search.targets.back().is_list = true;
      break;
    case Kind::kAlias:
      names = std::move(first.targets);
      break;
    case Kind::kUnknown:
      if (!first.catch_all.empty()) names.push_back(first.catch_all);
      break;
    case Kind::kForeign:
      break;
  }
  absl::Status status = co_await Follow(std::move(names), search);
  if (!status.ok() && !administrative) co_return status;
  if (!search.targets.empty()) {
    resolution.kind = KindOf(search.targets);
    resolution.targets = std::move(search.targets);
    co_return resolution;
  }
  if (administrative) {
    absl::StatusOr<Resolution> fallback =
        co_await ResolveAdministrative(first.tenant, std::move(first.postmaster));
    co_return fallback;
  }
  // The alias leads to itself, or too far; or all it leads to is gone.
  if (search.too_deep || search.looped) co_return MakeFailure(Failure::kMailLoop);
  resolution.kind = search.any_disabled ? Resolution::Kind::kDisabled
                                        : Resolution::Kind::kNoSuchRecipient;
  co_return resolution;
}

Task<absl::StatusOr<Resolution>> DirectoryStore::ResolveAdministrative(TenantId tenant,
                                                                       std::string named) {
  Resolution resolution;
  resolution.tenant = tenant;
  if (!named.empty()) {
    Search search(tenant, kMaxTargets);
    std::vector<std::string> names(1, std::move(named));
    const absl::Status status = co_await Follow(std::move(names), search);
    if (status.ok() && !search.targets.empty()) {
      resolution.kind = KindOf(search.targets);
      resolution.targets = std::move(search.targets);
      co_return resolution;
    }
  }
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(tenant, kFirstAccount, Params::Of(tenant));
  if (!row.ok()) co_return row.status();
  resolution.kind = Resolution::Kind::kNoSuchRecipient;
  if (row->empty()) co_return resolution;
  resolution.kind = Resolution::Kind::kLocal;
  resolution.targets.emplace_back(AccountId(row->Int(0, 0)), row->Text(0, 1));
  co_return resolution;
}

}  // namespace posthorn::mailbox
