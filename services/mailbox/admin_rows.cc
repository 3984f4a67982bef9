#include "services/mailbox/admin_rows.h"

#include <algorithm>

#include "lib/base/failure.h"
#include "lib/postgres/status.h"

namespace posthorn::mailbox {

DomainRecord DomainOf(const postgres::Result& result, int row) {
  DomainRecord record;
  record.tenant = TenantId(result.Int(row, 0));
  record.tenant_name = result.Text(row, 1);
  record.name = result.Text(row, 2);
  record.created_at = result.Time(row, 3);
  record.alias_of = result.Text(row, 4);
  record.suspended = result.Bool(row, 5);
  record.catch_all = result.Text(row, 6);
  record.postmaster = result.Text(row, 7);
  record.smart_hosts = result.Texts(row, 8);
  record.smart_host_username = result.Text(row, 9);
  record.smart_host_tls = result.Text(row, 10);
  return record;
}

int LimitOf(const Page& page) {
  return page.limit <= 0 ? AdminStore::kMaxPage : std::min(page.limit, AdminStore::kMaxPage);
}

absl::Status Taken(const absl::Status& status) {
  return postgres::SqlState(status) == postgres::kUniqueViolation
             ? MakeFailure(Failure::kAlreadyExists)
             : status;
}

}  // namespace posthorn::mailbox
