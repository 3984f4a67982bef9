// Every mechanism over every protocol: the same exchanges, as SMTP AUTH, IMAP AUTHENTICATE and POP3
// AUTH carry them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/net/memory_stream.h"
#include "lib/net/tls.h"
#include "lib/sasl/base64.h"
#include "services/gateway/imap/server.h"
#include "services/gateway/pop3/server.h"
#include "services/gateway/smtp/server.h"
#include "services/gateway/testing/fake_backends.h"
#include "services/gateway/testing/fake_directory.h"
#include "services/gateway/testing/fake_mail_store.h"
#include "services/gateway/testing/scram_client.h"
#include "services/gateway/testing/test_logins.h"

namespace posthorn::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kAlice[] = "alice@example.test";

std::string Url(const std::string& octets) {
  std::string text;
  absl::WebSafeBase64Escape(octets, &text);
  return text;
}

// How a protocol says what the mechanisms have in common.
struct Protocol {
  const char* name;
  const char* command;      // before the mechanism
  const char* challenge;    // before base64
  const char* success;
  const char* refused;
  const char* malformed;
  const char* cancelled;
  const char* unsupported;
  const char* busy;
};
const Protocol kProtocols[] = {
    {"smtp", "AUTH ", "334 ", "235 2.7.0 ", "535 5.7.8 Authentication failed\r\n", "501 5.5.2 ",
     "501 5.7.0 ", "504 5.5.4 ", "454 4.7.0 "},
    {"imap", "a AUTHENTICATE ", "+ ", "a OK [CAPABILITY ",
     "a NO [AUTHENTICATIONFAILED] Authentication failed\r\n", "a BAD ", "a BAD ", "a NO [CANNOT] ",
     "a NO [UNAVAILABLE] "},
    {"pop3", "AUTH ", "+ ", "+OK ", "-ERR [AUTH] Authentication failed\r\n", "-ERR ", "-ERR ",
     "-ERR ", "-ERR [SYS/TEMP] "},
};

