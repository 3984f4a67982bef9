#ifndef POSTHORN_LIB_SMTP_CLIENT_SESSION_H_
#define POSTHORN_LIB_SMTP_CLIENT_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/smtp/client/capabilities.h"
#include "lib/smtp/client/reply.h"

namespace posthorn::smtp::client {

// What a server with DSN is asked for a recipient (RFC 3461 sections 4.1 and 4.2).
struct DsnRequest {
  std::string notify;              // "NEVER", "SUCCESS,FAILURE"; empty: nothing
  std::string original_recipient;  // "rfc822;bob@example.net", decoded; empty: none
};

// How long a server with DELIVERBY has (RFC 2852 section 4).
struct DeliverByRequest {
  std::int64_t seconds = 0;  // that are left; 0 or less only without `return_after`
  bool return_after = false;
  bool trace = false;
};

// Which mail to send; the body itself passes by the session.
struct Transaction {
  std::string reverse_path;             // empty: null
  std::vector<std::string> recipients;  // addr-specs, at least one
  std::uint64_t size = 0;               // octets before dot-stuffing
  bool body_is_8bit = false;
  // Asked of servers that offer the extension, and left out with others.
  std::vector<DsnRequest> dsn;  // one a recipient, or none at all
  std::string envelope_id;      // ENVID, decoded; empty: none
  std::string ret;              // "FULL", "HDRS"; empty: not said
  int priority = 0;             // MT-PRIORITY; 0: not said
  // Without these extensions the server can't have the message: see RecipientOutcome.
  bool body_is_binary = false;  // BINARYMIME and CHUNKING
  bool smtputf8 = false;        // SMTPUTF8 also where all addresses are ASCII
  bool require_tls = false;     // REQUIRETLS, told under TLS
  // With `return_after` too; without it, left out.
  std::optional<DeliverByRequest> deliver_by;
  std::string verp_delimiters;  // XVERP, as Postfix has it; empty: not said
};

enum class Stage { kGreeting, kHello, kStartTls, kAuth, kMail, kRcpt, kData, kFinalDot };
std::string_view StageName(Stage stage);  // "RCPT TO"

// What became of one recipient: the reply that decided, and where. A code of 0: no reply decided,
// the connection failed (always temporary).
struct RecipientOutcome {
  Reply reply;
  Stage stage = Stage::kMail;
  bool decided = false;
  // `reply` is ours: this server lacks an extension that the message needs. Another may have it.
  bool lacks_extension = false;
  bool delivered() const { return decided && reply.positive(); }
  bool permanent() const { return decided && reply.permanent(); }
};

// The client's side of a login (RFC 4954); all text is base64 as it goes over the wire.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Begins with one of the mechanisms: "PLAIN AGFubgB..." for the AUTH command.
  virtual absl::StatusOr<std::string> Begin(const std::vector<std::string>& mechanisms) = 0;
  // An error: cancel.
  virtual absl::StatusOr<std::string> Answer(std::string_view challenge) = 0;
  // Whether the server's success is one: it may have to prove itself too.
  virtual bool Done() const = 0;
};

struct SessionOptions {
  std::string hostname;         // for EHLO
  bool allow_starttls = true;   // opportunistic: used when offered
  // Without TLS the session ends with kTlsFailed and starttls_refused().
  bool require_tls = false;
  bool tls_from_start = false;  // RFC 8314 section 3.3: the connection is encrypted already
  bool lmtp = false;            // RFC 2033
  // Logs in, under TLS only: a server that does not take it ends the session. Outlives it.
  Authenticator* authenticator = nullptr;
  std::size_t pipeline_window = 100;  // commands sent ahead of their replies
};

// The client's side of one SMTP connection, without the connection (RFC 5321 section 3, RFC 2920,
// RFC 3207, RFC 1870, RFC 6152). The caller moves bytes: it sends what TakeOutput gives, feeds what
// it reads, and does what need() says. Many transactions may follow each other. No command has a
// bare CR or LF: an address that is not fit to be sent fails by itself with 5.1.3.
class Session {
 public:
  enum class Need {
    kReply,     // read and Feed
    kStartTls,  // do the handshake, then OnTlsStarted; or give the connection up
    kReady,     // Begin the next transaction; outcomes() has the results of the last
    kBody,      // send the message: chunked() with SendChunk, else through a DotEncoder and BodySent
    kClosed,    // the connection is of no more use: `error` says why; outcomes() is complete
  };

  explicit Session(SessionOptions options);

