#ifndef POSTHORN_SERVICES_DELIVERY_SMART_HOSTS_H_
#define POSTHORN_SERVICES_DELIVERY_SMART_HOSTS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "services/delivery/ports.h"
#include "services/delivery/route_table.h"

namespace posthorn::delivery {

// Whose mail it is that looks for its way.
struct Sender {
  Sender() = default;
  Sender(TenantId tenant_in, std::string reverse_path_in)
      : tenant(tenant_in), reverse_path(std::move(reverse_path_in)) {}
  TenantId tenant;
  std::string reverse_path;
};

// Through which servers the mail of a domain leaves, as the directory says. Answers are remembered
// for half a minute, and for an hour while the directory is away. Belongs to one executor.
class SmartHosts {
 public:
  SmartHosts(DirectoryPort& directory, const Clock& clock, int default_port)
      : directory_(directory), clock_(clock), default_port_(default_port) {}

  // In the order to try; none: by MX, also for the null path, which is nobody's. Temporary failure:
  // not known now, or what is set cannot be read.
  Task<absl::StatusOr<std::vector<HostPort>>> For(Sender sender);

 private:
  struct Known {
    std::vector<HostPort> hosts;
    absl::Time at;
  };

  DirectoryPort& directory_;
  const Clock& clock_;
  const int default_port_;
  absl::flat_hash_map<std::pair<TenantId, std::string>, Known> known_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_SMART_HOSTS_H_
