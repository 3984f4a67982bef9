#include "services/mailbox/message_places.h"

#include <algorithm>
#include <utility>

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

// So few are looked up without asking how large the mailbox is.
constexpr std::size_t kFew = 200;
// Looking one up costs as much as going past so many.
constexpr std::int64_t kCost = 16;

#define POSTHORN_OWN_MAILBOX                                  \
  "(SELECT o.mailbox_id FROM mailbox.mailbox o"               \
  " WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.mailbox_id = $3)"

constexpr char kCountMessages[] =
    "SELECT messages FROM mailbox.mailbox"
    " WHERE tenant_id = $1 AND account_id = $2 AND mailbox_id = $3";
constexpr char kSelectAll[] =
    "SELECT e.uid, e.email_id FROM mailbox.entry e WHERE e.tenant_id = $1"
    " AND e.mailbox_id = " POSTHORN_OWN_MAILBOX " ORDER BY e.uid";
// The subselect with OR stays one, and is looked up by hash.
constexpr char kSelectSome[] =
    "SELECT e.uid, e.email_id FROM mailbox.entry e WHERE e.tenant_id = $1"
    " AND e.mailbox_id = " POSTHORN_OWN_MAILBOX
    " AND (e.email_id > $4 OR e.email_id IN (SELECT unnest($5::bigint[]))) ORDER BY e.uid";
// Most messages are where they were delivered, or not there any more: a UID never comes again. The
// others have come by COPY, MOVE or otherwise, and have an index. The ORDER BYs say which one to use.
constexpr char kLookUp[] =
    "SELECT p.uid, p.email_id FROM ("
    " SELECT e.uid, e.email_id FROM ("
    "   (SELECT email_id, home_uid FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    "     AND email_id > $4 AND home_id = " POSTHORN_OWN_MAILBOX " ORDER BY email_id OFFSET 0)"
    "   UNION ALL"
    "   (SELECT m.email_id, m.home_uid FROM unnest($5::bigint[]) k (id) CROSS JOIN LATERAL ("
    "     SELECT email_id, home_uid FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    "      AND email_id = k.id AND home_id = " POSTHORN_OWN_MAILBOX " OFFSET 0) m)) h"
    "  CROSS JOIN LATERAL (SELECT uid, email_id FROM mailbox.entry WHERE tenant_id = $1"
    "   AND mailbox_id = " POSTHORN_OWN_MAILBOX " AND uid = h.home_uid AND NOT moved OFFSET 0) e"
    " UNION ALL"
    " (SELECT uid, email_id FROM mailbox.entry WHERE tenant_id = $1"
    "   AND mailbox_id = " POSTHORN_OWN_MAILBOX " AND email_id > $4 AND moved"
    "  ORDER BY email_id OFFSET 0)"
    " UNION ALL"
    " (SELECT e.uid, e.email_id FROM unnest($5::bigint[]) k (id) CROSS JOIN LATERAL ("
    "   SELECT uid, email_id FROM mailbox.entry WHERE tenant_id = $1"
    "    AND mailbox_id = " POSTHORN_OWN_MAILBOX " AND email_id = k.id AND moved"
    "   ORDER BY email_id OFFSET 0) e)) p ORDER BY p.uid";

}  // namespace

Task<absl::StatusOr<std::vector<MessagePlace>>> FindPlaces(
    postgres::Database& database, Account account, MailboxId mailbox, std::int64_t after,
    std::optional<std::vector<std::int64_t>> emails) {
  Params params = Params::Of(account.tenant, account.account, mailbox);
  const char* sql = kSelectAll;
  if (emails.has_value()) {
    // Those above are found anyhow.
    emails->erase(std::upper_bound(emails->begin(), emails->end(), after), emails->end());
    sql = kLookUp;
    if (emails->size() > kFew) {
      absl::StatusOr<Result> count =
          co_await database.QueryFor(account.tenant, kCountMessages, params);
      if (!count.ok()) co_return count.status();
      if (count->empty()) co_return std::vector<MessagePlace>();
      const auto size = static_cast<std::int64_t>(emails->size());
      if (size * kCost > count->Int(0, 0)) sql = kSelectSome;
    }
    params.Add(after).AddInts(*emails);
  }
  absl::StatusOr<Result> rows =
      co_await database.QueryFor(account.tenant, sql, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<MessagePlace> places(static_cast<std::size_t>(rows->rows()));
  for (int i = 0; i < rows->rows(); ++i) {
    places[static_cast<std::size_t>(i)].uid = static_cast<Uid>(rows->Int(i, 0));
    places[static_cast<std::size_t>(i)].email_id = rows->Int(i, 1);
  }
  co_return places;
}

}  // namespace posthorn::mailbox
