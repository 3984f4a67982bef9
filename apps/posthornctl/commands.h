#ifndef POSTHORN_APPS_POSTHORNCTL_COMMANDS_H_
#define POSTHORN_APPS_POSTHORNCTL_COMMANDS_H_

// How the command line is made up; includes CLI11, so only for command_line.cc and its parts.

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/command_line.h"

namespace posthorn::ctl {

// What the commands take; one set, because one command is given.
struct Arguments {
  std::string name;
  std::string tenant;
  std::string domain;
  std::string description;
  std::vector<std::string> targets;
  std::vector<std::string> services;
  std::string required;
  bool hash = false;
  std::uint64_t quota = 0;
  DomainSettings domain_settings;
  AccountSettings account_settings;
  ListSettings list_settings;
  std::string file;
  std::int64_t id = 0;
  QueueSelection selection;
  TenantSettings tenant_settings;
  MailSelection mail_selection;
  MailTransferSettings transfer;
};

class Commands {
 public:
  Commands(CLI::App& app, Invocation& invocation, std::shared_ptr<Arguments> arguments)
      : app_(app), invocation_(invocation), arguments_(std::move(arguments)) {}

  CLI::App* Noun(const char* name, const char* help) { return Noun(&app_, name, help); }
  CLI::App* Noun(CLI::App* above, const char* name, const char* help) {
    CLI::App* noun = above->add_subcommand(name, help);
    noun->require_subcommand(1);
    noun->fallthrough();
    return noun;
  }

  using Run = absl::Status (*)(Session&, const Arguments&);
  CLI::App* Verb(CLI::App* noun, const char* name, const char* help, Run run) {
    CLI::App* verb = noun->add_subcommand(name, help);
    verb->fallthrough();
    verb->callback([this, noun, verb, run] {
      invocation_.what = verb->get_name();
      for (CLI::App* above = noun; above != &app_; above = above->get_parent()) {
        invocation_.what = above->get_name() + " " + invocation_.what;
      }
      invocation_.action = [arguments = arguments_, run](Session& session) {
        return run(session, *arguments);
      };
    });
    return verb;
  }

  // list, show NAME and remove NAME, which most nouns have.
  void NameOf(CLI::App* verb, const char* label) {
    verb->add_option(label, arguments_->name)->required();
  }
  Arguments& arguments() { return *arguments_; }

 private:
  CLI::App& app_;
  Invocation& invocation_;
  const std::shared_ptr<Arguments> arguments_;
};

// mail_commands.cc: message and mailbox.
void AddMailCommands(Commands& commands);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_COMMANDS_H_
