// VRFY, EXPN and VERB: what the directory says to those who have logged in. Strangers learn nothing
// (RFC 5321 section 7.3): 252 is the same for all addresses.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/international.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

smtp::Reply CannotSay() {
  return smtp::Reply(252, "2.0.0", "Cannot verify, but will take mail and try");
}

// RFC 5321 section 3.5.1: a mailbox name, in angle brackets or not, or a user's name, which is
// meant in the domain of who asks.
absl::StatusOr<std::string> AddressFrom(std::string_view argument, const Login& login) {
  if (argument.find('@') == std::string_view::npos) {
    const std::string_view own = login.address;
    const bool brackets = argument.starts_with('<') && argument.ends_with('>');
    if (brackets) argument = argument.substr(1, argument.size() - 2);
    return std::string(argument) + std::string(own.substr(own.rfind('@')));
  }
  const absl::StatusOr<smtp::Mailbox> mailbox =
      smtp::ConsumeForwardPath(argument, smtp::PathSyntax::kLenient);
  if (!mailbox.ok()) return mailbox.status();
  return mailbox->ToString();
}

// RFC 6531 section 3.7.4.2: only who puts SMTPUTF8 behind the argument reads an answer in UTF-8.
bool TakeSmtpUtf8(std::string& argument) {
  constexpr std::string_view kWord = " SMTPUTF8";
  if (!absl::EndsWithIgnoreCase(argument, absl::string_view(kWord.data(), kWord.size()))) {
    return false;
  }
  argument.resize(argument.size() - kWord.size());
  return true;
}

smtp::Reply Tell(std::string text, bool utf8) {
  smtp::Reply reply(250, "2.1.5", std::move(text));
  reply.utf8 = utf8;
  return reply;
}

}  // namespace

Task<smtp::Reply> HandleVrfy(smtp::VrfyCommand command, SmtpContext& context) {
  if (!context.login.has_value()) co_return CannotSay();
  const bool utf8 = TakeSmtpUtf8(command.argument);
  const absl::StatusOr<std::string> address = AddressFrom(command.argument, *context.login);
  if (!address.ok()) co_return smtp::ReplyFor(address.status());
  const absl::StatusOr<Resolution> resolution = co_await context.deps.directory->Resolve(*address);
  if (!resolution.ok()) co_return smtp::ReplyFor(resolution.status());
  if (resolution->kind == AddressKind::kRemote || resolution->tenant != context.login->tenant) {
    co_return CannotSay();
  }
  switch (resolution->kind) {
    case AddressKind::kLocal:
    case AddressKind::kList:
      if (!utf8 && !smtp::IsAscii(*address)) {
        co_return smtp::Reply(252, "2.6.8", "The answer is in UTF-8: VRFY address SMTPUTF8");
      }
      co_return Tell(absl::StrCat("<", *address, ">"), utf8);
    case AddressKind::kDisabled:
    case AddressKind::kDomainSuspended:
      co_return smtp::ReplyFor(resolution->refusal.ok() ? MakeFailure(Failure::kAccountDisabled)
                                                        : resolution->refusal);
    case AddressKind::kNoSuchRecipient:
    case AddressKind::kRemote:
      break;
  }
  co_return smtp::ReplyFor(MakeFailure(Failure::kNoSuchRecipient));
}

Task<smtp::Reply> HandleExpn(smtp::ExpnCommand command, SmtpContext& context) {
  if (!context.login.has_value()) co_return CannotSay();
  const bool utf8 = TakeSmtpUtf8(command.argument);
  const absl::StatusOr<std::string> address = AddressFrom(command.argument, *context.login);
  if (!address.ok()) co_return smtp::ReplyFor(address.status());
  const absl::StatusOr<ShownMembers> shown = co_await context.deps.directory->ShowMembers(
      context.login->tenant, context.login->account, *address);
  if (!shown.ok()) co_return smtp::ReplyFor(shown.status());
  if (shown->members.empty()) co_return smtp::Reply(250, "2.1.5", "No members");
  std::string text;
  for (const std::string& member : shown->members) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", "<", member, ">");
  }
  if (!utf8 && !smtp::IsAscii(text)) {
    co_return smtp::Reply(550, "5.6.8", "The answer is in UTF-8: EXPN address SMTPUTF8");
  }
  const std::int64_t more = shown->total - static_cast<std::int64_t>(shown->members.size());
  if (more > 0) absl::StrAppend(&text, "\nand ", more, " more");
  co_return Tell(std::move(text), utf8);
}

Task<smtp::Reply> HandleVerb(smtp::VerbCommand, SmtpContext& context) {
  if (!context.login.has_value()) co_return smtp::Reply(502, "5.5.1", "Command not implemented");
  context.verbose = true;
  co_return smtp::Reply(250, "2.0.0", "Replies name each recipient from now on");
}

}  // namespace posthorn::gateway
