#include "services/mailbox/store_check.h"

#include <utility>

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr char kTenants[] = "SELECT lookup.tenants()";

struct Check {
  const char* what;
  const char* sql;  // counts what is wrong in tenant $1
};

constexpr Check kChecks[] = {
    {"bodies with a wrong count of references",
     "SELECT count(*) FROM mailbox.body b LEFT JOIN (SELECT sha256, count(*) AS n"
     " FROM mailbox.email WHERE tenant_id = $1 GROUP BY sha256) e ON e.sha256 = b.sha256"
     " WHERE b.tenant_id = $1 AND b.refs <> coalesce(e.n, 0)"},
    {"orphaned bodies: nothing refers to them and nothing will collect them",
     "SELECT count(*) FROM mailbox.body b WHERE b.tenant_id = $1 AND b.refs <= 0"
     " AND b.marked_at IS NULL"},
    {"bodies that are used and marked to be collected",
     "SELECT count(*) FROM mailbox.body b WHERE b.tenant_id = $1 AND b.refs > 0"
     " AND b.marked_at IS NOT NULL"},
    {"bodies without all of their content",
     "SELECT count(*) FROM mailbox.body b LEFT JOIN (SELECT chunks_id, count(*) AS n"
     " FROM mailbox.body_chunk WHERE tenant_id = $1 GROUP BY chunks_id) c"
     " ON c.chunks_id = b.chunks_id WHERE b.tenant_id = $1 AND CASE WHEN b.chunks_id IS NULL"
     " THEN b.data IS NULL ELSE coalesce(c.n, 0) <> (b.size + 262143) / 262144 END"},
    {"orphaned pieces of bodies",
     "SELECT count(*) FROM mailbox.body_chunk c WHERE c.tenant_id = $1"
     " AND NOT EXISTS (SELECT FROM mailbox.body b WHERE b.tenant_id = $1"
     "                 AND b.chunks_id = c.chunks_id)"
     " AND NOT EXISTS (SELECT FROM mailbox.body_upload u WHERE u.tenant_id = $1"
     "                 AND u.chunks_id = c.chunks_id)"},
    {"messages whose body is missing",
     "SELECT count(*) FROM mailbox.email e WHERE e.tenant_id = $1 AND NOT EXISTS"
     " (SELECT FROM mailbox.body b WHERE b.tenant_id = $1 AND b.sha256 = e.sha256)"},
    {"messages with a wrong count of mailboxes",
     "SELECT count(*) FROM mailbox.email m LEFT JOIN (SELECT k.account_id, k.email_id, count(*) AS "
     "n"
     "  FROM (SELECT b.account_id, e.email_id FROM mailbox.entry e JOIN mailbox.mailbox b"
     "         ON b.tenant_id = $1 AND b.mailbox_id = e.mailbox_id WHERE e.tenant_id = $1"
     "        UNION ALL SELECT account_id, email_id FROM mailbox.deleted WHERE tenant_id = $1) k"
     "  GROUP BY 1, 2) r ON r.account_id = m.account_id AND r.email_id = m.email_id"
     " WHERE m.tenant_id = $1 AND m.entries <> coalesce(r.n, 0)"},
    {"entries of mailboxes without a message",
     "SELECT count(*) FROM mailbox.entry e LEFT JOIN mailbox.mailbox b ON b.tenant_id = $1"
     " AND b.mailbox_id = e.mailbox_id LEFT JOIN mailbox.email m ON m.tenant_id = $1"
     " AND m.account_id = b.account_id AND m.email_id = e.email_id"
     " WHERE e.tenant_id = $1 AND m.email_id IS NULL"},
    {"deleted messages without a message",
     "SELECT count(*) FROM mailbox.deleted d LEFT JOIN mailbox.email m ON m.tenant_id = $1"
     " AND m.account_id = d.account_id AND m.email_id = d.email_id"
     " WHERE d.tenant_id = $1 AND m.email_id IS NULL"},
    {"mailboxes with wrong counts",
     "SELECT count(*) FROM mailbox.mailbox m LEFT JOIN (SELECT e.mailbox_id, count(*) AS n,"
     "  count(*) FILTER (WHERE e.flags & 1 = 0) AS unseen, sum(e.size)::bigint AS size,"
     "  count(*) FILTER (WHERE e.uid < b.recent_uid) AS old,"
     "  max(e.uid) AS uid, max(e.modseq) AS modseq FROM mailbox.entry e"
     "  JOIN mailbox.mailbox b ON b.tenant_id = $1 AND b.mailbox_id = e.mailbox_id"
     "  WHERE e.tenant_id = $1 GROUP BY e.mailbox_id) e"
     " ON e.mailbox_id = m.mailbox_id WHERE m.tenant_id = $1 AND"
     " (m.messages <> coalesce(e.n, 0) OR m.unseen <> coalesce(e.unseen, 0)"
     "  OR m.old_messages <> coalesce(e.old, 0)"
     "  OR m.size <> coalesce(e.size, 0) OR m.uid_next <= coalesce(e.uid, 0)"
     "  OR m.highest_modseq < coalesce(e.modseq, 0))"},
    {"accounts with a wrong use",
     "SELECT count(*) FROM mailbox.account a LEFT JOIN (SELECT account_id,"
     "  sum(messages)::bigint AS n, sum(size)::bigint AS size FROM mailbox.mailbox"
     "  WHERE tenant_id = $1 GROUP BY account_id) m ON m.account_id = a.account_id"
     " WHERE a.tenant_id = $1 AND (a.messages <> coalesce(m.n, 0)"
     "  OR a.used_bytes <> coalesce(m.size, 0))"},
    {"limits of the tenant with a wrong use",
     "SELECT count(*) FROM mailbox.tenant_quota q WHERE q.tenant_id = $1"
     " AND (q.used_bytes, q.messages) <> (SELECT coalesce(sum(a.used_bytes), 0),"
     "  coalesce(sum(a.messages), 0) FROM mailbox.account a WHERE a.tenant_id = $1)"},
};

}  // namespace

absl::StatusOr<std::vector<Finding>> CheckStore(postgres::Connection& connection) {
  const absl::StatusOr<Result> tenants = connection.Exec(kTenants);
  if (!tenants.ok()) return tenants.status();
  std::vector<Finding> findings;
  for (int i = 0; i < tenants->rows(); ++i) {
    const TenantId tenant[] = {TenantId(tenants->Int(i, 0))};
    for (const Check& check : kChecks) {
      const absl::StatusOr<Result> row =
          connection.ExecForTenants(tenant, check.sql, Params::Of(tenant[0]));
      if (!row.ok()) return row.status();
      if (row->Int(0, 0) == 0) continue;
      Finding& finding = findings.emplace_back();
      finding.tenant = tenant[0];
      finding.count = row->Int(0, 0);
      finding.what = check.what;
    }
  }
  return findings;
}

}  // namespace posthorn::mailbox
