#include "services/gateway/imap/session.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "lib/base/failure.h"
#include "lib/net/deflate_stream.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::gateway {
namespace {

using imap::Condition;

// Before a login anybody may ask for memory.
constexpr std::size_t kLiteralOctetsBeforeLogin = 8192;

constexpr unsigned kFresh = 1;     // not authenticated
constexpr unsigned kLoggedIn = 2;  // authenticated, nothing selected
constexpr unsigned kSelected = 4;
constexpr unsigned kUser = kLoggedIn | kSelected;
constexpr unsigned kAny = kFresh | kUser;

enum class SyncAfter { kNever, kIfStale, kAlways };

struct CommandRow {
  const char* name;
  unsigned states;
  SyncAfter sync = SyncAfter::kIfStale;
  // RFC 3501 section 7.4.1: no EXPUNGE while it runs, unless it is the UID form.
  bool keeps_sequence_numbers = false;
};

// In the order of imap::CommandBody.
constexpr CommandRow kCommands[] = {
    {"CAPABILITY", kAny},
    {"NOOP", kAny, SyncAfter::kAlways},
    {"LOGOUT", kAny, SyncAfter::kNever},
    {"STARTTLS", kFresh, SyncAfter::kNever},
    {"NAMESPACE", kUser},
    {"CHECK", kSelected, SyncAfter::kAlways},
    {"CLOSE", kSelected, SyncAfter::kNever},
    {"UNSELECT", kSelected, SyncAfter::kNever},
    {"IDLE", kUser, SyncAfter::kNever},
    {"ID", kAny},
    {"LOGIN", kFresh, SyncAfter::kNever},
    {"AUTHENTICATE", kFresh, SyncAfter::kNever},
    {"SELECT", kUser, SyncAfter::kNever},
    {"CREATE", kUser},
    {"DELETE", kUser},
    {"RENAME", kUser, SyncAfter::kAlways},
    {"SUBSCRIBE", kUser},
    {"LIST", kUser},
    {"STATUS", kUser},
    {"APPEND", kUser, SyncAfter::kAlways},
    {"EXPUNGE", kSelected},
    {"STORE", kSelected, SyncAfter::kIfStale, true},
    {"COPY", kSelected, SyncAfter::kAlways},
    {"FETCH", kSelected, SyncAfter::kIfStale, true},
    {"SEARCH", kSelected, SyncAfter::kIfStale, true},
    {"ENABLE", kUser},
    {"UNAUTHENTICATE", kUser, SyncAfter::kNever},
    {"SORT", kSelected, SyncAfter::kIfStale, true},
    {"THREAD", kSelected, SyncAfter::kIfStale, true},
    {"GETQUOTA", kUser},
    {"GETQUOTAROOT", kUser},
    {"SETQUOTA", kUser},
    {"COMPRESS", kUser, SyncAfter::kNever},
};
static_assert(std::size(kCommands) == std::variant_size_v<imap::CommandBody>);

bool IsUidForm(const imap::CommandBody& body) {
  if (const auto* fetch = std::get_if<imap::FetchCommand>(&body)) return fetch->uid;
  if (const auto* store = std::get_if<imap::StoreCommand>(&body)) return store->uid;
  if (const auto* search = std::get_if<imap::SearchCommand>(&body)) return search->uid;
  if (const auto* sort = std::get_if<imap::SortCommand>(&body)) return sort->uid;
  if (const auto* thread = std::get_if<imap::ThreadCommand>(&body)) return thread->uid;
  return false;
}

bool HasSequences(const imap::SearchKey& key) {
  return (key.kind == imap::SearchKey::Kind::kSequence && !key.set.saved) ||
         std::any_of(key.children.begin(), key.children.end(), HasSequences);
}

// Whether the command names or answers sequence numbers (RFC 9586 section 3.1).
bool UsesSequences(const imap::CommandBody& body) {
  const auto of_search = [](const auto& command) {
    return !command.uid || HasSequences(command.key);
  };
  if (const auto* fetch = std::get_if<imap::FetchCommand>(&body)) return !fetch->uid;
  if (const auto* store = std::get_if<imap::StoreCommand>(&body)) return !store->uid;
  if (const auto* copy = std::get_if<imap::CopyCommand>(&body)) return !copy->uid;
  if (const auto* search = std::get_if<imap::SearchCommand>(&body)) return of_search(*search);
  if (const auto* sort = std::get_if<imap::SortCommand>(&body)) return of_search(*sort);
  if (const auto* thread = std::get_if<imap::ThreadCommand>(&body)) return of_search(*thread);
  if (const auto* append = std::get_if<imap::AppendCommand>(&body)) {
    return append->replaced && !append->replaced->uid;
  }
  const auto* select = std::get_if<imap::SelectCommand>(&body);
  return select != nullptr && select->resync && select->resync->match_data;
}

void CountCommand(std::size_t index, Condition condition) {
  static const auto kCounters = [] {
    std::array<std::array<metrics::Counter*, 3>, std::size(kCommands)> counters{};
    constexpr const char* kResults[] = {"ok", "no", "bad"};
    for (std::size_t i = 0; i < std::size(kCommands); ++i) {
      for (std::size_t r = 0; r < 3; ++r) {
        counters[i][r] = &metrics::MakeCounter(
            "posthorn_gateway_imap_commands_total",
            "IMAP commands by answer. Many \"no\": look at the mailbox service; many \"bad\": a "
            "broken or hostile client.",
            {{"command", kCommands[i].name}, {"answer", kResults[r]}});
      }
    }
    return counters;
  }();
  const auto result = std::min<std::size_t>(static_cast<std::size_t>(condition), 2);
  kCounters[index][result]->Increment();
}

imap::ReceiverLimits ToReceiverLimits(const ImapLimits& limits) {
  imap::ReceiverLimits result;
  result.line_octets = limits.line_octets;
  result.literal_octets = std::min(limits.literal_octets, kLiteralOctetsBeforeLogin);
  result.append_octets = limits.message_octets;
  return result;
}

}  // namespace

