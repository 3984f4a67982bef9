#include "lib/smtp/client/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/client/orcpt.h"
#include "lib/smtp/xtext.h"

namespace posthorn::smtp::client {
namespace {

constexpr std::size_t kMaxAddress = 1000;

bool IsAscii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// Nothing that could end the path, the command or the line early. The gateway has checked the
// syntax when it took the address; this is the last gate.
bool IsSendable(std::string_view address) {
  if (address.size() > kMaxAddress) return false;
  bool quoted = false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(address[i]);
    if (absl::ascii_iscntrl(c)) return false;
    if (quoted && c == '\\') {
      if (++i == address.size() || absl::ascii_iscntrl(static_cast<unsigned char>(address[i]))) {
        return false;
      }
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ' ' || c == '<' || c == '>')) {
      return false;
    }
  }
  return !quoted;
}

Reply OwnReply(int code, std::string enhanced, std::string text) {
  Reply reply;
  reply.code = code;
  reply.enhanced = std::move(enhanced);
  reply.lines.push_back(std::move(text));
  return reply;
}

}  // namespace

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kGreeting: return "connecting";
    case Stage::kHello: return "EHLO";
    case Stage::kStartTls: return "STARTTLS";
    case Stage::kAuth: return "AUTH";
    case Stage::kMail: return "MAIL FROM";
    case Stage::kRcpt: return "RCPT TO";
    case Stage::kData: return "DATA";
    case Stage::kFinalDot: return "end of DATA";
  }
  return "";
}

Session::Session(SessionOptions options)
    : options_(std::move(options)), tls_active_(options_.tls_from_start) {}

std::string Session::TakeOutput() { return std::exchange(output_, std::string()); }

void Session::Become(State state, Need need, Stage stage) {
  state_ = state;
  need_ = need;
  stage_ = stage;
}

void Session::Feed(std::string_view bytes) {
  parser_.Feed(bytes);
  while (state_ != State::kClosed) {
    absl::StatusOr<std::optional<Reply>> next = parser_.Next();
    if (!next.ok()) return Fail(next.status());
    if (!next->has_value()) return;
    OnReply(**std::move(next));
  }
}

void Session::OnReply(Reply reply) {
  // RFC 5321 section 3.8: 421 may come at any moment, and ends the connection.
  const bool closing = reply.code == 421;
  switch (state_) {
    case State::kGreeting:
      if (reply.code != 220) return CloseBy(reply, Stage::kGreeting);
      return SendHello(true);
    case State::kEhlo:
      return OnEhlo(std::move(reply));
    case State::kHelo:
      if (!reply.positive()) return CloseBy(reply, Stage::kHello);
      return WithoutTls();
    case State::kAuth:
      if (closing) return CloseBy(reply, Stage::kAuth);
      return OnAuthReply(reply);
    case State::kStartTlsReply:
      if (closing) return CloseBy(reply, Stage::kStartTls);
      if (reply.code != 220) return WithoutTls();
      // What came in clear after the 220 was not said by the server that TLS will prove
      // (RFC 3207 section 4.2): it is dropped.
      parser_.Clear();
      return Become(State::kStartTls, Need::kStartTls, Stage::kStartTls);
    case State::kTransaction:
      return OnTransactionReply(std::move(reply));
    case State::kFinalReply:
      return chunked_ ? OnChunkReply(reply) : OnFinalReply(reply);
    case State::kBody:
      if (chunked_ && unanswered_chunks_ > 0) return OnChunkReply(reply);
      // An early answer to a body that is still on its way: refused, and out of step.
      if (reply.temporary() || reply.permanent()) {
        DecideAll(reply, Stage::kFinalDot);
        return CloseBy(reply, Stage::kFinalDot);
      }
      return Fail(MakeFailure(Failure::kRemoteTemporary, "unexpected reply during DATA"));
    case State::kReady:
      return CloseBy(reply, Stage::kMail);
    case State::kStartTls:
    case State::kClosed:
      return;
  }
}

void Session::SendHello(bool extended) {
  const char* const verb = options_.lmtp ? "LHLO " : extended ? "EHLO " : "HELO ";
  absl::StrAppend(&output_, verb, options_.hostname, "\r\n");
  Become(extended ? State::kEhlo : State::kHelo, Need::kReply, Stage::kHello);
}

