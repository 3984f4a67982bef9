#ifndef POSTHORN_SERVICES_GATEWAY_POP3_TRANSCRIPT_TEST_BASE_H_
#define POSTHORN_SERVICES_GATEWAY_POP3_TRANSCRIPT_TEST_BASE_H_

// For dialogues with the server over a memory stream.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/net/memory_stream.h"
#include "services/gateway/pop3/server.h"
#include "services/gateway/testing/fake_directory.h"
#include "services/gateway/testing/fake_mail_store.h"
#include "services/gateway/testing/test_logins.h"

namespace posthorn::gateway {

inline const TenantId kTenant(1);
inline const AccountId kAlice(10);
inline constexpr char kLoopback[] = "127.0.0.1";

class Pop3TranscriptTest : public testing::Test {
 protected:
  Pop3TranscriptTest() {
    directory_.AddTenant("demo", kTenant);
    directory_.AddDomain("example.test", kTenant);
    directory_.AddAccount("alice@example.test", "se cret", kAlice);
    store_.AddAccount(kTenant, kAlice);
    dependencies_.store = &store_;
    dependencies_.authenticator = &logins_->authenticator;
    dependencies_.clock = &clock_;
    options_.allow_plaintext_auth_on_loopback = true;
  }
  ~Pop3TranscriptTest() override {
    client_.reset();
    executor_.RunUntilIdle();
  }

  void Deliver(std::string body) {
    store_.Deliver(kTenant, kAlice, "INBOX", "", std::move(body), absl::UnixEpoch());
  }

  void Connect(const std::string& ip = kLoopback) {
    if (server_ == nullptr) server_ = std::make_unique<Pop3Server>(dependencies_, limits_);
    net::PeerAddress peer;
    peer.ip = ip;
    peer.port = 4000;
    net::MemoryPipe pipe = net::MakeMemoryPipe(peer);
    client_ = std::move(pipe.client);
    Spawn(executor_, server_->Serve(std::move(pipe.server), options_));
  }

  // What the server says until it waits.
  std::string Receive() {
    executor_.RunUntilIdle();
    std::string all;
    for (;;) {
      const std::optional<absl::StatusOr<std::string>> bytes =
          executor_.Run(client_->ReadSome(absl::Milliseconds(1)));
      if (!bytes.has_value()) {
        Advance(absl::Milliseconds(2));
        return all;
      }
      if (!bytes->ok()) return all;
      if ((*bytes)->empty()) return all + "<closed>";
      all += **bytes;
    }
  }
  std::string Say(std::string text) {
    const std::optional<absl::Status> written =
        executor_.Run(client_->WriteAll(std::move(text), absl::Seconds(1)));
    EXPECT_TRUE(written.has_value());
    return Receive();
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    executor_.Advance(by);
  }
  void LogIn() {
    Connect();
    EXPECT_EQ(Receive(), "+OK Posthorn POP3 ready\r\n");
    EXPECT_EQ(Say("USER alice@example.test\r\n"), "+OK Password, please\r\n");
    EXPECT_EQ(Say("PASS se cret\r\n").substr(0, 3), "+OK");
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::UnixEpoch()};
  FakeMailStore store_;
  FakeDirectory directory_;
  std::unique_ptr<TestLogins> logins_ = std::make_unique<TestLogins>(directory_, clock_);
  Pop3Dependencies dependencies_;
  Pop3Limits limits_;
  Pop3ListenerOptions options_;
  std::unique_ptr<Pop3Server> server_;
  std::unique_ptr<net::Stream> client_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_POP3_TRANSCRIPT_TEST_BASE_H_