class SaslTranscriptTest : public ::testing::TestWithParam<Protocol> {
 protected:
  SaslTranscriptTest()
      : tls_(net::TlsContext::Client("").value()),
        staging_(net::StagingArea::Open(::testing::TempDir() + "/sasl_transcript", 1 << 20).value()),
        key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")) {
    directory_.AddTenant("demo", TenantId(1));
    directory_.AddDomain("example.test", TenantId(1));
    directory_.AddAccount(kAlice, "se cret", AccountId(10));
    store_.AddAccount(TenantId(1), AccountId(10));
    WriteKeys();
    TokenIssuerOptions issuer;
    issuer.policy.issuer = "https://id.example";
    issuer.policy.audience = "mail";
    issuer.jwks_file = KeyFile();
    std::vector<TokenIssuerOptions> issuers = {issuer};
    issuers_ = TokenIssuers::Load(std::move(issuers), clock_).value();
    logins_ = std::make_unique<TestLogins>(directory_, clock_, NoDelay(), issuers_.get());
  }
  ~SaslTranscriptTest() override {
    if (client_ != nullptr) client_->Close();
    executor_.RunUntilIdle();
    executor_.Advance(absl::Hours(1));
    EVP_PKEY_free(key_);
    std::remove(KeyFile().c_str());
  }

  // A new connection, with TLS from the first octet.
  void Connect() {
    if (client_ != nullptr) client_->Close();
    executor_.RunUntilIdle();
    received_.clear();
    net::PeerAddress peer;
    peer.ip = "192.0.2.99";
    net::MemoryPipe pipe = net::MakeMemoryPipe(peer);
    client_ = std::move(pipe.client);
    Serve(std::move(pipe.server));
    const auto secured =
        executor_.Run(client_->StartTlsClient(*tls_, "mx.example", absl::Seconds(1)));
    ASSERT_TRUE(secured.has_value() && secured->ok());
    Spawn(executor_, Pump());
    executor_.RunUntilIdle();
    received_.clear();
    if (GetParam().name == std::string("smtp")) Say("EHLO client.example");
  }

  // A line, and what the server says to it.
  std::string Say(const std::string& line) {
    received_.clear();
    (void)executor_.Run(client_->WriteAll(line + "\r\n", absl::Seconds(1)));
    executor_.RunUntilIdle();
    return received_;
  }
  // Begins an exchange; `initial` is not yet encoded.
  std::string Begin(const std::string& mechanism) {
    return Say(absl::StrCat(GetParam().command, mechanism));
  }
  std::string Begin(const std::string& mechanism, const std::string& initial) {
    return Say(absl::StrCat(GetParam().command, mechanism, " ",
                            initial.empty() ? "=" : sasl::EncodeBase64(initial)));
  }
  std::string Respond(const std::string& response) { return Say(sasl::EncodeBase64(response)); }
  // What a challenge says; the whole answer if it is none.
  std::string Challenge(const std::string& answer) {
    const std::string prefix = GetParam().challenge;
    if (answer.substr(0, prefix.size()) != prefix || !answer.ends_with("\r\n")) return answer;
    return sasl::DecodeBase64(
               answer.substr(prefix.size(), answer.size() - prefix.size() - 2))
        .value_or(answer);
  }
  // A SCRAM login; the last answer.
  std::string Scram(const std::string& mechanism, ScramClient scram) {
    const std::string server_first = Challenge(Begin(mechanism, scram.First()));
    if (server_first.substr(0, 2) != "r=") return server_first;
    const std::string last = Challenge(Respond(scram.Final(server_first)));
    if (last.substr(0, 2) != "v=") return last;
    EXPECT_EQ(last, scram.server_final()) << "the server proves itself";
    return Say("");
  }

  std::string Token(const std::string& email, std::int64_t lifetime = 60) {
    const std::string input = absl::StrCat(
        Url("{\"alg\":\"EdDSA\"}"), ".",
        Url(absl::StrCat("{\"iss\":\"https://id.example\",\"aud\":\"mail\",\"exp\":",
                         absl::ToUnixSeconds(clock_.Now()) + lifetime, ",\"email\":\"", email,
                         "\"}")));
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::string signature(64, '\0');
    std::size_t size = signature.size();
    EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key_);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                   reinterpret_cast<const unsigned char*>(input.data()), input.size());
    EVP_MD_CTX_free(context);
    return absl::StrCat(input, ".", Url(signature));
  }

  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  ManualExecutor executor_;
  FakeDirectory directory_;
  std::unique_ptr<TestLogins> logins_;

 private:
  static std::string KeyFile() {
    return absl::StrCat(::testing::TempDir(), "/sasl_transcript_jwks.json");
  }
  void WriteKeys() {
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_, reinterpret_cast<unsigned char*>(x.data()), &size);
    std::ofstream(KeyFile()) << R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":")" << Url(x)
                             << "\"}]}";
  }

  void Serve(std::unique_ptr<net::Stream> stream) {
    const std::string name = GetParam().name;
    if (name == "smtp") {
      smtp_options_.role = SmtpRole::kSubmissions;
      if (smtp_ == nullptr) {
        SmtpDependencies dependencies;
        dependencies.directory = &directory_;
        dependencies.authenticator = &logins_->authenticator;
        dependencies.acceptor = &acceptor_;
        dependencies.staging = staging_.get();
        dependencies.clock = &clock_;
        dependencies.tls = tls_.get();
        dependencies.hostname = "mx.example";
        smtp_ = std::make_unique<SmtpServer>(std::move(dependencies), SmtpLimits());
      }
      Spawn(executor_, smtp_->Serve(std::move(stream), smtp_options_));
    } else if (name == "imap") {
      imap_options_.implicit_tls = true;
      if (imap_ == nullptr) {
        ImapDependencies dependencies;
        dependencies.store = &store_;
        dependencies.authenticator = &logins_->authenticator;
        dependencies.hub = &hub_;
        dependencies.clock = &clock_;
        dependencies.tls = tls_.get();
        imap_ = std::make_unique<ImapServer>(dependencies, ImapLimits());
      }
      Spawn(executor_, imap_->Serve(std::move(stream), imap_options_));
    } else {
      pop3_options_.implicit_tls = true;
      if (pop3_ == nullptr) {
        Pop3Dependencies dependencies;
        dependencies.store = &store_;
        dependencies.authenticator = &logins_->authenticator;
        dependencies.clock = &clock_;
        dependencies.tls = tls_.get();
        Pop3Limits limits;
        limits.login_failures = 20;
        pop3_ = std::make_unique<Pop3Server>(dependencies, limits);
      }
      Spawn(executor_, pop3_->Serve(std::move(stream), pop3_options_));
    }
  }
  Task<void> Pump() {
    for (;;) {
      absl::StatusOr<std::string> bytes = co_await client_->ReadSome(absl::InfiniteDuration());
      if (!bytes.ok() || bytes->empty()) co_return;
      received_ += *bytes;
    }
  }

  std::unique_ptr<net::TlsContext> tls_;
  std::unique_ptr<net::StagingArea> staging_;
  EVP_PKEY* key_;
  FakeAcceptor acceptor_;
  FakeMailStore store_;
  ChangeHub hub_{store_, executor_};
  std::unique_ptr<TokenIssuers> issuers_;
  SmtpListenerOptions smtp_options_;
  ImapListenerOptions imap_options_;
  Pop3ListenerOptions pop3_options_;
  std::unique_ptr<SmtpServer> smtp_;
  std::unique_ptr<ImapServer> imap_;
  std::unique_ptr<Pop3Server> pop3_;
  std::unique_ptr<net::Stream> client_;
  std::string received_;
};