  Need need() const { return need_; }
  const absl::Status& error() const { return error_; }
  // The bytes to be sent now; empty: none.
  std::string TakeOutput();

  void Feed(std::string_view bytes);
  void OnTlsStarted();
  // In kReady only.
  void Begin(Transaction transaction);
  // In kBody only: the final dot is on its way, with it went all that TakeOutput had given.
  void BodySent();
  // In kBody, when the server offers CHUNKING: the message goes by BDAT (RFC 3030). The command for
  // a piece of `octets` is in TakeOutput, the piece follows it. Replies come in between: when need()
  // is kBody no more, the rest is in vain. Without PIPELINING at most one may be unanswered.
  bool chunked() const { return chunked_; }
  void SendChunk(std::size_t octets, bool last);
  std::size_t unanswered_chunks() const { return unanswered_chunks_; }
  // The connection broke or timed out: what was not decided stays so. Leads to kClosed.
  void ConnectionLost(absl::Status why);
  // In kReady: QUIT in TakeOutput, then kClosed at once; nobody has to wait for the 221.
  void Quit();

  // Which reply is waited for: chooses the timeout, and names the place of a failure.
  Stage stage() const { return stage_; }
  // True from BodySent until its reply: a loss now may mean a duplicate.
  bool final_dot_pending() const {
    return state_ == State::kFinalReply && accepted_ > 0 && !chunk_refused_;
  }
  // True when the connection was lost in that state.
  bool final_dot_lost() const { return final_dot_lost_; }
  // True once a reply has come to a command of the current transaction: before that, a failing
  // connection that was reused was merely stale.
  bool transaction_answered() const { return transaction_answered_; }
  const std::vector<RecipientOutcome>& outcomes() const { return outcomes_; }
  const Capabilities& capabilities() const { return capabilities_; }
  bool tls_active() const { return tls_active_; }
  // require_tls, and the server has no STARTTLS or did not want it.
  bool starttls_refused() const { return starttls_refused_; }
  // The authenticator's login failed: error() says why.
  bool login_failed() const { return login_failed_; }
  // The reply that ended the connection (a refused greeting, 421); code 0: none.
  const Reply& closing_reply() const { return closing_reply_; }

 private:
  enum class State {
    kGreeting, kEhlo, kHelo, kStartTlsReply, kStartTls, kAuth, kReady, kTransaction, kBody, kFinalReply,
    kClosed
  };
  enum class CommandKind { kReset, kMail, kRcpt, kData };
  struct Command {
    CommandKind kind;
    std::size_t recipient = 0;
  };

  void OnReply(Reply reply);
  void OnEhlo(Reply reply);
  void WithoutTls();
  void LogIn();
  void OnAuthReply(const Reply& reply);
  void LoginFailed(std::string why);
  bool OnRecipientReply(const Reply& reply);
  void OnTransactionReply(Reply reply);
  void OnData(const Reply& reply);
  void OnFinalReply(const Reply& reply);
  void OnChunkReply(const Reply& reply);
  Reply MissingExtension() const;
  void SendHello(bool extended);
  void SendMore();
  void Write(const Command& command);
  void Become(State state, Need need, Stage stage);
  void DecideAll(const Reply& reply, Stage stage);
  void EndTransaction();
  void CloseBy(const Reply& reply, Stage stage);
  void Fail(absl::Status why);

  const SessionOptions options_;
  State state_ = State::kGreeting;
  Need need_ = Need::kReply;
  Stage stage_ = Stage::kGreeting;
  absl::Status error_;
  std::string output_;
  ReplyParser parser_;
  Capabilities capabilities_;
  Reply closing_reply_;
  bool tls_active_ = false;
  bool starttls_refused_ = false;
  bool login_failed_ = false;

  Transaction transaction_;
  std::vector<RecipientOutcome> outcomes_;
  std::vector<Command> commands_;  // of the transaction, in order
  std::size_t sent_ = 0;           // of commands_
  std::size_t answered_ = 0;       // of commands_
  std::size_t accepted_ = 0;       // recipients with a 2xx
  bool mail_refused_ = false;
  bool final_dot_lost_ = false;
  bool transaction_answered_ = false;
  bool needs_reset_ = false;       // the server may still hold an envelope
  bool chunked_ = false;
  bool chunk_refused_ = false;
  std::size_t unanswered_chunks_ = 0;
};

}  // namespace posthorn::smtp::client

#endif  // POSTHORN_LIB_SMTP_CLIENT_SESSION_H_