void Session::OnEhlo(Reply reply) {
  if (reply.permanent()) {
    if (tls_active_ || options_.lmtp) return CloseBy(reply, Stage::kHello);
    return SendHello(false);
  }
  if (!reply.positive()) return CloseBy(reply, Stage::kHello);
  capabilities_ = ParseCapabilities(reply);
  if (options_.allow_starttls && capabilities_.starttls && !tls_active_) {
    output_.append("STARTTLS\r\n");
    return Become(State::kStartTlsReply, Need::kReply, Stage::kStartTls);
  }
  if (!tls_active_) return WithoutTls();
  LogIn();
}

void Session::OnTlsStarted() {
  if (state_ != State::kStartTls) return;
  parser_.Clear();
  tls_active_ = true;
  capabilities_ = Capabilities();
  SendHello(true);
}

void Session::Begin(Transaction transaction) {
  transaction_ = std::move(transaction);
  outcomes_.assign(transaction_.recipients.size(), RecipientOutcome());
  commands_.clear();
  sent_ = answered_ = accepted_ = 0;
  mail_refused_ = final_dot_lost_ = transaction_answered_ = chunk_refused_ = false;
  // An LMTP server answers for each recipient, which only the reply to DATA does here.
  chunked_ = capabilities_.chunking && !options_.lmtp;
  unanswered_chunks_ = 0;
  if (state_ != State::kReady) return;

  if (!IsSendable(transaction_.reverse_path)) {
    return DecideAll(OwnReply(553, "5.1.7", "malformed sender address"), Stage::kMail);
  }
  if (const Reply missing = MissingExtension(); missing.code != 0) {
    DecideAll(missing, Stage::kMail);
    for (RecipientOutcome& outcome : outcomes_) outcome.lacks_extension = true;
    return;
  }
  if (capabilities_.max_size != 0 && transaction_.size > capabilities_.max_size) {
    return DecideAll(
        OwnReply(552, "5.3.4",
                 absl::StrCat("message of ", transaction_.size, " octets is over the limit of ",
                              capabilities_.max_size, " that the server announces")),
        Stage::kMail);
  }
  if (needs_reset_) commands_.push_back({CommandKind::kReset});
  commands_.push_back({CommandKind::kMail});
  std::size_t recipients = 0;
  for (std::size_t i = 0; i < transaction_.recipients.size(); ++i) {
    const std::string& address = transaction_.recipients[i];
    RecipientOutcome& outcome = outcomes_[i];
    if (address.empty() || !IsSendable(address)) {
      outcome.reply = OwnReply(553, "5.1.3", "malformed recipient address");
    } else if (!IsAscii(address) && !capabilities_.smtputf8) {
      outcome.reply = OwnReply(553, "5.6.7", "the server does not take UTF-8 addresses");
      outcome.lacks_extension = true;
    } else {
      commands_.push_back({CommandKind::kRcpt, i});
      ++recipients;
      continue;
    }
    outcome.stage = Stage::kRcpt;
    outcome.decided = true;
  }
  if (recipients == 0) return;
  if (!chunked_) commands_.push_back({CommandKind::kData});
  Become(State::kTransaction, Need::kReply, Stage::kMail);
  SendMore();
}

// Sends what may be sent: all of it as far as the window goes with PIPELINING, else one command.
void Session::SendMore() {
  const std::size_t window = capabilities_.pipelining ? options_.pipeline_window : 1;
  while (sent_ < commands_.size() && sent_ - answered_ < window) {
    const Command& next = commands_[sent_];
    // Nothing that is known to be in vain.
    if (mail_refused_ || (next.kind == CommandKind::kData && answered_ == sent_ && accepted_ == 0)) {
      commands_.resize(sent_);
      break;
    }
    Write(next);
    ++sent_;
  }
  if (answered_ != commands_.size()) return;
  if (chunked_ && accepted_ > 0 && !mail_refused_) {
    return Become(State::kBody, Need::kBody, Stage::kFinalDot);
  }
  EndTransaction();
}

