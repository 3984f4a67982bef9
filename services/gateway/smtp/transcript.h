#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_TRANSCRIPT_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_TRANSCRIPT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "lib/base/manual_executor.h"
#include "lib/net/memory_stream.h"
#include "lib/net/tls.h"
#include "services/gateway/smtp/server.h"
#include "services/gateway/testing/fake_backends.h"
#include "services/gateway/testing/fake_directory.h"
#include "services/gateway/testing/test_logins.h"

namespace posthorn::gateway {

// A server with fakes behind it and one client that plays dialogues, for unit tests.
//
// The directory has the tenants "demo" (1; example.test with alice = 11, password "secret", bob =
// 12, an alias list of both, and suspended) and "other" (2; other.test with carol = 21).
class SmtpTranscriptTest : public testing::Test {
 protected:
  SmtpTranscriptTest();
  ~SmtpTranscriptTest() override;

  // Connects with `options` as they are now.
  void Connect();
  // The session ends; without one, server_ may be reset so that Connect makes one with other limits.
  void Disconnect();
  // A dialogue, one line each:
  //   C: what the client sends, with CRLF after it; \r \n \0 \xHH are escapes
  //   c: the same without CRLF
  //   S: the server's next line; "*" at its end stands for the rest
  //   TLS     the client's side of a handshake
  //   CLOSED  the server has closed the connection
  // The server must have said no more than the dialogue has. `chunk` octets are sent at a time.
  void Play(std::string_view dialogue, std::size_t chunk = 4096);
  void Send(std::string bytes, std::size_t chunk = 4096);
  // What the server has said and no line of a dialogue has taken.
  std::string& received() { return received_; }
  bool closed() const { return closed_; }
  // Greeting and EHLO (LHLO), answers taken.
  void Greet();
  // The same for the recipients given, up to the answer to the last RCPT.
  void BeginTransaction(std::string_view recipients = "alice@example.test");
  // Time goes by for sessions and for who measures it.
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    executor_.Advance(by);
  }

  std::unique_ptr<net::StagingArea> staging_;  // outlives the messages the acceptor keeps
  ManualExecutor executor_;
  FakeDirectory directory_;
  FakeAcceptor acceptor_;
  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  std::unique_ptr<TestLogins> logins_ = std::make_unique<TestLogins>(directory_, clock_, NoDelay());
  ConnectionLimiter limiter_{10, 5};
  SmtpLimits limits_;
  SmtpListenerOptions options_;
  net::PeerAddress peer_;
  bool tls_available_ = true;
  std::string early_;  // what the client sends before it can have read a greeting
  std::string hostname_ = "mx.example";
  smtp::ExtensionSet queue_extensions_;
  std::optional<LocalUser> local_user_;  // whose session it is, in the role kLocal
  QueueView* queue_view_ = nullptr;
  std::unique_ptr<SmtpServer> server_;

 private:
  Task<void> Pump();
  Task<void> Write(std::string bytes);
  Task<void> Handshake();
  std::string TakeLine();

  std::unique_ptr<net::TlsContext> tls_;
  std::unique_ptr<net::Stream> client_;
  std::string received_;
  bool closed_ = false;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_TRANSCRIPT_H_
