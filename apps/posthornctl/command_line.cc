#include "apps/posthornctl/command_line.h"

#include "apps/posthornctl/commands.h"

namespace posthorn::ctl {
namespace {

void AddTenantCommands(Commands& c) {
  CLI::App* noun = c.Noun("tenant", "Customers: everything else belongs to one");
  c.NameOf(c.Verb(noun, "add", "Add a tenant",
                  [](Session& s, const Arguments& a) { return AddTenant(s, a.name); }),
           "NAME");
  c.Verb(noun, "list", "List tenants",
         [](Session& s, const Arguments&) { return ListTenants(s); });
  c.NameOf(c.Verb(noun, "show", "Show a tenant",
                  [](Session& s, const Arguments& a) { return ShowTenant(s, a.name); }),
           "NAME");
  c.NameOf(c.Verb(noun, "remove", "Remove a tenant without domains",
                  [](Session& s, const Arguments& a) { return RemoveTenant(s, a.name); }),
           "NAME");
  CLI::App* set = c.Verb(noun, "set", "Limit what the accounts of a tenant hold together",
                         [](Session& s, const Arguments& a) {
                           return SetTenant(s, a.name, a.tenant_settings);
                         });
  c.NameOf(set, "NAME");
  TenantSettings& settings = c.arguments().tenant_settings;
  set->add_option("--quota", settings.quota_octets, "Octets; 0: no limit");
  set->add_option("--quota-messages", settings.quota_messages, "Messages; 0: no limit");
}

void AddDomainCommands(Commands& c) {
  CLI::App* noun = c.Noun("domain", "Domains that receive mail here");
  CLI::App* add = c.Verb(noun, "add", "Add a domain to a tenant",
                         [](Session& s, const Arguments& a) {
                           return AddDomain(s, a.tenant, a.name);
                         });
  c.NameOf(add, "NAME");
  add->add_option("--tenant", c.arguments().tenant, "Its tenant")->required();
  CLI::App* list =
      c.Verb(noun, "list", "List domains",
             [](Session& s, const Arguments& a) { return ListDomains(s, a.tenant); });
  list->add_option("--tenant", c.arguments().tenant, "Only this tenant's");
  c.NameOf(c.Verb(noun, "show", "Show a domain",
                  [](Session& s, const Arguments& a) { return ShowDomain(s, a.name); }),
           "NAME");
  c.NameOf(c.Verb(noun, "remove", "Remove a domain without accounts and aliases",
                  [](Session& s, const Arguments& a) { return RemoveDomain(s, a.name); }),
           "NAME");
  CLI::App* set = c.Verb(noun, "set", "Change settings of a domain",
                         [](Session& s, const Arguments& a) {
                           return SetDomain(s, a.name, a.domain_settings);
                         });
  c.NameOf(set, "NAME");
  DomainSettings& settings = c.arguments().domain_settings;
  set->add_option("--catch-all", settings.catch_all,
                  "Where mail for unknown names goes; none: it is refused");
  set->add_option("--postmaster", settings.postmaster,
                  "Where postmaster@ and abuse@ go; default: to the tenant's first account");
  set->add_option("--smart-host", settings.smart_hosts,
                  "Where its mail leaves, host or host:port, also after smtps://, in the order to "
                  "try; none: by MX. Repeatable")
      ->allow_extra_args(false);
  set->add_option("--smart-host-user", settings.smart_host_username,
                  "Log in there with this name; the password is read from the standard input")
      ->needs("--smart-host");
  set->add_option("--smart-host-tls", settings.smart_host_tls,
                  "The least of TLS there: required (any certificate) or verified")
      ->needs("--smart-host");
  CLI::Option* suspend =
      set->add_flag("--suspend", settings.suspend, "Take no mail and let nobody log in");
  set->add_flag("--resume", settings.resume, "The opposite")->excludes(suspend);

  CLI::App* alias = c.Noun(noun, "alias", "Other names of domains: x@alias is x@domain");
  CLI::App* add_alias = c.Verb(alias, "add", "Add a name", [](Session& s, const Arguments& a) {
    return AddDomainAlias(s, a.name, a.domain);
  });
  c.NameOf(add_alias, "ALIAS");
  add_alias->add_option("--of", c.arguments().domain, "The domain")->required();
  CLI::App* list_aliases =
      c.Verb(alias, "list", "List other names",
             [](Session& s, const Arguments& a) { return ListDomainAliases(s, a.domain); });
  list_aliases->add_option("--of", c.arguments().domain, "Only this domain's");
  c.NameOf(c.Verb(alias, "remove", "Remove a name",
                  [](Session& s, const Arguments& a) { return RemoveDomainAlias(s, a.name); }),
           "ALIAS");
}

void AddAccountCommands(Commands& c) {
  CLI::App* noun = c.Noun("account", "Mailboxes with a login");
  CLI::App* add = c.Verb(noun, "add", "Add an account; its password is read from standard input",
                         [](Session& s, const Arguments& a) {
                           return AddAccount(s, a.name, a.quota);
                         });
  c.NameOf(add, "ADDRESS");
  add->add_option("--quota", c.arguments().quota, "Octets it may hold; 0: no limit");
  CLI::App* list =
      c.Verb(noun, "list", "List accounts",
             [](Session& s, const Arguments& a) { return ListAccounts(s, a.domain); });
  list->add_option("--domain", c.arguments().domain, "Only this domain's");
  c.NameOf(c.Verb(noun, "show", "Show an account",
                  [](Session& s, const Arguments& a) { return ShowAccount(s, a.name); }),
           "ADDRESS");
  c.NameOf(c.Verb(noun, "remove", "Remove an account with all its mail",
                  [](Session& s, const Arguments& a) { return RemoveAccount(s, a.name); }),
           "ADDRESS");
  CLI::App* password = c.Verb(noun, "password", "Set a password, read from standard input",
                              [](Session& s, const Arguments& a) {
                                return a.hash ? SetPasswordHash(s, a.name)
                                              : SetPassword(s, a.name);
                              });
  c.NameOf(password, "ADDRESS");
  password->add_flag("--hash", c.arguments().hash,
                     "What is read is the hash of another system: bcrypt, SHA-crypt, yescrypt, "
                     "Argon2id, {SSHA}");
  CLI::App* require = c.Verb(noun, "require-app-passwords",
                             "Let application passwords only into the account, or the own one too",
                             [](Session& s, const Arguments& a) {
                               return RequireAppPasswords(s, a.name, a.required == "on");
                             });
  c.NameOf(require, "ADDRESS");
  require->add_option("STATE", c.arguments().required, "on or off")
      ->required()
      ->check(CLI::IsMember({"on", "off"}));
  CLI::App* set = c.Verb(noun, "set", "Change settings of an account",
                         [](Session& s, const Arguments& a) {
                           return SetAccount(s, a.name, a.account_settings);
                         });
  c.NameOf(set, "ADDRESS");
  AccountSettings& settings = c.arguments().account_settings;
  set->add_option("--quota", settings.quota_octets, "Octets it may hold; 0: no limit");
  set->add_option("--quota-messages", settings.quota_messages, "Messages it may hold; 0: no limit");
  set->add_option("--tags", settings.tags,
                  "What the tag of \"name+tag@\" does: everything goes to INBOX (ignore), into "
                  "the mailbox of that name if there is one (existing), or one is created (create)")
      ->check(CLI::IsMember({"ignore", "existing", "create"}));
  CLI::Option* suspend =
      set->add_flag("--suspend", settings.suspend, "Take no mail and refuse the login");
  set->add_flag("--resume", settings.resume, "The opposite")->excludes(suspend);
  c.NameOf(c.Verb(noun, "import",
                  "Add the accounts of a CSV file: address,password[,password_hash]",
                  [](Session& s, const Arguments& a) { return ImportAccounts(s, a.name); }),
           "FILE");
}

void AddAliasCommands(Commands& c) {
  CLI::App* noun = c.Noun("alias", "Addresses that lead to others");
  CLI::App* add = c.Verb(noun, "add", "Add an alias", [](Session& s, const Arguments& a) {
    return AddAlias(s, a.name, a.targets);
  });
  CLI::App* set = c.Verb(noun, "set", "Let an alias lead elsewhere instead",
                         [](Session& s, const Arguments& a) {
                           return SetAlias(s, a.name, a.targets);
                         });
  for (CLI::App* verb : {add, set}) {
    c.NameOf(verb, "ADDRESS");
    verb->add_option("TARGETS", c.arguments().targets, "Where it leads, here or elsewhere")
        ->required();
  }
  CLI::App* list =
      c.Verb(noun, "list", "List aliases",
             [](Session& s, const Arguments& a) { return ListAliases(s, a.domain); });
  list->add_option("--domain", c.arguments().domain, "Only this domain's");
  c.NameOf(c.Verb(noun, "show", "Show an alias",
                  [](Session& s, const Arguments& a) { return ShowAlias(s, a.name); }),
           "ADDRESS");
  c.NameOf(c.Verb(noun, "remove", "Remove an alias",
                  [](Session& s, const Arguments& a) { return RemoveAlias(s, a.name); }),
           "ADDRESS");
}

void AddListSettings(CLI::App* verb, ListSettings& settings, bool is_new) {
  CLI::Option* owners = verb->add_option("--owner", settings.owners,
                                         "Who owns it; bounces go to the first. Repeatable")
                            ->allow_extra_args(false);
  if (is_new) owners->required();
  verb->add_option("--post", settings.posting,
                   "Who may post besides the owners: anyone, accounts of the tenant (tenant), "
                   "members, owners, or those named by --sender (senders)")
      ->check(CLI::IsMember({"anyone", "tenant", "members", "owners", "senders"}));
  verb->add_option("--sender", settings.senders,
                   "May post with --post senders: an address, or @domain. Repeatable")
      ->allow_extra_args(false);
  verb->add_option("--visible", settings.visibility,
                   "Who sees the members besides the owners: owners, members, tenant")
      ->check(CLI::IsMember({"owners", "members", "tenant"}));
  verb->add_option("--description", settings.description, "What it is for");
}

void AddListCommands(Commands& c) {
  CLI::App* noun = c.Noun("list", "Distribution lists");
  ListSettings& settings = c.arguments().list_settings;
  CLI::App* add = c.Verb(noun, "add", "Add a list", [](Session& s, const Arguments& a) {
    return AddList(s, a.name, a.list_settings);
  });
  c.NameOf(add, "ADDRESS");
  AddListSettings(add, settings, true);
  CLI::App* list = c.Verb(noun, "list", "List lists", [](Session& s, const Arguments& a) {
    return ListLists(s, a.domain);
  });
  list->add_option("--domain", c.arguments().domain, "Only this domain's");
  c.NameOf(c.Verb(noun, "show", "Show a list",
                  [](Session& s, const Arguments& a) { return ShowList(s, a.name); }),
           "ADDRESS");
  CLI::App* set = c.Verb(noun, "set", "Change settings of a list",
                         [](Session& s, const Arguments& a) {
                           return SetList(s, a.name, a.list_settings);
                         });
  c.NameOf(set, "ADDRESS");
  AddListSettings(set, settings, false);
  c.NameOf(c.Verb(noun, "remove", "Remove a list; mail to it is refused from now on",
                  [](Session& s, const Arguments& a) { return RemoveList(s, a.name); }),
           "ADDRESS");

  CLI::App* members = c.Noun(noun, "members", "Who is on a list");
  c.NameOf(c.Verb(members, "list", "List the members",
                  [](Session& s, const Arguments& a) { return ShowListMembers(s, a.name); }),
           "ADDRESS");
  CLI::App* join = c.Verb(members, "add", "Add members", [](Session& s, const Arguments& a) {
    return AddListMembers(s, a.name, a.targets, a.file);
  });
  CLI::App* leave = c.Verb(members, "remove", "Remove members",
                           [](Session& s, const Arguments& a) {
                             return RemoveListMembers(s, a.name, a.targets, a.file);
                           });
  for (CLI::App* verb : {join, leave}) {
    c.NameOf(verb, "ADDRESS");
    verb->add_option("MEMBERS", c.arguments().targets, "Addresses, here or elsewhere");
    verb->add_option("--file", c.arguments().file, "A file with an address a line; -: the input");
  }
}

void AddKeyCommands(Commands& c) {
  CLI::App* noun = c.Noun("key", "API keys, for applications that send");
  CLI::App* add = c.Verb(noun, "add", "Make a key; its secret is shown once",
                         [](Session& s, const Arguments& a) {
                           return AddKey(s, a.tenant, a.description);
                         });
  add->add_option("--tenant", c.arguments().tenant, "Its tenant")->required();
  add->add_option("--description", c.arguments().description, "What it is for");
  CLI::App* list = c.Verb(noun, "list", "List keys", [](Session& s, const Arguments& a) {
    return ListKeys(s, a.tenant);
  });
  list->add_option("--tenant", c.arguments().tenant, "Only this tenant's");
  CLI::App* show = c.Verb(noun, "show", "Show a key", [](Session& s, const Arguments& a) {
    return ShowKey(s, a.id);
  });
  show->add_option("ID", c.arguments().id)->required();
  CLI::App* remove = c.Verb(noun, "remove", "Remove a key: it is refused from now on",
                            [](Session& s, const Arguments& a) { return RemoveKey(s, a.id); });
  remove->add_option("ID", c.arguments().id)->required();
}

void AddAppPasswordCommands(Commands& c) {
  CLI::App* noun = c.Noun("app-password", "Passwords for one program each, made here");
  CLI::App* add = c.Verb(noun, "add", "Make an application password; it is shown once",
                         [](Session& s, const Arguments& a) {
                           return AddAppPassword(s, a.name, a.description, a.services);
                         });
  c.NameOf(add, "ADDRESS");
  add->add_option("--description", c.arguments().description, "Which program has it");
  add->add_option("--service", c.arguments().services,
                  "What it is good for: smtp, imap, pop3; may be repeated; default: all");
  c.NameOf(c.Verb(noun, "list", "List the application passwords of an account",
                  [](Session& s, const Arguments& a) { return ListAppPasswords(s, a.name); }),
           "ADDRESS");
  CLI::App* show = c.Verb(noun, "show", "Show an application password",
                          [](Session& s, const Arguments& a) { return ShowAppPassword(s, a.id); });
  show->add_option("ID", c.arguments().id)->required();
  CLI::App* remove =
      c.Verb(noun, "remove", "Remove an application password: it is refused from now on",
             [](Session& s, const Arguments& a) { return RemoveAppPassword(s, a.id); });
  remove->add_option("ID", c.arguments().id)->required();
}

void AddLockoutCommands(Commands& c) {
  CLI::App* noun = c.Noun("lockout", "Who is locked out after too many failed logins");
  c.Verb(noun, "list", "List lock-outs",
         [](Session& s, const Arguments&) { return ListLockouts(s); });
  c.NameOf(c.Verb(noun, "clear", "End a lock-out and forget the failures",
                  [](Session& s, const Arguments& a) { return ClearLockout(s, a.name); }),
           "SUBJECT");
}

void AddQueueCommands(Commands& c) {
  CLI::App* noun = c.Noun("queue", "Mail that waits to be delivered");
  QueueSelection& selection = c.arguments().selection;
  const auto add_filters = [&selection](CLI::App* verb) {
    verb->add_option("--tenant", selection.tenant, "Only of this tenant");
    verb->add_option("--destination", selection.destination, "Only to this domain");
    verb->add_option("--sender", selection.sender, "Only from this reverse-path");
  };
  add_filters(c.Verb(noun, "list", "List queued messages", [](Session& s, const Arguments& a) {
    return ListQueue(s, a.selection);
  }));
  c.NameOf(c.Verb(noun, "show", "Show a queued message and its recipients",
                  [](Session& s, const Arguments& a) { return ShowQueued(s, a.name); }),
           "ID");
  CLI::App* retry = c.Verb(noun, "retry", "Try deferred mail again now",
                           [](Session& s, const Arguments& a) {
                             return RetryQueue(s, a.selection);
                           });
  CLI::App* cancel = c.Verb(noun, "cancel", "Drop waiting recipients, without telling the sender",
                            [](Session& s, const Arguments& a) {
                              return CancelQueue(s, a.selection);
                            });
  CLI::App* hold = c.Verb(noun, "hold", "Keep mail from being tried until it is released",
                          [](Session& s, const Arguments& a) { return HoldQueue(s, a.selection); });
  CLI::App* release = c.Verb(noun, "release", "Try held mail now",
                             [](Session& s, const Arguments& a) {
                               return ReleaseQueue(s, a.selection);
                             });
  CLI::App* bounce = c.Verb(noun, "bounce", "Return mail to its sender, with a notification",
                            [](Session& s, const Arguments& a) {
                              return BounceQueue(s, a.selection, a.description);
                            });
  bounce->add_option("--reason", c.arguments().description, "What the sender reads");
  CLI::App* reroute = c.Verb(noun, "reroute", "Send mail to other hosts than route or MX say",
                             [](Session& s, const Arguments& a) {
                               return RerouteQueue(s, a.selection, a.targets);
                             });
  reroute->add_option("--to", c.arguments().targets,
                      "host or host:port, several in order; none: back to route and MX");
  CLI::App* summary = c.Verb(noun, "summary", "Count what waits by destination and age",
                             [](Session& s, const Arguments& a) {
                               return SummarizeQueue(s, a.selection);
                             });
  summary->add_option("--tenant", selection.tenant, "Only of this tenant");
  c.Verb(noun, "schedule", "Say when failed deliveries are tried again, and until when",
         [](Session& s, const Arguments&) { return ShowSchedule(s); });
  c.Verb(noun, "destinations", "Say where mail waits for a limit, a pause or an answer, and why",
         [](Session& s, const Arguments& a) { return ListSites(s, a.name); })
      ->add_option("DESTINATION", c.arguments().name, "Only this domain or site");
  CLI::App* pause = c.Verb(noun, "pause", "Let all mail for a destination wait",
                           [](Session& s, const Arguments& a) {
                             return PauseSite(s, a.name, a.id, a.description);
                           });
  c.NameOf(pause, "DESTINATION");
  pause->add_option("--for", c.arguments().id, "Seconds; left out: until it is resumed")
      ->check(CLI::PositiveNumber);
  pause->add_option("--reason", c.arguments().description, "For operators, and the sender's warning");
  c.NameOf(c.Verb(noun, "resume", "End a pause, forget what slowed it down, and try waiting mail now",
                  [](Session& s, const Arguments& a) { return ResumeSite(s, a.name); }),
           "DESTINATION");
  for (CLI::App* verb : {retry, cancel, hold, release, bounce, reroute}) {
    verb->add_option("ID", selection.message_id);
    verb->add_flag("--all", selection.all, "All that is queued");
    add_filters(verb);
  }
}

void AddTlsReportCommands(Commands& c) {
  CLI::App* noun = c.Noun("tls-reports", "Daily reports to other domains about TLS (RFC 8460)");
  c.Verb(noun, "list", "Say which reports wait, were sent or could not be",
         [](Session& s, const Arguments& a) { return ListTlsReports(s, a.name); })
      ->add_option("DOMAIN", c.arguments().name, "Only to this domain");
  CLI::App* send = c.Verb(noun, "send", "Send reports of past days that wait or were given up now",
                          [](Session& s, const Arguments& a) {
                            return SendTlsReports(s, a.description, a.name);
                          });
  send->add_option("DOMAIN", c.arguments().name, "Only to this domain");
  send->add_option("--day", c.arguments().description, "Only of this day (UTC), as 2026-11-26");
}

}  // namespace

std::optional<Invocation> ParseCommandLine(int argc, char** argv, int& exit_status) {
  Invocation invocation;
  Options& options = invocation.options;
  CLI::App app("Administers a running Posthorn", "posthornctl");
  app.require_subcommand(1);
  app.set_version_flag("--version", "posthornctl 0.1.0");
  app.add_option("--target", options.target,
                 "The API: host:port or another gRPC target; default: that of the local posthorn "
                 "serve, 127.0.0.1:2900");
  app.add_option("--token-file", options.token_file,
                 "The administrator token; default: $POSTHORN_TOKEN_FILE, or admin-token in the "
                 "data directory");
  app.add_option("--data-dir", options.data_dir,
                 "Data directory of a local posthorn serve; default: $POSTHORN_DATA_DIR, var, "
                 "/var/lib/posthorn");
  app.add_option("--ca-file", options.ca_file,
                 "Certification authority of the server; default: the development CA, or the "
                 "system's");
  app.add_option("--server-name", options.server_name,
                 "The name the server's certificate must have, instead of the target's");
  app.add_flag("--plaintext", options.plaintext, "No TLS");
  app.add_flag("--json", options.json, "Write JSON");
  app.footer("Exit status: 0 done, 1 refused or failed, 2 wrong command line, 3 no answer.");

  Commands commands(app, invocation, std::make_shared<Arguments>());
  AddTenantCommands(commands);
  AddDomainCommands(commands);
  AddAccountCommands(commands);
  AddAliasCommands(commands);
  AddListCommands(commands);
  AddKeyCommands(commands);
  AddAppPasswordCommands(commands);
  AddLockoutCommands(commands);
  AddQueueCommands(commands);
  AddTlsReportCommands(commands);
  AddMailCommands(commands);
  commands.Verb(&app, "status", "Say whether the platform answers",
                [](Session& s, const Arguments&) { return Status(s); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  const Arguments& given = commands.arguments();
  for (const std::string& word : {given.name, given.selection.message_id}) {
    if (!word.empty()) invocation.what += " " + word;
  }
  if (!given.tenant.empty()) invocation.what += " --tenant " + given.tenant;
  if (given.id != 0) invocation.what += " " + std::to_string(given.id);
  return invocation;
}

}  // namespace posthorn::ctl