void Session::Write(const Command& command) {
  switch (command.kind) {
    case CommandKind::kReset:
      output_.append("RSET\r\n");
      return;
    case CommandKind::kMail: {
      absl::StrAppend(&output_, "MAIL FROM:<", transaction_.reverse_path, ">");
      if (capabilities_.size) absl::StrAppend(&output_, " SIZE=", transaction_.size);
      if (transaction_.body_is_binary) {
        output_.append(" BODY=BINARYMIME");
      } else if (capabilities_.eight_bit && transaction_.body_is_8bit) {
        output_.append(" BODY=8BITMIME");
      }
      bool utf8 = transaction_.smtputf8 || !IsAscii(transaction_.reverse_path);
      for (const std::string& recipient : transaction_.recipients) utf8 |= !IsAscii(recipient);
      if (capabilities_.smtputf8 && utf8) output_.append(" SMTPUTF8");
      if (transaction_.require_tls) output_.append(" REQUIRETLS");
      if (capabilities_.dsn && !transaction_.ret.empty()) {
        absl::StrAppend(&output_, " RET=", transaction_.ret);
      }
      if (capabilities_.dsn && !transaction_.envelope_id.empty()) {
        absl::StrAppend(&output_, " ENVID=", EncodeXtext(transaction_.envelope_id));
      }
      if (capabilities_.priority && transaction_.priority != 0) {
        absl::StrAppend(&output_, " MT-PRIORITY=", transaction_.priority);
      }
      if (capabilities_.deliver_by && transaction_.deliver_by.has_value()) {
        const DeliverByRequest& by = *transaction_.deliver_by;
        absl::StrAppend(&output_, " BY=", by.seconds, by.return_after ? ";R" : ";N",
                        by.trace ? "T" : "");
      }
      if (capabilities_.verp && !transaction_.verp_delimiters.empty()) {
        absl::StrAppend(&output_, " XVERP=", transaction_.verp_delimiters);
      }
      output_.append("\r\n");
      return;
    }
    case CommandKind::kRcpt:
      absl::StrAppend(&output_, "RCPT TO:<", transaction_.recipients[command.recipient], ">");
      if (capabilities_.dsn && command.recipient < transaction_.dsn.size()) {
        const DsnRequest& dsn = transaction_.dsn[command.recipient];
        if (!dsn.notify.empty()) absl::StrAppend(&output_, " NOTIFY=", dsn.notify);
        const std::string original = EncodeOrcpt(dsn.original_recipient);
        if (!original.empty()) absl::StrAppend(&output_, " ORCPT=", original);
      }
      output_.append("\r\n");
      return;
    case CommandKind::kData:
      output_.append("DATA\r\n");
      return;
  }
}

void Session::OnTransactionReply(Reply reply) {
  if (answered_ >= sent_) return CloseBy(reply, stage_);
  const Command command = commands_[answered_];
  if (reply.code == 421) return CloseBy(reply, stage_);
  ++answered_;
  if (command.kind != CommandKind::kReset) transaction_answered_ = true;
  if (answered_ < commands_.size()) {
    const CommandKind next = commands_[answered_].kind;
    stage_ = next == CommandKind::kRcpt   ? Stage::kRcpt
             : next == CommandKind::kData ? Stage::kData
                                          : Stage::kMail;
  }
  switch (command.kind) {
    case CommandKind::kReset:
      if (!reply.positive()) return CloseBy(reply, Stage::kMail);
      needs_reset_ = false;
      break;
    case CommandKind::kMail:
      if (reply.intermediate()) return CloseBy(reply, Stage::kMail);
      if (!reply.positive()) {
        mail_refused_ = true;
        DecideAll(reply, Stage::kMail);
      } else {
        needs_reset_ = true;
      }
      break;
    case CommandKind::kRcpt: {
      if (mail_refused_) break;
      if (reply.intermediate()) return CloseBy(reply, Stage::kRcpt);
      RecipientOutcome& outcome = outcomes_[command.recipient];
      outcome.stage = Stage::kRcpt;
      outcome.decided = !reply.positive();
      accepted_ += reply.positive() ? 1 : 0;
      outcome.reply = std::move(reply);
      break;
    }
    case CommandKind::kData:
      return OnData(reply);
  }
  SendMore();
}

void Session::OnData(const Reply& reply) {
  if (reply.code == 354) {
    if (accepted_ > 0) return Become(State::kBody, Need::kBody, Stage::kFinalDot);
    // RFC 2033 section 4.2 has no reply to an empty message.
    if (options_.lmtp) return CloseBy(reply, Stage::kData);
    // RFC 2920 section 3.1: with no valid recipient the client has to end the empty message.
    output_.append(".\r\n");
    return Become(State::kFinalReply, Need::kReply, Stage::kFinalDot);
  }
  if (reply.positive() || reply.intermediate()) return CloseBy(reply, Stage::kData);
  DecideAll(reply, Stage::kData);
  EndTransaction();
}

