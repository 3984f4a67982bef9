#ifndef POSTHORN_SERVICES_MAILBOX_ADMIN_ROWS_H_
#define POSTHORN_SERVICES_MAILBOX_ADMIN_ROWS_H_

#include "lib/postgres/result.h"
#include "services/mailbox/admin_store.h"

// What the files of AdminStore share: columns, how their rows are read, errors.
namespace posthorn::mailbox {

// For DomainOf.
#define POSTHORN_DOMAIN_COLUMNS                                                                  \
  "SELECT d.tenant_id, t.name, d.name, d.created_at, d.alias_of, d.suspended, d.catch_all,"      \
  " d.postmaster, d.smart_hosts, d.smart_host_username, d.smart_host_tls FROM directory.domain d" \
  " JOIN directory.tenant t ON t.tenant_id = d.tenant_id "
DomainRecord DomainOf(const postgres::Result& result, int row);

// Records a page has.
int LimitOf(const Page& page);

// kAlreadyExists where a unique value is taken; else the status itself.
absl::Status Taken(const absl::Status& status);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADMIN_ROWS_H_