ImapSession::ImapSession(const ImapDependencies& dependencies, const ImapLimits& limits,
                         const ImapListenerOptions& options, net::Stream& stream,
                         const std::atomic<bool>& draining)
    : state_(dependencies, limits, options, stream),
      receiver_(ToReceiverLimits(limits)),
      draining_(draining) {}

void ImapSession::End(std::string_view code, std::string_view text) {
  if (over_) return;
  imap::AppendStatusResponse({}, Condition::kBye, code, text, state_.out);
  over_ = true;
}

Task<void> ImapSession::Run() {
  imap::AppendStatusResponse({}, Condition::kOk, "CAPABILITY " + state_.Capabilities(),
                             "Posthorn ready", state_.out);
  while (!over_) {
    if (state_.flush_due()) {
      const absl::Status written = co_await state_.Flush();
      if (!written.ok()) break;
    }
    imap::Received received = receiver_.Next();
    if (std::holds_alternative<imap::NeedMore>(received)) {
      const bool more = co_await ReadMore();
      if (!more) break;
    } else if (std::holds_alternative<imap::NeedLiteral>(received)) {
      imap::AppendContinuation("OK", state_.out);
    } else if (auto* command = std::get_if<imap::Command>(&received)) {
      Task<void> run = RunCommand(std::move(*command));
      co_await std::move(run);
    } else if (auto* failure = std::get_if<imap::CommandFailure>(&received)) {
      Task<void> run = OnFailure(std::move(*failure));
      co_await std::move(run);
    }
  }
  // A client that has gone away is no news.
  const absl::Status written = co_await state_.Flush();
  if (!written.ok()) log::Debug("imap", "connection lost", {{"status", written}});
  state_.Deselect();
}

Task<bool> ImapSession::ReadMore() {
  const absl::Status written = co_await state_.Flush();
  if (!written.ok()) {
    over_ = true;
    co_return false;
  }
  if (draining_) {
    End("UNAVAILABLE", "Server shutting down");
    co_return false;
  }
  const absl::Duration timeout =
      state_.login ? state_.limits.idle_timeout : state_.limits.login_timeout;
  absl::StatusOr<std::string> bytes = co_await state_.stream->ReadSome(timeout);
  if (bytes.ok() && !bytes->empty()) {
    receiver_.Feed(*bytes);
    co_return true;
  }
  if (absl::IsCancelled(bytes.status())) {
    if (draining_) End("UNAVAILABLE", "Server shutting down");
    co_return !over_;
  }
  if (!bytes.ok() && FailureOf(bytes.status()) == Failure::kTimeout) {
    End({}, "Disconnected for inactivity");
  }
  over_ = true;
  co_return false;
}

Task<imap::Received> ImapSession::ReadLine() {
  receiver_.ExpectLine();
  for (;;) {
    imap::Received received = receiver_.Next();
    if (!std::holds_alternative<imap::NeedMore>(received)) co_return received;
    const bool more = co_await ReadMore();
    if (!more) co_return imap::Received(imap::NeedMore{});
  }
}

void ImapSession::CountError() {
  if (++errors_ >= state_.limits.errors) End({}, "Too many errors");
}

