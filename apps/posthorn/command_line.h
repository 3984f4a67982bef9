#ifndef POSTHORN_APPS_POSTHORN_COMMAND_LINE_H_
#define POSTHORN_APPS_POSTHORN_COMMAND_LINE_H_

#include <optional>
#include <string>
#include <vector>

namespace posthorn::app {

enum class Command {
  kServe,
  kGateway,
  kQueue,
  kDelivery,
  kMailbox,
  kMigrate,
  kCheck,
  kFence,
  kConfigCheck,
  kConfigPrint,
  kHealthCheck,
  kAllInOne,  // internal: what serve's supervisor executes
};

struct Invocation {
  Command command = Command::kServe;
  std::string config_file;
  std::string data_dir;  // empty: the configuration's
  std::vector<std::string> overrides;
  // migrate: makes this a login role that may take on the services' roles. Empty: none.
  std::string login_role;
  // Internal: descriptors left open over exec. The configuration in force, and listening sockets.
  int config_fd = -1;
  std::vector<int> socket_fds;
  int http_fd = -1;
};

// Reads the command line. Without a result the process is to end with `exit_status`: help was
// printed, or what is wrong.
std::optional<Invocation> ParseCommandLine(int argc, char** argv, int& exit_status);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_COMMAND_LINE_H_
