#include "services/mailbox/recipient_lookup.h"

#include <algorithm>
#include <utility>

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr char kLookupRecipients[] =
    "SELECT n, tenant_id, domain, suspended, catch_all, postmaster, address, account_id, targets,"
    " disabled, quota_bytes, used_bytes FROM lookup.recipients($1, $2) ORDER BY n";

// One local part that may be meant by the address at `index`.
struct Candidate {
  std::size_t index = 0;
  std::string tag;
};

void Fill(const Result& rows, int row, const DirectoryAddress& asked, const std::string& tag,
          RecipientEntry& entry) {
  entry.address = rows.Text(row, 6);
  entry.tag = tag;
  entry.tagged = asked.local + "@" + rows.Text(row, 2);
  if (!rows.IsNull(row, 8)) {
    entry.targets = rows.Texts(row, 8);
    entry.kind =
        entry.targets.empty() ? RecipientEntry::Kind::kList : RecipientEntry::Kind::kAlias;
    return;
  }
  entry.kind = RecipientEntry::Kind::kAccount;
  entry.account = AccountId(rows.Int(row, 7));
  entry.disabled = rows.Bool(row, 9);
  const std::int64_t quota = rows.Int(row, 10);
  if (quota > 0) {
    entry.room = static_cast<std::uint64_t>(std::max<std::int64_t>(0, quota - rows.Int(row, 11)));
  }
}

}  // namespace

Task<absl::StatusOr<std::vector<RecipientEntry>>> LookUpRecipients(
    postgres::Database& database, std::string_view tag_separators,
    std::vector<DirectoryAddress> addresses) {
  std::vector<RecipientEntry> entries(addresses.size());
  std::vector<Candidate> candidates;
  std::vector<std::string> domains;
  std::vector<std::string> locals;
  const auto add = [&](std::size_t index, const std::string& local, const std::string& tag) {
    Candidate candidate;
    candidate.index = index;
    candidate.tag = tag;
    candidates.push_back(std::move(candidate));
    domains.push_back(addresses[index].domain);
    locals.push_back(local);
  };
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    entries[i].address = addresses[i].ToString();
    add(i, addresses[i].local, std::string());
    for (const DirectoryAddress::Tagged& tagged : addresses[i].WithoutTag(tag_separators)) {
      add(i, tagged.base, tagged.tag);
    }
  }
  Params params;
  params.AddTexts(domains).AddTexts(locals);
  absl::StatusOr<Result> rows =
      co_await database.Query(std::vector<TenantId>(), kLookupRecipients, std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) {
    const auto n = static_cast<std::size_t>(rows->Int(row, 0)) - 1;
    if (n >= candidates.size()) co_return absl::InternalError("lookup.recipients: another row");
    const Candidate& candidate = candidates[n];
    RecipientEntry& entry = entries[candidate.index];
    if (entry.kind == RecipientEntry::Kind::kForeign) {
      entry.kind = RecipientEntry::Kind::kUnknown;
      entry.tenant = TenantId(rows->Int(row, 1));
      entry.domain_suspended = rows->Bool(row, 3);
      entry.catch_all = rows->Text(row, 4);
      entry.postmaster = rows->Text(row, 5);
      entry.address = addresses[candidate.index].local + "@" + rows->Text(row, 2);
      entry.tagged = entry.address;
    }
    if (entry.kind == RecipientEntry::Kind::kUnknown && !rows->IsNull(row, 6)) {
      Fill(*rows, row, addresses[candidate.index], candidate.tag, entry);
    }
  }
  co_return entries;
}

}  // namespace posthorn::mailbox