TEST_P(SaslTranscriptTest, OffersItsMechanisms) {
  Connect();
  const std::string ask = GetParam().name == std::string("smtp")   ? "EHLO c"
                          : GetParam().name == std::string("imap") ? "a CAPABILITY"
                                                                   : "CAPA";
  const std::string offered = Say(ask);
  for (const char* mechanism : {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
                                "OAUTHBEARER", "XOAUTH2"}) {
    EXPECT_THAT(offered, HasSubstr(mechanism));
  }
  EXPECT_THAT(Begin("CRAM-MD5"), StartsWith(GetParam().unsupported));
  EXPECT_THAT(Begin("EXTERNAL", ""), StartsWith(GetParam().unsupported));
}

TEST_P(SaslTranscriptTest, Plain) {
  using std::string_literals::operator""s;
  Connect();
  EXPECT_EQ(Begin("PLAIN"), absl::StrCat(GetParam().challenge, "\r\n"));
  EXPECT_EQ(Respond("\0alice@example.test\0wrong"s), GetParam().refused);
  EXPECT_EQ(Begin("plain", "\0nobody@example.test\0se cret"s), GetParam().refused);
  EXPECT_EQ(Begin("PLAIN", "bob@example.test\0alice@example.test\0se cret"s), GetParam().refused);
  EXPECT_THAT(Begin("PLAIN", "alice"), StartsWith(GetParam().malformed));
  EXPECT_THAT(Begin("PLAIN", ""), StartsWith(GetParam().malformed));
  EXPECT_THAT(Begin("PLAIN", "\0alice@example.test\0se cret"s), StartsWith(GetParam().success));
}

TEST_P(SaslTranscriptTest, Login) {
  Connect();
  EXPECT_EQ(Challenge(Begin("LOGIN")), "Username:");
  EXPECT_EQ(Challenge(Respond(kAlice)), "Password:");
  EXPECT_EQ(Respond("wrong"), GetParam().refused);
  EXPECT_EQ(Challenge(Begin("LOGIN", kAlice)), "Password:");
  EXPECT_THAT(Respond("se cret"), StartsWith(GetParam().success));
}

TEST_P(SaslTranscriptTest, ScramWithAndWithoutChannelBinding) {
  for (const bool initial : {false, true}) {
    Connect();
    ScramClient scram(kAlice, "se cret");
    if (!initial) {
      EXPECT_EQ(Begin("SCRAM-SHA-256"), absl::StrCat(GetParam().challenge, "\r\n"));
      const std::string server_first = Challenge(Respond(scram.First()));
      EXPECT_THAT(server_first, StartsWith("r=client-nonce"));
      EXPECT_EQ(Challenge(Respond(scram.Final(server_first))), scram.server_final());
      EXPECT_THAT(Say(""), StartsWith(GetParam().success));
    } else {
      EXPECT_THAT(Scram("SCRAM-SHA-256", scram), StartsWith(GetParam().success));
    }
  }
  Connect();
  EXPECT_THAT(Scram("SCRAM-SHA-256-PLUS",
                    ScramClient(kAlice, "se cret", "p=tls-exporter,,", "memory")),
              StartsWith(GetParam().success));
}

TEST_P(SaslTranscriptTest, ScramRefusals) {
  Connect();
  EXPECT_EQ(Scram("SCRAM-SHA-256", ScramClient(kAlice, "wrong")), GetParam().refused);
  EXPECT_EQ(Scram("SCRAM-SHA-256", ScramClient("nobody@example.test", "se cret")),
            GetParam().refused);
  EXPECT_EQ(Scram("SCRAM-SHA-256-PLUS",
                  ScramClient(kAlice, "se cret", "p=tls-exporter,,", "another connection")),
            GetParam().refused)
      << "somebody in the middle";
  EXPECT_EQ(Scram("SCRAM-SHA-256", ScramClient(kAlice, "se cret", "y,,")), GetParam().refused)
      << "somebody has removed -PLUS from the list";
  EXPECT_THAT(Scram("SCRAM-SHA-256-PLUS", ScramClient(kAlice, "se cret")),
              StartsWith(GetParam().malformed));
  EXPECT_THAT(Scram("SCRAM-SHA-256-PLUS", ScramClient(kAlice, "se cret", "p=tls-unique,,", "x")),
              StartsWith(GetParam().malformed));
  EXPECT_THAT(Scram("SCRAM-SHA-256", ScramClient(kAlice, "se cret", "n,,")),
              StartsWith(GetParam().success));
}

