#include "services/gateway/api/admin_token.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {

absl::StatusOr<std::string> ReadAdminToken(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("cannot read ", file, ": ", std::strerror(errno)));
  }
  // Its group may read it: that is how Kubernetes gives a secret to an unprivileged process.
  if ((info.st_mode & 037) != 0) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat(file, " may be read by others; its mode must be 0600 or 0440"));
  }
  std::ifstream stream(file);
  std::string token;
  std::getline(stream, token);
  absl::StripAsciiWhitespace(&token);
  if (token.empty()) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat(file, " cannot be read or holds no token"));
  }
  return token;
}

}  // namespace posthorn::gateway
