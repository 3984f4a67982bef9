#ifndef POSTHORN_SERVICES_MAILBOX_DIRECTORY_SEARCH_H_
#define POSTHORN_SERVICES_MAILBOX_DIRECTORY_SEARCH_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "services/mailbox/directory_store.h"

namespace posthorn::mailbox {

// What DirectoryStore::Follow has found so far, within one tenant.
struct DirectoryStore::Search {
  Search(TenantId tenant_in, std::size_t limit_in) : tenant(tenant_in), limit(limit_in) {}

  const TenantId tenant;
  const std::size_t limit;    // of `seen`
  bool expand_lists = false;  // else a list is a target

  absl::flat_hash_set<std::string> seen;
  absl::flat_hash_set<AccountId> accounts;
  std::vector<Resolution::Target> targets;
  std::vector<std::string> next;  // to be looked up after those of this depth
  bool too_deep = false;
  bool looped = false;  // came to a name again
  bool any_disabled = false;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_DIRECTORY_SEARCH_H_
