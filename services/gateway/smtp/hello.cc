#include "absl/strings/str_cat.h"
#include "lib/smtp/xclient.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

using smtp::Extension;

bool Always(const SmtpContext&) { return true; }

template <Extension extension>
bool QueueHonours(const SmtpContext& context) {
  return context.deps.queue_extensions.Has(extension);
}

std::string NoArguments(const SmtpContext&) { return ""; }

std::string Mechanisms(const SmtpContext& context) {
  std::string names;
  for (const std::string_view name : context.deps.authenticator->Offered(context.stream)) {
    names += ' ';
    names += name;
  }
  return names;
}

// One line a keyword: where it is in force, and what stands behind it.
struct Keyword {
  Extension extension;
  const char* name;
  bool (*in_force)(const SmtpContext& context);
  std::string (*arguments)(const SmtpContext& context);
};
constexpr Keyword kKeywords[] = {
    {Extension::kPipelining, "PIPELINING", Always, NoArguments},
    {Extension::kSize, "SIZE", Always,
     [](const SmtpContext& c) { return absl::StrCat(" ", c.message_octets()); }},
    {Extension::k8BitMime, "8BITMIME", Always, NoArguments},
    {Extension::kEnhancedStatusCodes, "ENHANCEDSTATUSCODES", Always, NoArguments},
    {Extension::kStartTls, "STARTTLS", [](const SmtpContext& c) { return c.TlsIsOffered(); },
     NoArguments},
    {Extension::kAuth, "AUTH",
     [](const SmtpContext& c) {
       return c.IsSubmission() && c.AuthenticationIsSafe() && !c.login.has_value();
     },
     Mechanisms},
    {Extension::kSmtpUtf8, "SMTPUTF8", Always, NoArguments},
    {Extension::kChunking, "CHUNKING", Always, NoArguments},
    {Extension::kBinaryMime, "BINARYMIME", Always, NoArguments},
    {Extension::kDsn, "DSN", QueueHonours<Extension::kDsn>, NoArguments},
    // RFC 8689 section 2: only where the message came by TLS itself.
    {Extension::kRequireTls, "REQUIRETLS",
     [](const SmtpContext& c) {
       return QueueHonours<Extension::kRequireTls>(c) && c.stream.tls().active;
     },
     NoArguments},
    // RFC 4865 section 3: for submission.
    {Extension::kFutureRelease, "FUTURERELEASE",
     [](const SmtpContext& c) {
       return QueueHonours<Extension::kFutureRelease>(c) && c.IsSubmission();
     },
     [](const SmtpContext& c) {
       return absl::StrCat(" ", absl::ToInt64Seconds(c.limits.max_hold), " ",
                           absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                                            c.deps.clock->Now() + c.limits.max_hold,
                                            absl::UTCTimeZone()));
     }},
    {Extension::kMtPriority, "MT-PRIORITY", QueueHonours<Extension::kMtPriority>, NoArguments},
    {Extension::kDeliverBy, "DELIVERBY", QueueHonours<Extension::kDeliverBy>, NoArguments},
    {Extension::kLimits, "LIMITS", Always,
     [](const SmtpContext& c) { return absl::StrCat(" RCPTMAX=", c.limits.recipients); }},
    {Extension::kXclient, "XCLIENT", [](const SmtpContext& c) { return c.MayUseXclient(); },
     [](const SmtpContext&) { return absl::StrCat(" ", smtp::kXclientAttributes); }},
    // Not for strangers: one message of theirs would be as many as it has recipients.
    {Extension::kXverp, "XVERP",
     [](const SmtpContext& c) {
       return QueueHonours<Extension::kXverp>(c) &&
              (c.IsSubmission() || c.trusted_network() != nullptr);
     },
     NoArguments},
    {Extension::kHelp, "HELP", Always, NoArguments},
};

void Greet(SmtpContext& context, std::string name, bool esmtp) {
  context.helo = std::move(name);
  context.esmtp = esmtp;
  context.EndTransaction();
}

// RFC 5321 section 4.1.1.1.
smtp::Reply Extensions(const SmtpContext& context) {
  std::string text = absl::StrCat(context.hostname(), " greets ", context.helo);
  for (const Keyword& keyword : kKeywords) {
    if (!keyword.in_force(context)) continue;
    absl::StrAppend(&text, "\n", keyword.name, keyword.arguments(context));
  }
  return smtp::Reply(250, "", std::move(text));
}

}  // namespace

smtp::Reply Greeting(const SmtpContext& context) {
  return smtp::Reply(
      220, "", absl::StrCat(context.hostname(), context.IsLmtp() ? " LMTP" : " ESMTP",
                            " Posthorn"));
}

smtp::ExtensionSet OfferedExtensions(const SmtpContext& context) {
  smtp::ExtensionSet offered;
  for (const Keyword& keyword : kKeywords) {
    if (keyword.in_force(context)) offered.Add(keyword.extension);
  }
  return offered;
}

Task<smtp::Reply> HandleHello(smtp::HeloCommand command, SmtpContext& context) {
  Greet(context, std::move(command.name), false);
  co_return smtp::Reply(250, "", context.hostname());
}

Task<smtp::Reply> HandleHello(smtp::EhloCommand command, SmtpContext& context) {
  Greet(context, std::move(command.name), true);
  co_return Extensions(context);
}

Task<smtp::Reply> HandleHello(smtp::LhloCommand command, SmtpContext& context) {
  Greet(context, std::move(command.name), true);
  co_return Extensions(context);
}

}  // namespace posthorn::gateway
