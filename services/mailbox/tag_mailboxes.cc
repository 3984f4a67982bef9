#include "services/mailbox/tag_mailboxes.h"

#include <utility>
#include <vector>

#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/address_rules.h"
#include "services/mailbox/mailbox_name.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr char kSelectNames[] =
    "SELECT c.tag_mode, a.address FROM directory.account c"
    " LEFT JOIN directory.address a ON a.tenant_id = c.tenant_id AND a.address = ANY ($3)"
    "  AND a.account_id = c.account_id"
    " WHERE c.tenant_id = $1 AND c.account_id = $2";
constexpr char kSelectMailbox[] =
    "SELECT mailbox_id, special_use FROM mailbox.mailbox"
    " WHERE tenant_id = $1 AND account_id = $2 AND lower(name) = lower($3)"
    " ORDER BY name = $3 DESC, name LIMIT 1";
constexpr char kCountMailboxes[] =
    "SELECT count(*) FROM mailbox.mailbox WHERE tenant_id = $1 AND account_id = $2";

}  // namespace

TagMailboxes::TagMailboxes(postgres::Database& database, MailboxStore& mailboxes,
                           std::string separators)
    : database_(database), mailboxes_(mailboxes), separators_(std::move(separators)) {}

// Empty: no tag, or the account does not want it.
Task<absl::StatusOr<std::string>> TagMailboxes::TagFor(Account account, std::string address,
                                                       bool& create) {
  const absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return std::string();
  const std::vector<DirectoryAddress::Tagged> tagged = parsed->WithoutTag(separators_);
  if (tagged.empty()) co_return std::string();
  std::vector<std::string> names(1, parsed->ToString());
  for (const DirectoryAddress::Tagged& one : tagged) {
    names.push_back(one.base + "@" + parsed->domain);
  }
  Params params = Params::Of(account.tenant, account.account);
  params.AddTexts(names);
  absl::StatusOr<Result> rows =
      co_await database_.QueryFor(account.tenant, kSelectNames, std::move(params));
  if (!rows.ok()) co_return rows.status();
  if (rows->empty()) co_return std::string();
  const auto mode = static_cast<TagMode>(rows->Int(0, 0));
  if (mode == TagMode::kIgnore) co_return std::string();
  create = mode == TagMode::kCreate;
  // The first of the names, the longest, is the one that was meant.
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (int row = 0; row < rows->rows(); ++row) {
      if (rows->Bytes(row, 1) != names[i]) continue;
      co_return i == 0 ? std::string() : tagged[i - 1].tag;
    }
  }
  co_return std::string();
}

Task<absl::StatusOr<MailboxId>> TagMailboxes::FindByName(Account account, std::string name,
                                                         bool& exists) {
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      account.tenant, kSelectMailbox, Params::Of(account.tenant, account.account, name));
  if (!row.ok()) co_return row.status();
  exists = !row->empty();
  if (row->empty() || !row->Bytes(0, 1).empty()) co_return MailboxId();
  co_return MailboxId(row->Int(0, 0));
}

Task<absl::StatusOr<MailboxId>> TagMailboxes::Find(Account account, std::string address) {
  if (address.find_first_of(separators_) == std::string::npos) co_return MailboxId();
  bool create = false;
  absl::StatusOr<std::string> tag = co_await TagFor(account, std::move(address), create);
  if (!tag.ok()) co_return tag.status();
  if (tag->empty()) co_return MailboxId();
  const absl::StatusOr<std::string> name = CanonicalName(*tag);
  if (!name.ok()) co_return MailboxId();
  bool exists = false;
  absl::StatusOr<MailboxId> found = co_await FindByName(account, *name, exists);
  if (!found.ok() || exists || !create) co_return found;
  absl::StatusOr<Result> count = co_await database_.QueryFor(
      account.tenant, kCountMailboxes, Params::Of(account.tenant, account.account));
  if (!count.ok()) co_return count.status();
  if (count->Int(0, 0) >= kMaxMailboxes) co_return MailboxId();
  const absl::StatusOr<MailboxInfo> created = co_await mailboxes_.Create(account, *name, "");
  if (created.ok()) co_return created->id;
  // Another delivery was faster; or the account is gone, which the delivery itself will find.
  if (!IsPermanent(created.status())) co_return created.status();
  absl::StatusOr<MailboxId> again = co_await FindByName(account, *name, exists);
  co_return again;
}

}  // namespace posthorn::mailbox
