// RFC 9208. An account with a limit has one quota root, "", for all its mailboxes; one without any
// has none, because a root without resources cannot be told of.
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {
namespace {

// RFC 9208 section 5.1: STORAGE counts in units of 1,024 octets.
constexpr std::uint64_t kUnit = 1024;

ImapReply NoSuchRoot() {
  return ImapReply::Failed(MakeFailure(Failure::kNotFound, "No such quota root"));
}

void AppendResource(std::string_view name, std::uint64_t used, std::uint64_t limit,
                    std::string& list) {
  if (limit == 0) return;
  if (!list.empty()) list += ' ';
  list += name;
  list += ' ';
  imap::AppendNumber(used, list);
  list += ' ';
  imap::AppendNumber(limit, list);
}

bool HasRoot(const Quota& quota) { return quota.limit_octets > 0 || quota.limit_messages > 0; }

// "* QUOTA "" (...)"; a resource without a limit is not listed.
void AppendQuota(const Quota& quota, std::string& out) {
  std::string list;
  // What is used is rounded up, and so is the limit: full reads as full.
  AppendResource("STORAGE", (quota.used_octets + kUnit - 1) / kUnit,
                 (quota.limit_octets + kUnit - 1) / kUnit, list);
  AppendResource("MESSAGE", quota.used_messages, quota.limit_messages, list);
  out += "* QUOTA \"\" (";
  out += list;
  out += ")\r\n";
}

}  // namespace

Task<ImapReply> HandleGetQuota(ImapState& state, imap::GetQuotaCommand command) {
  if (!command.root.empty()) co_return NoSuchRoot();
  absl::StatusOr<Quota> quota = co_await state.store().GetQuota(state.tenant(), state.account());
  if (!quota.ok()) co_return ImapReply::Failed(quota.status());
  if (!HasRoot(*quota)) co_return NoSuchRoot();
  AppendQuota(*quota, state.out);
  co_return ImapReply::Ok("Getquota completed");
}

Task<ImapReply> HandleGetQuotaRoot(ImapState& state, imap::GetQuotaRootCommand command) {
  absl::StatusOr<MailboxInfo> info =
      co_await state.store().GetMailbox(state.tenant(), state.account(), command.mailbox, false);
  if (!info.ok()) co_return ImapReply::Failed(info.status());
  absl::StatusOr<Quota> quota = co_await state.store().GetQuota(state.tenant(), state.account());
  if (!quota.ok()) co_return ImapReply::Failed(quota.status());
  state.out += "* QUOTAROOT ";
  imap::AppendMailbox(command.mailbox, state.utf8_names(), state.out);
  state.out += HasRoot(*quota) ? " \"\"\r\n" : "\r\n";
  if (HasRoot(*quota)) AppendQuota(*quota, state.out);
  co_return ImapReply::Ok("Getquotaroot completed");
}

// Limits are the administrator's, who sets them with posthornctl.
ImapReply HandleSetQuota(const imap::SetQuotaCommand& command) {
  if (!command.root.empty()) return NoSuchRoot();
  return ImapReply::Failed(MakeFailure(Failure::kPermissionDenied));
}

}  // namespace posthorn::gateway
