#ifndef POSTHORN_SERVICES_DELIVERY_CONNECTION_H_
#define POSTHORN_SERVICES_DELIVERY_CONNECTION_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/smtp/client/session.h"
#include "services/delivery/body_source.h"
#include "services/delivery/login.h"
#include "services/delivery/mail_router.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

struct ConnectionOptions {
  std::string hostname;  // for EHLO
  const net::TlsContext* tls = nullptr;  // checks nothing; nullptr: STARTTLS is not used
  // Checks certificates; nullptr: where TlsLevel::kVerified is asked for, TLS fails.
  const net::TlsContext* verified_tls = nullptr;
  TlsObserver* tls_observer = nullptr;  // nullptr: nobody wants to know
  // RFC 5321 section 4.5.3.2.
  absl::Duration connect_timeout = absl::Seconds(30);
  absl::Duration command_timeout = absl::Minutes(5);
  absl::Duration final_dot_timeout = absl::Minutes(10);
};

// Where a connection leaves from. Empty: the system's choice, ConnectionOptions::hostname.
struct Origin {
  std::string ip;
  std::string hostname;
};

// An SMTP connection to one server: moves bytes between a stream and the session that decides.
// Belongs to one executor.
class Connection {
 public:
  // Connects, greets, starts TLS by the rule and logs in where the host wants that. kConnectFailed
  // when the server can't be reached or does not want us, kTlsFailed when the rule is not met, with
  // TlsResultOf, kRemoteTemporary when it refuses the login: temporary all; kUnavailable: this machine does not have the origin's address.
  // `options` outlive the connection. `refusal`: the reply of a server that does not want us, if it
  // has given one.
  static Task<absl::StatusOr<std::unique_ptr<Connection>>> Open(
      Connector& connector, Host host, const ConnectionOptions& options, TlsRule rule,
      Origin origin = Origin(), smtp::client::Reply* refusal = nullptr);
  ~Connection();

  enum class End {
    kDone,           // outcomes() decides for all recipients
    kLost,           // the connection failed: those not decided are open
    kBodyFailed,     // our own spool failed; the final dot was not sent
    kLeaseNotSure,   // the lease was not confirmed lately; the final dot was not sent
  };
  // One transaction. `error` of the result says why, unless kDone.
  struct Result {
    End end = End::kDone;
    absl::Status error;
  };
  // `body` and `lease` outlive the call.
  Task<Result> Send(smtp::client::Transaction transaction, BodySource& body,
                    const LeaseView& lease);

  const std::vector<smtp::client::RecipientOutcome>& outcomes() const {
    return session_.outcomes();
  }
  bool final_dot_lost() const { return session_.final_dot_lost(); }
  // False: the server had closed the connection before it heard of the transaction.
  bool transaction_answered() const { return session_.transaction_answered(); }
  bool reusable() const { return session_.need() == smtp::client::Session::Need::kReady; }
  const Host& host() const { return host_; }
  bool tls_active() const { return session_.tls_active(); }
  // What an observed check said, as in reports; empty: nothing is wrong.
  std::string_view tls_problem() const;
  const std::string& local_ip() const { return stream_->local().ip; }
  const smtp::client::Capabilities& capabilities() const { return session_.capabilities(); }

  // QUIT, without waiting for the reply, and close.
  Task<void> Quit();
  // At once: what is under way fails.
  void Abort();

 private:
  Connection(Host host, const ConnectionOptions& options, const net::TlsContext* tls, TlsRule rule,
             const Origin& origin, std::unique_ptr<net::Stream> stream);
  Task<void> Flush();
  Task<void> ReadReply();
  Task<absl::Status> StartTls();
  Task<Result> SendBody(BodySource& body, const LeaseView& lease);
  Task<Result> SendChunks(BodySource& body, const LeaseView& lease);
  // One BDAT with its octets. False: the rest is in vain.
  Task<bool> SendChunk(std::string octets, bool last);
  Result GiveUpBody(End end, absl::Status error);
  Task<void> HearLastWords(absl::Status written);
  absl::Duration TimeoutNow() const;

  const Host host_;
  const ConnectionOptions& options_;
  const net::TlsContext* const tls_;
  const TlsRule rule_;
  std::unique_ptr<smtp::client::Authenticator> login_;
  std::unique_ptr<net::Stream> stream_;
  smtp::client::Session session_;
  absl::Status tls_failure_;  // not OK: why the rule is not met
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CONNECTION_H_
