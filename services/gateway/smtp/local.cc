// Sessions of users of this machine: who they are is the kernel's word, and whose mail it is the
// configuration's. docs/protocols/smtp.md describes XQUEUE.
#include <pwd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/address.h"
#include "lib/smtp/xtext.h"
#include "lib/telemetry/log.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kUserBuffer = 16 * 1024;
// Of a reply to XQUEUE: so that it stays small, whoever waits for how much.
constexpr int kMessages = 50;
constexpr std::size_t kRecipients = 20;

std::string Line(const WaitingMessage& message) {
  return absl::StrCat("MESSAGE ", message.id.ToString(), " ", message.octets, " ",
                      absl::ToUnixSeconds(message.received_at), " <",
                      smtp::EncodeXtext(message.reverse_path), ">\n");
}

std::string Line(const WaitingRecipient& recipient) {
  const std::string next = recipient.next_attempt_at == absl::InfinitePast()
                               ? "-"
                               : absl::StrCat(absl::ToUnixSeconds(recipient.next_attempt_at));
  std::string reply = recipient.last_reply;
  std::replace(reply.begin(), reply.end(), '\n', ' ');
  return absl::StrCat("RECIPIENT ", recipient.state, " ", next, " <",
                      smtp::EncodeXtext(recipient.address), "> ", reply, "\n");
}

}  // namespace

LocalUser FindLocalUser(uid_t uid) {
  std::vector<char> buffer(kUserBuffer);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return LocalUser(uid, found->pw_name);
  }
  return LocalUser(uid, absl::StrCat("uid ", uid));
}

LocalSession::LocalSession(LocalUser user_in, const SmtpListenerOptions& options)
    : user(std::move(user_in)),
      address(smtp::Mailbox(user.name, options.local_domain).ToString()),
      trusted(std::find(options.trusted_users.begin(), options.trusted_users.end(), user.name) !=
              options.trusted_users.end()) {}

Task<absl::StatusOr<TenantId>> LocalTenant(SmtpContext& context) {
  if (!context.local->tenant) {
    const std::string& domain = context.options.local_domain;
    const absl::StatusOr<Resolution> owner =
        co_await context.deps.directory->Resolve(absl::StrCat("postmaster@", domain));
    if (!owner.ok()) co_return owner.status();
    if (owner->kind == AddressKind::kRemote) {
      // Temporary: the mail waits until the administrator has added it.
      log::Warn("smtp", "gateway.local_submission.domain is no domain of this platform",
                {{"domain", domain}});
      co_return MakeFailure(Failure::kUnavailable);
    }
    context.local->tenant = owner->tenant;
  }
  co_return context.local->tenant;
}

Task<absl::Status> AuthorizeLocalSender(std::string reverse_path, SmtpContext& context) {
  const absl::StatusOr<TenantId> tenant = co_await LocalTenant(context);
  if (!tenant.ok()) co_return tenant.status();
  if (reverse_path.empty() || absl::EqualsIgnoreCase(reverse_path, context.local->address)) {
    co_return absl::OkStatus();
  }
  if (!context.local->trusted) {
    co_return MakeFailure(Failure::kSenderNotAllowed,
                          absl::StrCat("You may send as ", context.local->address,
                                       "; as others only users that are trusted"));
  }
  co_return co_await context.deps.directory->AuthorizeSender(*tenant, AccountId(),
                                                             std::move(reverse_path));
}

Task<smtp::Reply> HandleXqueue(smtp::XqueueCommand command, SmtpContext& context) {
  if (context.deps.queue == nullptr) co_return smtp::Reply(502, "5.5.1", "Command not implemented");
  std::optional<MessageId> after;
  if (!command.after.empty()) {
    const absl::StatusOr<MessageId> id = MessageId::Parse(command.after);
    if (!id.ok()) co_return smtp::Reply(501, "5.5.4", "Syntax: XQUEUE [message-id]");
    after = *id;
  }
  const absl::StatusOr<TenantId> tenant = co_await LocalTenant(context);
  if (!tenant.ok()) co_return smtp::ReplyFor(tenant.status());
  std::optional<std::string> reverse_path;
  if (!context.local->trusted) reverse_path = context.local->address;
  const absl::StatusOr<std::vector<WaitingMessage>> messages =
      co_await context.deps.queue->List(*tenant, std::move(reverse_path), after, kMessages);
  if (!messages.ok()) co_return smtp::ReplyFor(messages.status());
  std::string text;
  for (const WaitingMessage& message : *messages) {
    absl::StrAppend(&text, Line(message));
    const std::size_t shown = std::min(message.recipients.size(), kRecipients);
    for (std::size_t i = 0; i < shown; ++i) absl::StrAppend(&text, Line(message.recipients[i]));
    if (shown < message.recipients.size()) {
      absl::StrAppend(&text, "RECIPIENTS ", message.recipients.size() - shown, "\n");
    }
  }
  const bool more = messages->size() >= static_cast<std::size_t>(kMessages);
  co_return smtp::Reply(250, "2.0.0", absl::StrCat(text, more ? "MORE" : "END"));
}

}  // namespace posthorn::gateway
