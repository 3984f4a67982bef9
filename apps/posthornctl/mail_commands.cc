#include "apps/posthornctl/commands.h"

namespace posthorn::ctl {
namespace {

void AddMessageCommands(Commands& c) {
  CLI::App* noun = c.Noun("message", "Messages that were deleted and can be had back");
  CLI::App* list = c.Verb(
      noun, "deleted", "List what an account has deleted lately",
      [](Session& s, const Arguments& a) { return ListDeleted(s, a.name, a.mail_selection); });
  CLI::App* undelete =
      c.Verb(noun, "undelete", "Put deleted messages back",
             [](Session& s, const Arguments& a) { return Undelete(s, a.name, a.mail_selection); });
  MailSelection& selection = c.arguments().mail_selection;
  for (CLI::App* verb : {list, undelete}) {
    c.NameOf(verb, "ACCOUNT");
    verb->add_option("--mailbox", selection.mailbox, "Only what was in this mailbox");
    verb->add_option("--since", selection.since,
                     "Only what was deleted then or later: 2024-05-01, \"2024-05-01 12:00\" (UTC), "
                     "or 3h, 2d ago");
    verb->add_option("--until", selection.until, "Only what was deleted before");
  }
  undelete->add_option("ID", selection.ids, "As listed");
  undelete->add_flag("--all", selection.all, "All that can be had back");
  undelete->add_option("--to", selection.destination, "Into this mailbox, not that where each was");
}

void AddMailboxCommands(Commands& c) {
  CLI::App* noun = c.Noun("mailbox", "Mailboxes of accounts, and moving mail in and out");
  MailTransferSettings& transfer = c.arguments().transfer;
  c.NameOf(c.Verb(noun, "list", "List the mailboxes of an account",
                  [](Session& s, const Arguments& a) { return ListMailboxes(s, a.name); }),
           "ACCOUNT");
  CLI::App* import = c.Verb(
      noun, "import",
      "Import mail: a Maildir, an mbox file, a directory of them, or imap[s]://user@host. Run it "
      "again to go on: nothing is stored twice",
      [](Session& s, const Arguments& a) { return ImportMail(s, a.name, a.transfer); });
  import
      ->add_option("SOURCE", transfer.source,
                   "A path or imap[s]://user@host[:port]; the password is read from standard input")
      ->required();
  c.NameOf(import, "ACCOUNT");
  import->add_option("--format", transfer.format, "maildir or mbox; default: what it looks like")
      ->check(CLI::IsMember({"maildir", "mbox"}));
  import->add_option("--into", transfer.into,
                     "Everything goes below this mailbox; a single mbox file into it");
  import->add_option("--label", transfer.label,
                     "What was imported under one label is not imported again under it");
  import->add_option("--remote-ca-file", transfer.ca_file,
                     "Certification authority of the other server; default: the system's");
  import->add_flag("--remote-plaintext", transfer.plaintext,
                   "No TLS with the other server: the password can be read on the way");
  CLI::App* out = c.Verb(
      noun, "export", "Export mail into a directory. Run it again to go on, or for what is new",
      [](Session& s, const Arguments& a) { return ExportMail(s, a.name, a.transfer); });
  c.NameOf(out, "ACCOUNT");
  out->add_option("DIRECTORY", transfer.directory)->required();
  out->add_option("--format", transfer.format, "maildir (the default) or mbox")
      ->check(CLI::IsMember({"maildir", "mbox"}));
  out->add_option("--mailbox", transfer.mailboxes, "Only this one. Repeatable")
      ->allow_extra_args(false);
}

}  // namespace

void AddMailCommands(Commands& c) {
  AddMessageCommands(c);
  AddMailboxCommands(c);
}

}  // namespace posthorn::ctl
