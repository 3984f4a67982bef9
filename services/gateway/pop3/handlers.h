#ifndef POSTHORN_SERVICES_GATEWAY_POP3_HANDLERS_H_
#define POSTHORN_SERVICES_GATEWAY_POP3_HANDLERS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/pop3/command.h"
#include "services/gateway/pop3/maildrop.h"
#include "services/gateway/pop3/server.h"

namespace posthorn::gateway {

// RFC 1939 section 3.
enum class Pop3Phase { kAuthorization, kTransaction };

// What one session knows. Belongs to the session, on its executor.
struct Pop3State {
  Pop3State(const Pop3Dependencies& deps_in, const Pop3Limits& limits_in,
            const Pop3ListenerOptions& options_in, const net::Stream& stream_in)
      : deps(deps_in), limits(limits_in), options(options_in), stream(stream_in) {}

  // Passwords may be sent: TLS, or loopback where the listener allows it.
  bool MayAuthenticate() const;

  const Pop3Dependencies& deps;
  const Pop3Limits& limits;
  const Pop3ListenerOptions& options;
  const net::Stream& stream;  // for its addresses and TLS state only

  // How long an account has to wait between logins; zero: not at all.
  absl::Duration login_delay() const {
    return deps.logins == nullptr ? absl::ZeroDuration() : limits.login_delay;
  }

  Pop3Phase phase = Pop3Phase::kAuthorization;
  bool utf8 = false;  // after UTF8
  std::string user;  // from USER, until PASS
  std::unique_ptr<Authenticator::Exchange> auth;  // while AUTH is under way: the next line is its
  int errors = 0;
  int login_failures = 0;

  // In the transaction state:
  Login login;
  Maildrop maildrop;
  std::string lock_holder;  // not empty: the account's lock is held
  absl::Time lock_renewed;
};

// What a handler answers. The shell sends `text`, then the listing or message, if there is one.
struct Pop3Reply {
  enum class Listing { kNone, kSizes, kUniqueIds };
  struct Retrieval {
    std::size_t index = 0;  // in the maildrop
    Uid uid = 0;
    std::uint64_t size = 0;
    std::optional<std::uint32_t> body_lines;  // TOP
  };
  Pop3Reply() = default;

  std::string text;
  bool failed = false;
  bool close = false;
  bool start_tls = false;
  Listing listing = Listing::kNone;
  std::optional<Retrieval> retrieval;
};
Pop3Reply OkReply(std::string_view text);
Pop3Reply ErrorReply(const absl::Status& status);
// A challenge of AUTH in base64 (RFC 5034 section 4).
Pop3Reply ChallengeReply(std::string_view challenge);

// The table of commands: checks the phase, runs the handler, counts errors. `state` belongs to the
// session that owns this coroutine.
Task<Pop3Reply> RunCommand(pop3::Command command, Pop3State& state);

// The handlers: one a verb. login.cc:
Task<Pop3Reply> HandleUser(pop3::UserCommand command, Pop3State& state);
Task<Pop3Reply> HandlePass(pop3::PassCommand command, Pop3State& state);
// auth.cc
Task<Pop3Reply> HandleAuth(pop3::AuthCommand command, Pop3State& state);
// A line of the exchange that AUTH began.
Task<Pop3Reply> HandleAuthResponse(std::string line, Pop3State& state);
// login.cc: what follows a successful login (the lock, the maildrop), or a refused one.
Task<Pop3Reply> EnterMaildrop(absl::StatusOr<Login> login, Pop3State& state);
// session_commands.cc:
Pop3Reply HandleCapa(const Pop3State& state);
Pop3Reply HandleStls(Pop3State& state);
Pop3Reply HandleUtf8(Pop3State& state);
Pop3Reply HandleLang(const pop3::LangCommand& command);
Task<Pop3Reply> HandleQuit(Pop3State& state);
// maildrop_commands.cc:
Pop3Reply HandleStat(const Pop3State& state);
Pop3Reply HandleList(const pop3::ListCommand& command, const Pop3State& state);
Pop3Reply HandleUidl(const pop3::UidlCommand& command, const Pop3State& state);
Pop3Reply HandleRetr(const pop3::RetrCommand& command, const Pop3State& state);
Pop3Reply HandleTop(const pop3::TopCommand& command, const Pop3State& state);
Pop3Reply HandleDele(const pop3::DeleCommand& command, Pop3State& state);
Pop3Reply HandleRset(Pop3State& state);

// The account's lock (login.cc). Renew fails only when another session has it.
Task<absl::Status> RenewLock(Pop3State& state);
Task<void> ReleaseLock(Pop3State& state);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_POP3_HANDLERS_H_
