#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_IMAP_FIXTURE_TEST_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_IMAP_FIXTURE_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/net/memory_stream.h"
#include "services/gateway/imap/server.h"
#include "services/gateway/testing/fake_directory.h"
#include "services/gateway/testing/fake_mail_store.h"
#include "services/gateway/testing/test_logins.h"

namespace posthorn::gateway {

inline constexpr TenantId kTenant(1);
inline constexpr AccountId kAlice(10);

// A server on fakes, and any number of clients on memory streams.
class ImapTest : public testing::Test {
 protected:
  class Client {
   public:
    Client(ImapTest& test, std::unique_ptr<net::Stream> stream)
        : test_(test), stream_(std::move(stream)) {}

    // What the server says until it waits; "<closed>" at its end.
    std::string Receive() {
      test_.executor_.RunUntilIdle();
      std::string all;
      for (;;) {
        const std::optional<absl::StatusOr<std::string>> bytes =
            test_.executor_.Run(stream_->ReadSome(absl::Milliseconds(1)));
        if (!bytes.has_value()) {
          test_.Advance(absl::Milliseconds(2));
          return all;
        }
        if (!bytes->ok()) return all;
        if ((*bytes)->empty()) return all + "<closed>";
        all += **bytes;
      }
    }
    std::string Say(std::string text) {
      test_.executor_.Run(stream_->WriteAll(std::move(text), absl::Seconds(1)));
      return Receive();
    }
    net::Stream& stream() { return *stream_; }

   private:
    ImapTest& test_;
    std::unique_ptr<net::Stream> stream_;
  };

  ImapTest() {
    directory_.AddTenant("demo", kTenant);
    directory_.AddDomain("example.test", kTenant);
    directory_.AddAccount("alice@example.test", "se cret", kAlice);
    store_.AddAccount(kTenant, kAlice);
    store_.OnChange([this](TenantId tenant, AccountId account, ModSeq modseq) {
      hub_.OnHint(std::to_string(tenant.value()) + " " + std::to_string(account.value()) + " " +
                  std::to_string(modseq));
    });
    dependencies_.store = &store_;
    dependencies_.authenticator = &logins_->authenticator;
    dependencies_.hub = &hub_;
    dependencies_.clock = &clock_;
    options_.allow_plaintext_auth_on_loopback = true;
  }
  ~ImapTest() override {
    if (server_ == nullptr) return;
    server_->Drain();
    executor_.RunUntilIdle();
    Advance(absl::Hours(2));
    EXPECT_EQ(server_->active_sessions(), 0);
  }

  Uid Deliver(std::string body, std::string prefix = {}, const std::string& mailbox = "INBOX") {
    return store_.Deliver(kTenant, kAlice, mailbox, std::move(prefix), std::move(body),
                          absl::UnixEpoch() + absl::Hours(1));
  }
  Client Connect(const std::string& ip = "127.0.0.1") {
    if (server_ == nullptr) server_ = std::make_unique<ImapServer>(dependencies_, limits_);
    net::PeerAddress peer;
    peer.ip = ip;
    peer.port = 4000;
    net::MemoryPipe pipe = net::MakeMemoryPipe(peer);
    Spawn(executor_, server_->Serve(std::move(pipe.server), options_));
    return Client(*this, std::move(pipe.client));
  }
  Client LogIn() {
    Client client = Connect();
    client.Receive();
    EXPECT_THAT(client.Say("l LOGIN alice@example.test \"se cret\"\r\n"),
                testing::StartsWith("l OK [CAPABILITY "));
    return client;
  }
  Client Select(const std::string& mailbox = "INBOX") {
    Client client = LogIn();
    EXPECT_THAT(client.Say("s SELECT " + mailbox + "\r\n"),
                testing::EndsWith("s OK [READ-WRITE] Select completed\r\n"));
    return client;
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    executor_.Advance(by);
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::UnixEpoch() + absl::Hours(24)};
  FakeMailStore store_;
  FakeDirectory directory_;
  std::unique_ptr<TestLogins> logins_ = std::make_unique<TestLogins>(directory_, clock_);
  ChangeHub hub_{store_, executor_};
  ImapDependencies dependencies_;
  ImapLimits limits_;
  ImapListenerOptions options_;
  std::unique_ptr<ImapServer> server_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_IMAP_FIXTURE_TEST_H_