// What this server lacks that the message can't go without; a code of 0: nothing.
Reply Session::MissingExtension() const {
  const Transaction& t = transaction_;
  if (t.require_tls && !(tls_active_ && capabilities_.require_tls)) {
    return OwnReply(550, "5.7.30", "the server does not offer REQUIRETLS");
  }
  if ((t.smtputf8 || !IsAscii(t.reverse_path)) && !capabilities_.smtputf8) {
    return OwnReply(553, "5.6.7", "the server does not take UTF-8 addresses");
  }
  if (t.body_is_binary && !(capabilities_.chunking && capabilities_.binary)) {
    return OwnReply(554, "5.6.3", "the server does not take binary messages");
  }
  if (t.deliver_by.has_value() && t.deliver_by->return_after) {
    if (!capabilities_.deliver_by) {
      return OwnReply(550, "5.3.3", "the server does not promise delivery by a given time");
    }
    if (t.deliver_by->seconds < std::max(1, capabilities_.min_deliver_by)) {
      return OwnReply(550, "5.4.7", "too little time is left for the server to deliver");
    }
  }
  return Reply();
}

void Session::SendChunk(std::size_t octets, bool last) {
  if (state_ != State::kBody || !chunked_) return;
  absl::StrAppend(&output_, "BDAT ", octets, last ? " LAST\r\n" : "\r\n");
  ++unanswered_chunks_;
  if (last) Become(State::kFinalReply, Need::kReply, Stage::kFinalDot);
}

void Session::OnChunkReply(const Reply& reply) {
  if (reply.code == 421 || reply.intermediate()) return CloseBy(reply, Stage::kFinalDot);
  --unanswered_chunks_;
  if (!reply.positive()) {
    // RFC 3030 section 2: the transaction has failed, and what is on its way fails with it.
    DecideAll(reply, Stage::kFinalDot);
    chunk_refused_ = true;
    Become(State::kFinalReply, Need::kReply, Stage::kFinalDot);
  }
  if (state_ != State::kFinalReply || unanswered_chunks_ > 0) return;
  DecideAll(reply, Stage::kFinalDot);
  needs_reset_ = chunk_refused_;
  EndTransaction();
}

void Session::BodySent() {
  if (state_ == State::kBody) Become(State::kFinalReply, Need::kReply, Stage::kFinalDot);
}

// RFC 2033 section 4.2: a reply for each recipient that was accepted, in their order. True: more are
// to come.
bool Session::OnRecipientReply(const Reply& reply) {
  bool given = false;
  for (RecipientOutcome& outcome : outcomes_) {
    if (outcome.decided) continue;
    if (given) return true;
    outcome.reply = reply;
    outcome.stage = Stage::kFinalDot;
    outcome.decided = given = true;
  }
  return false;
}

void Session::OnFinalReply(const Reply& reply) {
  if (reply.intermediate()) return CloseBy(reply, Stage::kFinalDot);
  if (options_.lmtp && reply.code != 421) {
    if (OnRecipientReply(reply)) return;
    needs_reset_ = false;
    return EndTransaction();
  }
  DecideAll(reply, Stage::kFinalDot);
  if (reply.code == 421) return CloseBy(reply, Stage::kFinalDot);
  needs_reset_ = !reply.positive();
  EndTransaction();
}

void Session::EndTransaction() { Become(State::kReady, Need::kReady, Stage::kMail); }

void Session::DecideAll(const Reply& reply, Stage stage) {
  for (RecipientOutcome& outcome : outcomes_) {
    if (outcome.decided) continue;
    outcome.reply = reply;
    outcome.stage = stage;
    outcome.decided = true;
  }
}

void Session::CloseBy(const Reply& reply, Stage stage) {
  closing_reply_ = reply;
  Become(State::kClosed, Need::kClosed, stage);
  error_ = MakeFailure(Failure::kRemoteTemporary,
                       absl::StrCat("server said ", reply.code, " ", reply.text(), " (",
                                    absl::string_view(StageName(stage).data(),
                                                      StageName(stage).size()),
                                    ")"));
  for (RecipientOutcome& outcome : outcomes_) {
    if (outcome.decided) continue;
    outcome.reply = reply;
    outcome.stage = stage;
  }
}

void Session::Fail(absl::Status why) { ConnectionLost(std::move(why)); }

void Session::ConnectionLost(absl::Status why) {
  if (state_ == State::kClosed) return;
  final_dot_lost_ = final_dot_pending();
  for (RecipientOutcome& outcome : outcomes_) {
    if (outcome.decided) continue;
    outcome.reply = Reply();
    outcome.stage = stage_;
  }
  error_ = std::move(why);
  Become(State::kClosed, Need::kClosed, stage_);
}

void Session::Quit() {
  if (state_ != State::kReady) return;
  output_.append("QUIT\r\n");
  Become(State::kClosed, Need::kClosed, Stage::kMail);
}

}  // namespace posthorn::smtp::client
