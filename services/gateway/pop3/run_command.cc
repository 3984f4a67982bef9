#include <array>
#include <utility>
#include <variant>

#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "services/gateway/pop3/handlers.h"

namespace posthorn::gateway {
namespace {

enum : unsigned { kInAuthorization = 1, kInTransaction = 2 };

// Where each command may be given (RFC 1939 sections 4 to 6, RFC 2449, RFC 2595), in the order of
// pop3::Command.
constexpr std::array<unsigned, std::variant_size_v<pop3::Command>> kPhases = {
    kInAuthorization,                   // USER
    kInAuthorization,                   // PASS
    kInTransaction,                     // STAT
    kInTransaction,                     // LIST
    kInTransaction,                     // UIDL
    kInTransaction,                     // RETR
    kInTransaction,                     // TOP
    kInTransaction,                     // DELE
    kInTransaction,                     // RSET
    kInTransaction,                     // NOOP
    kInAuthorization | kInTransaction,  // CAPA
    kInAuthorization,                   // STLS
    kInAuthorization | kInTransaction,  // QUIT
    kInAuthorization,                   // AUTH
    kInAuthorization,                   // UTF8 (RFC 6856 section 2)
    kInAuthorization | kInTransaction,  // LANG
};

Task<Pop3Reply> Ready(Pop3Reply reply) { co_return std::move(reply); }

struct Runner {
  Pop3State& state;

  Task<Pop3Reply> operator()(pop3::UserCommand& command) const {
    return HandleUser(std::move(command), state);
  }
  Task<Pop3Reply> operator()(pop3::PassCommand& command) const {
    return HandlePass(std::move(command), state);
  }
  Task<Pop3Reply> operator()(pop3::StatCommand&) const { return Ready(HandleStat(state)); }
  Task<Pop3Reply> operator()(pop3::ListCommand& c) const { return Ready(HandleList(c, state)); }
  Task<Pop3Reply> operator()(pop3::UidlCommand& c) const { return Ready(HandleUidl(c, state)); }
  Task<Pop3Reply> operator()(pop3::RetrCommand& c) const { return Ready(HandleRetr(c, state)); }
  Task<Pop3Reply> operator()(pop3::TopCommand& c) const { return Ready(HandleTop(c, state)); }
  Task<Pop3Reply> operator()(pop3::DeleCommand& c) const { return Ready(HandleDele(c, state)); }
  Task<Pop3Reply> operator()(pop3::RsetCommand&) const { return Ready(HandleRset(state)); }
  Task<Pop3Reply> operator()(pop3::NoopCommand&) const { return Ready(OkReply("")); }
  Task<Pop3Reply> operator()(pop3::CapaCommand&) const { return Ready(HandleCapa(state)); }
  Task<Pop3Reply> operator()(pop3::StlsCommand&) const { return Ready(HandleStls(state)); }
  Task<Pop3Reply> operator()(pop3::QuitCommand&) const { return HandleQuit(state); }
  Task<Pop3Reply> operator()(pop3::AuthCommand& command) const {
    return HandleAuth(std::move(command), state);
  }
  Task<Pop3Reply> operator()(pop3::Utf8Command&) const { return Ready(HandleUtf8(state)); }
  Task<Pop3Reply> operator()(pop3::LangCommand& c) const { return Ready(HandleLang(c)); }
};

}  // namespace

Pop3Reply OkReply(std::string_view text) {
  Pop3Reply reply;
  pop3::AppendOk(text, reply.text);
  return reply;
}

Pop3Reply ErrorReply(const absl::Status& status) {
  Pop3Reply reply;
  pop3::AppendError(status, reply.text);
  reply.failed = true;
  return reply;
}

Pop3Reply ChallengeReply(std::string_view challenge) {
  Pop3Reply reply;
  pop3::AppendChallenge(challenge, reply.text);
  return reply;
}

Task<Pop3Reply> RunCommand(pop3::Command command, Pop3State& state) {
  const unsigned phase =
      state.phase == Pop3Phase::kTransaction ? kInTransaction : kInAuthorization;
  if ((kPhases[command.index()] & phase) == 0) {
    const std::string text = state.phase == Pop3Phase::kTransaction ? "Logged in already"
                                                                    : "Log in first";
    co_return ErrorReply(MakeFailure(Failure::kBadSequence, text));
  }
  const Runner runner{state};
  Task<Pop3Reply> run = std::visit(runner, command);
  Pop3Reply reply = co_await std::move(run);
  co_return std::move(reply);
}

}  // namespace posthorn::gateway
