#ifndef POSTHORN_APPS_POSTHORN_PRIVILEGES_H_
#define POSTHORN_APPS_POSTHORN_PRIVILEGES_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Who this process runs as. Everything here needs a process without threads.
namespace posthorn::app {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Whom to become: `name`, when started as root; it is made as a system user if it doesn't exist
// and `create` is set. Nothing when not root, or when `name` is empty or "root".
absl::StatusOr<std::optional<User>> UserToBecome(const std::string& name, bool create);

// For good, with all groups. Then checks that there is no way back.
absl::Status Become(const User& user);

// Whether `user` can enter the directory and write in it (nobody: this process itself).
bool CanUse(const std::string& directory, const std::optional<User>& user);

// The name of the user this process runs as; the number if it has none.
std::string CurrentUserName();

// As many descriptors as the system lets this process have.
void RaiseDescriptorLimit();

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_PRIVILEGES_H_
