#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "lib/telemetry/log.h"
#include "services/gateway/pop3/handlers.h"

namespace posthorn::gateway {
namespace {

std::string RandomHolder() {
  std::random_device random;
  std::string holder;
  while (holder.size() < 16) {
    const unsigned int word = random();
    for (int shift = 0; shift < 32; shift += 8) holder.push_back(static_cast<char>(word >> shift));
  }
  return holder;
}

// Counts a login of the account over all gateways; what is left until it may log in.
Task<absl::Duration> TakeLogin(const Pop3State& state) {
  if (state.login_delay() <= absl::ZeroDuration()) co_return absl::ZeroDuration();
  std::string key = absl::StrCat(state.login.tenant.value(), ":", state.login.account.value());
  const redis::Limit one(1, state.login_delay(), 1);
  const redis::Decision decision = co_await state.deps.logins->Take(std::move(key), one, 1);
  co_return decision.allowed ? absl::ZeroDuration()
                             : std::max(decision.retry_after, absl::Seconds(1));
}

// RFC 2449 section 8.1.1.
Pop3Reply TooSoonReply(absl::Duration wait) {
  Pop3Reply reply;
  const std::int64_t seconds = absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1)));
  pop3::AppendError("LOGIN-DELAY", absl::StrCat("Log in again in ", seconds, " seconds"),
                    reply.text);
  reply.failed = true;
  return reply;
}

}  // namespace

bool Pop3State::MayAuthenticate() const {
  if (stream.tls().active) return true;
  return options.allow_plaintext_auth_on_loopback && stream.peer().IsLoopback();
}

Task<Pop3Reply> HandleUser(pop3::UserCommand command, Pop3State& state) {
  if (!state.MayAuthenticate()) co_return ErrorReply(MakeFailure(Failure::kEncryptionRequired));
  state.user = std::move(command.name);
  co_return OkReply("Password, please");
}

Task<Pop3Reply> HandlePass(pop3::PassCommand command, Pop3State& state) {
  if (state.user.empty()) {
    co_return ErrorReply(MakeFailure(Failure::kBadSequence, "USER first"));
  }
  AuthenticationPeer peer(state.stream, "pop3");
  std::string name = std::exchange(state.user, std::string());
  absl::StatusOr<Login> login = co_await state.deps.authenticator->CheckPassword(
      std::move(peer), std::move(name), std::move(command.password));
  co_return co_await EnterMaildrop(std::move(login), state);
}

Task<Pop3Reply> EnterMaildrop(absl::StatusOr<Login> login, Pop3State& state) {
  if (!login.ok()) {
    if (FailureOf(login.status()) == Failure::kAuthenticationFailed) ++state.login_failures;
    Pop3Reply refused = ErrorReply(login.status());
    refused.close = state.login_failures >= state.limits.login_failures;
    co_return refused;
  }
  state.login = *std::move(login);

  std::string holder = RandomHolder();
  const absl::Status locked = co_await state.deps.store->AcquirePopLock(
      state.login.tenant, state.login.account, holder, state.limits.lock_lease);
  if (!locked.ok()) co_return ErrorReply(locked);
  state.lock_holder = std::move(holder);
  state.lock_renewed = state.deps.clock->Now();

  // After the lock: who finds the maildrop in use has not logged in.
  const absl::Duration wait = co_await TakeLogin(state);
  if (wait > absl::ZeroDuration()) {
    co_await ReleaseLock(state);
    co_return TooSoonReply(wait);
  }

  absl::StatusOr<Maildrop> maildrop =
      co_await Maildrop::Load(*state.deps.store, state.login.tenant, state.login.account);
  if (!maildrop.ok()) {
    log::Warn("pop3", "mailbox cannot be read",
              {{"account", state.login.account.value()}, {"status", maildrop.status()}});
    co_await ReleaseLock(state);
    co_return ErrorReply(maildrop.status());
  }
  state.maildrop = *std::move(maildrop);
  state.phase = Pop3Phase::kTransaction;
  co_return OkReply(std::to_string(state.maildrop.count()) + " messages");
}

Task<absl::Status> RenewLock(Pop3State& state) {
  if (state.lock_holder.empty()) co_return absl::OkStatus();
  const absl::Time now = state.deps.clock->Now();
  if (now - state.lock_renewed < state.limits.lock_lease / 3) co_return absl::OkStatus();
  state.lock_renewed = now;
  const absl::Status renewed = co_await state.deps.store->AcquirePopLock(
      state.login.tenant, state.login.account, state.lock_holder, state.limits.lock_lease);
  if (renewed.ok()) co_return renewed;
  log::Warn("pop3", "lock not renewed",
            {{"account", state.login.account.value()}, {"status", renewed}});
  if (FailureOf(renewed) != Failure::kMailboxInUse) co_return absl::OkStatus();  // tried again later
  state.lock_holder.clear();
  co_return renewed;
}

Task<void> ReleaseLock(Pop3State& state) {
  if (state.lock_holder.empty()) co_return;
  std::string holder = std::exchange(state.lock_holder, std::string());
  const absl::Status released = co_await state.deps.store->ReleasePopLock(
      state.login.tenant, state.login.account, std::move(holder));
  if (!released.ok()) {
    // It ends by itself with its lease.
    log::Info("pop3", "lock not released",
              {{"account", state.login.account.value()}, {"status", released}});
  }
}

}  // namespace posthorn::gateway
