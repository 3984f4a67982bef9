#ifndef POSTHORN_APPS_POSTHORNCTL_COMMAND_LINE_H_
#define POSTHORN_APPS_POSTHORNCTL_COMMAND_LINE_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "apps/posthornctl/options.h"

namespace posthorn::ctl {

class Session;

struct Invocation {
  Options options;
  std::string what;  // "tenant show acme", for errors
  std::function<absl::Status(Session&)> action;
};

// Without a result the process is to end with `exit_status`: help was printed, or what is wrong.
std::optional<Invocation> ParseCommandLine(int argc, char** argv, int& exit_status);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_COMMAND_LINE_H_