void ImapSession::SetLiteralLimit() {
  const std::size_t limit = state_.limits.literal_octets;
  receiver_.SetLiteralLimit(state_.login ? limit : std::min(limit, kLiteralOctetsBeforeLogin));
}

Task<void> ImapSession::OnFailure(imap::CommandFailure failure) {
  imap::AppendFailure(failure.tag, failure.status, state_.out);
  if (failure.fatal) End({}, "Literal is too large");
  if (imap::IsBad(failure.status)) CountError();
  co_return;
}

Task<void> ImapSession::RunCommand(imap::Command command) {
  const std::size_t index = command.body.index();
  const CommandRow& row = kCommands[index];
  const unsigned state = state_.selected ? kSelected : state_.login ? kLoggedIn : kFresh;
  unsigned states = row.states;
  if (const auto* append = std::get_if<imap::AppendCommand>(&command.body)) {
    if (append->replaced) states = kSelected;
  }
  if (state_.uid_only && (states & state) != 0 && UsesSequences(command.body)) {
    if (std::holds_alternative<imap::AppendCommand>(command.body)) receiver_.RejectAppend();
    CountCommand(index, Condition::kBad);
    ImapReply reply = ImapReply::Bad("Sequence numbers are off", "UIDREQUIRED");
    co_await Answer(std::move(command.tag), row.name, false, false, std::move(reply));
    co_return;
  }
  if ((states & state) == 0) {
    if (std::holds_alternative<imap::AppendCommand>(command.body)) receiver_.RejectAppend();
    ImapReply reply = ImapReply::Bad(state == kFresh        ? "Please authenticate first"
                                     : row.states == kFresh ? "Already authenticated"
                                                            : "No mailbox selected");
    CountCommand(index, reply.condition);
    co_await Answer(std::move(command.tag), row.name, false, false, std::move(reply));
    co_return;
  }
  state_.tag = command.tag;
  if (auto* append = std::get_if<imap::AppendCommand>(&command.body)) {
    Task<void> run = RunAppend(std::move(command.tag), std::move(*append));
    co_await std::move(run);
    co_return;
  }
  const bool allow_expunge = !row.keeps_sequence_numbers || IsUidForm(command.body);
  Task<ImapReply> task =
      std::visit([this](auto&& alternative) { return Handle(std::move(alternative)); },
                 std::move(command.body));
  ImapReply reply = co_await std::move(task);
  CountCommand(index, reply.failure.ok()           ? reply.condition
                      : imap::IsBad(reply.failure) ? Condition::kBad
                                                   : Condition::kNo);
  const bool sync = row.sync == SyncAfter::kAlways ||
                    (row.sync == SyncAfter::kIfStale &&
                     (state_.stale || (state_.selected && allow_expunge &&
                                       state_.selected->has_unreported_expunges())));
  co_await Answer(std::move(command.tag), row.name, sync, allow_expunge, std::move(reply));
  if (start_deflate_ && !over_) co_await StartDeflate();
  if (start_tls_ && !over_) {
    start_tls_ = false;
    const absl::Status written = co_await state_.Flush();
    absl::Status secured = written;
    if (written.ok()) {
      secured = co_await state_.stream->StartTlsServer(*state_.dependencies.tls,
                                                       state_.limits.login_timeout);
    }
    // Nothing that arrived in clear text survives (RFC 3501 section 6.2.1).
    receiver_.Reset();
    if (!secured.ok()) over_ = true;
  }
}

Task<void> ImapSession::StartDeflate() {
  start_deflate_ = false;
  const absl::Status written = co_await state_.Flush();
  if (!written.ok()) {
    over_ = true;
    co_return;
  }
  state_.compressed = net::MakeDeflateStream(*state_.stream);
  state_.stream = state_.compressed.get();
}

