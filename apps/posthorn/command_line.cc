#include "apps/posthorn/command_line.h"

#include <CLI/CLI.hpp>

namespace posthorn::app {
namespace {

void AddConfigOptions(CLI::App& command, Invocation& invocation) {
  command.add_option("--config", invocation.config_file, "Configuration file (YAML)");
  command.add_option("--data-dir", invocation.data_dir,
                     "Where data lies; wins over data_dir in the configuration");
  // One value an occurrence, commas and brackets included.
  command.add_option("--set", invocation.overrides, "One setting: gateway.api_port=2900; repeatable")
      ->allow_extra_args(false)
      ->type_size(1)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

std::optional<Invocation> ParseCommandLine(int argc, char** argv, int& exit_status) {
  Invocation invocation;
  CLI::App app("Posthorn, a multi-tenant mail platform", "posthorn");
  app.require_subcommand(1);
  app.set_version_flag("--version", "posthorn 0.1.0");

  struct Entry {
    Command command;
    const char* name;
    const char* help;
  };
  constexpr Entry kEntries[] = {
      {Command::kServe, "serve",
       "Run everything in one process, with a private PostgreSQL and Redis unless configured"},
      {Command::kGateway, "gateway", "Run the gateway service: SMTP, IMAP, POP3 and the API"},
      {Command::kQueue, "queue", "Run the queue service"},
      {Command::kDelivery, "delivery", "Run the delivery service"},
      {Command::kMailbox, "mailbox", "Run the mailbox service"},
      {Command::kMigrate, "migrate", "Bring the database's schema up to date"},
      {Command::kCheck, "check",
       "Look for contradictions in the mailbox store: orphans, wrong counts; status 1 if there are "
       "any"},
      {Command::kFence, "fence",
       "After the database was restored to an earlier point, and before the services are started: "
       "lets nothing of the time that is lost be taken for what comes"},
      {Command::kHealthCheck, "healthcheck",
       "Ask the running process at http.port whether it is ready; status 0 if so"},
  };
  for (const Entry& entry : kEntries) {
    CLI::App* command = app.add_subcommand(entry.name, entry.help);
    AddConfigOptions(*command, invocation);
    command->callback([&invocation, value = entry.command] { invocation.command = value; });
    if (entry.command == Command::kMigrate) {
      command->add_option("--login-role", invocation.login_role,
                          "Also make this a login role that may take on the services' roles");
    }
    if (entry.command == Command::kMigrate || entry.command == Command::kFence) {
      command->add_option("--config-fd", invocation.config_fd)->group("");
    }
  }
  CLI::App* config = app.add_subcommand("config", "Look at the configuration");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Say whether the configuration is good");
  AddConfigOptions(*check, invocation);
  check->callback([&invocation] { invocation.command = Command::kConfigCheck; });
  CLI::App* print = config->add_subcommand("print", "Print what is in force, without secrets");
  AddConfigOptions(*print, invocation);
  print->callback([&invocation] { invocation.command = Command::kConfigPrint; });

  CLI::App* all = app.add_subcommand("all-in-one")->group("");
  AddConfigOptions(*all, invocation);
  all->add_option("--config-fd", invocation.config_fd)->required();
  all->add_option("--socket-fds", invocation.socket_fds)->required()->delimiter(',');
  all->add_option("--http-fd", invocation.http_fd)->required();
  all->callback([&invocation] { invocation.command = Command::kAllInOne; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return invocation;
}

}  // namespace posthorn::app
