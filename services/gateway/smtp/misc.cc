#include "absl/strings/str_cat.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

bool Always(const SmtpContext&) { return true; }

// What HELP knows (RFC 5321 section 4.1.1.8).
struct Topic {
  const char* verb;
  bool (*available)(const SmtpContext& context);
  const char* usage;
};
constexpr Topic kTopics[] = {
    {"HELO", [](const SmtpContext& c) { return !c.IsLmtp(); },
     "HELO name\nBegins a session without extensions."},
    {"EHLO", [](const SmtpContext& c) { return !c.IsLmtp(); },
     "EHLO name\nBegins a session; the answer lists the extensions."},
    {"LHLO", [](const SmtpContext& c) { return c.IsLmtp(); },
     "LHLO name\nBegins a session; the answer lists the extensions."},
    {"MAIL", Always,
     "MAIL FROM:<address> [parameters]\nBegins a message; <> is the null sender.\nParameters are "
     "those of the extensions that EHLO lists."},
    {"RCPT", Always, "RCPT TO:<address> [parameters]\nAdds a recipient."},
    {"DATA", Always, "DATA\nThe message follows; CRLF . CRLF ends it."},
    {"BDAT", Always, "BDAT octets [LAST]\nSo many octets of the message follow."},
    {"RSET", Always, "RSET\nForgets the message."},
    {"NOOP", Always, "NOOP\nDoes nothing."},
    {"QUIT", Always, "QUIT\nEnds the session."},
    {"HELP", Always, "HELP [verb]\nThis."},
    {"VRFY", Always, "VRFY address\nSays what may be said about an address."},
    {"EXPN", Always, "EXPN address\nNames the members of a list or an alias, to those who may see them."},
    {"VERB", [](const SmtpContext& c) { return c.login.has_value(); },
     "VERB\nReplies name each recipient from now on."},
    {"STARTTLS", [](const SmtpContext& c) { return c.TlsIsOffered(); },
     "STARTTLS\nGoes on under TLS."},
    {"AUTH", [](const SmtpContext& c) { return c.IsSubmission() && !c.local.has_value(); },
     "AUTH mechanism [initial-response]\nLogs in."},
    {"XCLIENT", [](const SmtpContext& c) { return c.MayUseXclient(); },
     "XCLIENT attribute=value ...\nSays who the client is that this one speaks for."},
    {"XQUEUE", [](const SmtpContext& c) { return c.local.has_value(); },
     "XQUEUE [message-id]\nLists your messages that wait, those behind this one."},
};

}  // namespace

Task<smtp::Reply> HandleRset(smtp::RsetCommand, SmtpContext& context) {
  context.EndTransaction();
  co_return smtp::Reply(250, "2.0.0", "Ok");
}

Task<smtp::Reply> HandleNoop(smtp::NoopCommand, SmtpContext&) {
  co_return smtp::Reply(250, "2.0.0", "Ok");
}

Task<smtp::Reply> HandleQuit(smtp::QuitCommand, SmtpContext&) {
  co_return smtp::Reply(221, "2.0.0", "Bye");
}

Task<smtp::Reply> HandleHelp(smtp::HelpCommand command, SmtpContext& context) {
  if (command.topic.empty()) {
    std::string verbs;
    for (const Topic& topic : kTopics) {
      if (topic.available(context)) absl::StrAppend(&verbs, " ", topic.verb);
    }
    co_return smtp::Reply(214, "2.0.0", absl::StrCat("Commands:", verbs, "\nHELP verb says more"));
  }
  for (const Topic& topic : kTopics) {
    if (command.topic == topic.verb && topic.available(context)) {
      co_return smtp::Reply(214, "2.0.0", topic.usage);
    }
  }
  co_return smtp::Reply(504, "5.5.4", "No help for this");
}

}  // namespace posthorn::gateway