Task<void> ImapSession::Answer(std::string tag, const char* name, bool sync, bool allow_expunge,
                               ImapReply reply) {
  if (reply.broken) {
    state_.out.clear();
    over_ = true;
    co_return;
  }
  if (over_ && reply.condition != Condition::kOk) co_return;
  const bool tells_modseq = reply.tells_modseq && state_.qresync && state_.selected;
  if ((sync || tells_modseq) && state_.selected) {
    const absl::Status synced = co_await state_.Sync(allow_expunge);
    if (!synced.ok()) {
      End("NONEXISTENT", PeerText(synced));
      co_return;
    }
  }
  if (tells_modseq) reply.code = "HIGHESTMODSEQ " + std::to_string(state_.selected->modseq());
  if (reply.failure.ok()) {
    if (reply.lowest_processed != 0) {
      std::string code = state_.MessageLimitCode(reply.lowest_processed);
      if (reply.code.empty()) {
        reply.code = std::move(code);
      } else {
        // RFC 9738 section 3.1: where there is another response code.
        imap::AppendStatusResponse({}, Condition::kNo, code, "Not all messages were processed",
                                   state_.out);
      }
    }
    imap::AppendStatusResponse(tag, reply.condition, reply.code, reply.text, state_.out);
    if (reply.condition == Condition::kBad) CountError();
    co_return;
  }
  const Failure failure = FailureOf(reply.failure);
  if (failure == Failure::kUnknown || !IsPermanent(reply.failure)) {
    log::Warn("imap", "command failed", {{"command", name}, {"status", reply.failure}});
  }
  if (reply.code.empty()) {
    imap::AppendFailure(tag, reply.failure, state_.out);
  } else {
    imap::AppendStatusResponse(tag, Condition::kNo, reply.code, PeerText(reply.failure),
                               state_.out);
  }
  if (imap::IsBad(reply.failure) || failure == Failure::kAuthenticationFailed) CountError();
}

Task<void> ImapSession::RunAppend(std::string tag, imap::AppendCommand command) {
  const bool synchronising = command.synchronising;
  const auto append = std::make_unique<ImapAppend>(state_, std::move(command));
  absl::Status started = co_await append->Start();
  const std::size_t index = imap::CommandBody(imap::AppendCommand()).index();
  if (!started.ok()) {
    receiver_.RejectAppend();
    CountCommand(index, Condition::kNo);
    const char* code = FailureOf(started) == Failure::kNoSuchMailbox ? "TRYCREATE" : "";
    ImapReply reply = ImapReply::Failed(std::move(started), code);
    co_await Answer(std::move(tag), "APPEND", false, false, std::move(reply));
    co_return;
  }
  receiver_.AcceptAppend();
  if (synchronising) imap::AppendContinuation("OK", state_.out);
  for (;;) {
    imap::Received received = receiver_.Next();
    if (auto* chunk = std::get_if<imap::AppendChunk>(&received)) {
      std::string bytes = std::move(chunk->bytes);
      // What is left of the message is read, to stay in step; Finish tells of the error.
      const absl::Status ignored = co_await append->Write(std::move(bytes));
      (void)ignored;
    } else if (auto* next = std::get_if<imap::AppendNext>(&received)) {
      const bool waits = next->message.synchronising;
      imap::AppendCommand message = std::move(next->message);
      absl::Status begun = co_await append->Next(std::move(message));
      if (!begun.ok()) {
        // Nothing of the command is stored: what the client still sends of it is of no use.
        receiver_.RejectAppend();
        CountCommand(index, Condition::kNo);
        ImapReply reply = ImapReply::Failed(std::move(begun), append->limit_code());
        co_await Answer(std::move(tag), "APPEND", true, true, std::move(reply));
        co_return;
      }
      receiver_.AcceptAppend();
      if (waits) imap::AppendContinuation("OK", state_.out);
    } else if (auto* end = std::get_if<imap::AppendEnd>(&received)) {
      absl::Status status = std::move(end->status);
      ImapReply reply = co_await append->Finish(std::move(status));
      CountCommand(index, reply.failure.ok() ? reply.condition : Condition::kNo);
      co_await Answer(std::move(tag), "APPEND", true, true, std::move(reply));
      co_return;
    } else {
      const bool more = co_await ReadMore();
      if (!more) co_return;
    }
  }
}

Task<ImapReply> ImapSession::Handle(imap::CapabilityCommand) {
  state_.out += "* CAPABILITY " + state_.Capabilities() + "\r\n";
  co_return ImapReply::Ok("Capability completed");
}

Task<ImapReply> ImapSession::Handle(imap::NoopCommand) {
  co_return ImapReply::Ok("NOOP completed");
}

Task<ImapReply> ImapSession::Handle(imap::CheckCommand) {
  co_return ImapReply::Ok("Check completed");
}

Task<ImapReply> ImapSession::Handle(imap::LogoutCommand) {
  End({}, "Logging out");
  co_return ImapReply::Ok("Logout completed");
}

Task<ImapReply> ImapSession::Handle(imap::NamespaceCommand) {
  state_.out += "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n";
  co_return ImapReply::Ok("Namespace completed");
}

Task<ImapReply> ImapSession::Handle(imap::IdCommand) { co_return HandleId(state_); }

Task<ImapReply> ImapSession::Handle(imap::EnableCommand command) {
  ImapReply reply = HandleEnable(state_, command);
  receiver_.SetUtf8(state_.utf8_names());
  co_return reply;
}

