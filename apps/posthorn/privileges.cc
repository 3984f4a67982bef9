#include "apps/posthorn/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/process.h"

namespace posthorn::app {

absl::StatusOr<std::optional<User>> UserToBecome(const std::string& name, bool create) {
  if (geteuid() != 0 || name.empty() || name == "root") return std::optional<User>();
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr && create) {
    const absl::Status made = RunToEnd(
        {"/usr/sbin/useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
         "/var/lib/posthorn", "--shell", "/usr/sbin/nologin", name});
    if (!made.ok()) {
      return absl::FailedPreconditionError(absl::StrCat("user: cannot create the user ", name, ": ",
                                                        std::string(made.message())));
    }
    entry = getpwnam(name.c_str());
  }
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat("user: there is no user ", name));
  }
  User user;
  user.name = name;
  user.uid = entry->pw_uid;
  user.gid = entry->pw_gid;
  return std::optional<User>(user);
}

absl::Status Become(const User& user) {
  if (initgroups(user.name.c_str(), user.gid) != 0 || setgid(user.gid) != 0 ||
      setuid(user.uid) != 0) {
    return ErrnoError(absl::StrCat("user: cannot become ", user.name));
  }
  if (user.uid != 0 && setuid(0) == 0) {
    return absl::InternalError("user: privileges could not be dropped for good");
  }
  return absl::OkStatus();
}

bool CanUse(const std::string& directory, const std::optional<User>& user) {
  if (!user.has_value()) return access(directory.c_str(), R_OK | W_OK | X_OK) == 0;
  // access(2) by another user needs to be that user.
  const pid_t child = fork();
  if (child == 0) {
    const bool can = Become(*user).ok() && access(directory.c_str(), R_OK | W_OK | X_OK) == 0;
    _exit(can ? 0 : 1);
  }
  int status = 1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string CurrentUserName() {
  const passwd* entry = getpwuid(geteuid());
  return entry != nullptr ? entry->pw_name : absl::StrCat(geteuid());
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (geteuid() == 0) {
    rlimit more = limit;
    more.rlim_max = std::max<rlim_t>(limit.rlim_max, 1 << 20);
    more.rlim_cur = more.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  }
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace posthorn::app