TEST_P(SaslTranscriptTest, TokensInBothForms) {
  const std::string good = Token(kAlice);
  Connect();
  EXPECT_THAT(Begin("OAUTHBEARER", absl::StrCat("n,a=", kAlice, ",\1host=mx.example\1port=465\1",
                                                "auth=Bearer ", good, "\1\1")),
              StartsWith(GetParam().success));
  Connect();
  EXPECT_THAT(Begin("OAUTHBEARER", absl::StrCat("n,,\1auth=Bearer ", good, "\1\1")),
              StartsWith(GetParam().success));
  Connect();
  EXPECT_EQ(Begin("XOAUTH2"), absl::StrCat(GetParam().challenge, "\r\n"));
  EXPECT_THAT(Respond(absl::StrCat("user=", kAlice, "\1auth=Bearer ", good, "\1\1")),
              StartsWith(GetParam().success));
}

TEST_P(SaslTranscriptTest, TokensThatAreRefused) {
  Connect();
  for (const std::string& token :
       {Token(kAlice, -3600), Token("bob@example.test"), Token("nobody@example.test"),
        std::string("nonsense"), Token(kAlice) + "x"}) {
    // The complaint first, then the answer once the client has read it.
    EXPECT_THAT(Challenge(Begin("OAUTHBEARER", absl::StrCat("n,a=", kAlice, ",\1auth=Bearer ",
                                                            token, "\1\1"))),
                HasSubstr("\"status\":\"invalid_token\""));
    EXPECT_EQ(Respond("\1"), GetParam().refused);
    EXPECT_THAT(Challenge(Begin("XOAUTH2", absl::StrCat("user=", kAlice, "\1auth=Bearer ", token,
                                                        "\1\1"))),
                HasSubstr("\"status\":\"401\""));
    EXPECT_EQ(Say(""), GetParam().refused);
  }
  EXPECT_THAT(Begin("XOAUTH2", "user=x"), StartsWith(GetParam().malformed));
}

TEST_P(SaslTranscriptTest, CancelledAndUndecodable) {
  Connect();
  for (const char* mechanism : {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
                                "OAUTHBEARER", "XOAUTH2"}) {
    EXPECT_THAT(Begin(mechanism), StartsWith(GetParam().challenge)) << mechanism;
    EXPECT_THAT(Say("*"), StartsWith(GetParam().cancelled)) << mechanism;
    EXPECT_THAT(Begin(mechanism), StartsWith(GetParam().challenge)) << mechanism;
    EXPECT_THAT(Say("not base64"), StartsWith(GetParam().malformed)) << mechanism;
  }
  // In the middle of an exchange.
  EXPECT_THAT(Begin("SCRAM-SHA-256", ScramClient(kAlice, "x").First()),
              StartsWith(GetParam().challenge));
  EXPECT_THAT(Say("*"), StartsWith(GetParam().cancelled));
  EXPECT_THAT(Scram("SCRAM-SHA-256", ScramClient(kAlice, "se cret")),
              StartsWith(GetParam().success));
}

TEST_P(SaslTranscriptTest, WhatIsAwayIsTemporary) {
  using std::string_literals::operator""s;
  directory_.FailWith(MakeFailure(Failure::kAuthenticationBusy));
  Connect();
  EXPECT_THAT(Begin("PLAIN", "\0alice@example.test\0se cret"s), StartsWith(GetParam().busy));
  EXPECT_THAT(Scram("SCRAM-SHA-256", ScramClient(kAlice, "se cret")),
              StartsWith(GetParam().busy));
  directory_.FailWith(std::nullopt);
  EXPECT_THAT(Begin("PLAIN", "\0alice@example.test\0se cret"s), StartsWith(GetParam().success));
}

// A lock-out reads like a wrong password, with the right one too.
TEST_P(SaslTranscriptTest, ALockOutAnswersLikeAWrongPassword) {
  using std::string_literals::operator""s;
  LoginGuardOptions options = NoDelay();
  options.failures_per_login = 2;
  logins_ = std::make_unique<TestLogins>(directory_, clock_, std::move(options));
  Connect();
  EXPECT_EQ(Begin("PLAIN", "\0alice@example.test\0x"s), GetParam().refused);
  EXPECT_EQ(Scram("SCRAM-SHA-256", ScramClient(kAlice, "x")), GetParam().refused);
  EXPECT_EQ(Begin("PLAIN", "\0alice@example.test\0se cret"s), GetParam().refused);
  EXPECT_EQ(Scram("SCRAM-SHA-256", ScramClient(kAlice, "se cret")), GetParam().refused);
  clock_.Advance(absl::Minutes(15));
  EXPECT_THAT(Begin("PLAIN", "\0alice@example.test\0se cret"s), StartsWith(GetParam().success));
}

INSTANTIATE_TEST_SUITE_P(Protocols, SaslTranscriptTest, ::testing::ValuesIn(kProtocols),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace posthorn::gateway