// RFC 8437: as after the greeting, or STARTTLS; what was done to the mailbox stays.
Task<ImapReply> ImapSession::Handle(imap::UnauthenticateCommand) {
  state_.Deselect();
  state_.login.reset();
  state_.appended_to.clear();
  state_.DisableAll();
  receiver_.SetUtf8(false);
  SetLiteralLimit();
  co_return ImapReply::Ok("Unauthenticate completed", "CAPABILITY " + state_.Capabilities());
}

Task<ImapReply> ImapSession::Handle(imap::StartTlsCommand) {
  if (state_.stream->tls().active) co_return ImapReply::Bad("TLS is already active");
  // After UNAUTHENTICATE, which leaves it on (RFC 8437 section 4).
  if (state_.compressed) co_return ImapReply::Bad("Compression is active");
  if (state_.dependencies.tls == nullptr) co_return ImapReply::Bad("TLS is not available");
  start_tls_ = true;
  co_return ImapReply::Ok("Begin TLS negotiation now");
}

Task<ImapReply> ImapSession::Handle(imap::LoginCommand command) {
  ImapReply reply = co_await HandleLogin(state_, std::move(command));
  SetLiteralLimit();
  co_return reply;
}

Task<ImapReply> ImapSession::Handle(imap::AuthenticateCommand command) {
  if (!state_.MayAuthenticate()) {
    co_return ImapReply::Failed(MakeFailure(Failure::kEncryptionRequired));
  }
  AuthenticationPeer peer(*state_.stream, "imap");
  const std::unique_ptr<Authenticator::Exchange> exchange = Authenticator::Exchange::Make(
      *state_.dependencies.authenticator, std::move(peer), command.mechanism);
  if (exchange == nullptr) {
    co_return ImapReply::No("Unsupported authentication mechanism", "CANNOT");
  }
  using Outcome = Authenticator::Exchange::Outcome;
  Outcome outcome = co_await exchange->Start(std::move(command.response));
  while (outcome.kind == Outcome::Kind::kChallenge) {
    imap::AppendContinuation(outcome.challenge, state_.out);
    imap::Received line = co_await ReadLine();
    if (over_) co_return ImapReply::Broken();
    if (auto* failure = std::get_if<imap::CommandFailure>(&line)) {
      co_return ImapReply::Failed(failure->status);
    }
    std::string response = std::move(std::get<imap::RawLine>(line).text);
    outcome = co_await exchange->OnLine(std::move(response));
  }
  ImapReply reply = AfterAuthentication(state_, std::move(outcome));
  SetLiteralLimit();
  co_return reply;
}

Task<ImapReply> ImapSession::Handle(imap::CloseCommand) { return HandleClose(state_, true); }
Task<ImapReply> ImapSession::Handle(imap::UnselectCommand) { return HandleClose(state_, false); }
Task<ImapReply> ImapSession::Handle(imap::SelectCommand command) {
  return HandleSelect(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::CreateCommand command) {
  return HandleCreate(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::DeleteCommand command) {
  return HandleDelete(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::RenameCommand command) {
  return HandleRename(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::SubscribeCommand command) {
  return HandleSubscribe(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::ListCommand command) {
  return HandleList(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::StatusCommand command) {
  return HandleStatus(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::AppendCommand) {
  co_return ImapReply::Bad("Unexpected");  // RunCommand has taken it
}
Task<ImapReply> ImapSession::Handle(imap::ExpungeCommand command) {
  return HandleExpunge(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::StoreCommand command) {
  return HandleStore(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::CopyCommand command) {
  return HandleCopy(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::FetchCommand command) {
  return HandleFetch(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::SearchCommand command) {
  return HandleSearch(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::SortCommand command) {
  return HandleSort(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::ThreadCommand command) {
  return HandleThread(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::GetQuotaCommand command) {
  return HandleGetQuota(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::GetQuotaRootCommand command) {
  return HandleGetQuotaRoot(state_, std::move(command));
}
Task<ImapReply> ImapSession::Handle(imap::SetQuotaCommand command) {
  co_return HandleSetQuota(command);
}
// RFC 4978: what follows the answer is compressed.
Task<ImapReply> ImapSession::Handle(imap::CompressCommand command) {
  if (command.mechanism != "DEFLATE") co_return ImapReply::Bad("Unknown algorithm");
  if (state_.compressed) {
    co_return ImapReply::No("Compression is active already", "COMPRESSIONACTIVE");
  }
  start_deflate_ = true;
  co_return ImapReply::Ok("Compression begins");
}

}  // namespace posthorn::gateway
