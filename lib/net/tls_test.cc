#include "lib/net/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/net/net_test_support.h"

namespace posthorn::net {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(20);

Task<void> Secure(Stream& stream, const TlsContext& context, std::promise<absl::Status>& done) {
  done.set_value(co_await stream.StartTlsServer(context, kLong));
}

Task<std::string> ReadExactly(Stream& stream, std::size_t size) {
  std::string all;
  while (all.size() < size) {
    absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kLong);
    if (!bytes.ok()) co_return "(" + std::string(bytes.status().message()) + ")";
    if (bytes->empty()) break;
    all += *bytes;
  }
  co_return std::move(all);
}

Task<void> WriteInBackground(Stream& stream, std::string bytes, std::promise<absl::Status>& done) {
  done.set_value(co_await stream.WriteAll(std::move(bytes), kLong));
}

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = TlsContext::Server({certificate_.certificate_file, certificate_.key_file});
    ASSERT_TRUE(server.ok()) << server.status();
    server_context_ = *std::move(server);
    pair_ = MakeSocketPair(loop_);
  }
  // The server shows a certificate that another has signed.
  void UseIssued() {
    certificate_.RenewIssued();
    auto server = TlsContext::Server({certificate_.certificate_file, certificate_.key_file});
    ASSERT_TRUE(server.ok()) << server.status();
    server_context_ = *std::move(server);
  }
  void TearDown() override {
    if (pair_.server != nullptr) Destroy(loop_, std::move(pair_.server));
    if (pair_.client != nullptr) Destroy(loop_, std::move(pair_.client));
  }

  struct Outcome {
    absl::Status server;
    absl::Status client;
  };
  Outcome Handshake(const std::string& ca_file, const TlsPeer& peer) {
    auto context = TlsContext::Client(ca_file);
    EXPECT_TRUE(context.ok()) << context.status();
    client_context_ = *std::move(context);
    std::promise<absl::Status> server;
    Spawn(loop_, Secure(*pair_.server, *server_context_, server));
    Outcome outcome;
    outcome.client = RunOn(loop_, pair_.client->StartTlsClient(*client_context_, peer, kLong));
    problem_ = pair_.client->tls().problem;
    verified_ = pair_.client->tls().verified;
    if (!outcome.client.ok()) Destroy(loop_, std::move(pair_.client));
    outcome.server = server.get_future().get();
    return outcome;
  }
  absl::StatusOr<std::string> Read(Stream& stream) {
    return RunOn(loop_, stream.ReadSome(kLong));
  }
  absl::Status Write(Stream& stream, std::string bytes) {
    return RunOn(loop_, stream.WriteAll(std::move(bytes), kLong));
  }

  TestCertificate certificate_;
  EventLoop loop_;
  std::unique_ptr<TlsContext> server_context_;
  std::unique_ptr<TlsContext> client_context_;
  SocketPair pair_;
  CertificateProblem problem_ = CertificateProblem::kNone;  // of the client's side
  bool verified_ = false;
};

// "3 0 1" of a certificate file.
DaneRecord RecordOf(const std::string& file, int usage) {
  std::FILE* const opened = std::fopen(file.c_str(), "r");
  X509* const certificate = PEM_read_X509(opened, nullptr, nullptr, nullptr);
  std::fclose(opened);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), hash, &size);
  X509_free(certificate);
  DaneRecord record;
  record.usage = usage;
  record.matching_type = 1;
  record.data.assign(reinterpret_cast<char*>(hash), size);
  return record;
}

TEST_F(TlsTest, BothSidesShakeHandsAndExchangeLargeData) {
  const Outcome outcome = Handshake(certificate_.certificate_file, "mx.example");
  ASSERT_TRUE(outcome.client.ok()) << outcome.client;
  ASSERT_TRUE(outcome.server.ok()) << outcome.server;
  EXPECT_TRUE(pair_.server->tls().active);
  EXPECT_EQ(pair_.server->tls().version, "TLSv1.3");
  // Both sides could have computed it; another connection has another.
  const std::vector<TlsBinding> bindings = pair_.server->TlsBindings();
  ASSERT_EQ(bindings.size(), 2u);
  EXPECT_EQ(bindings[0].type, "tls-exporter");
  EXPECT_EQ(bindings[0].data.size(), 32u);
  EXPECT_EQ(bindings[1].type, "tls-server-end-point");
  EXPECT_EQ(bindings[1].data.size(), 32u);
  EXPECT_EQ(pair_.server->tls().server_name, "mx.example");
  EXPECT_THAT(pair_.client->tls().cipher, HasSubstr("TLS_"));

  std::string bytes(5'000'000, 'x');
  for (std::size_t i = 0; i < bytes.size(); i += 89) bytes[i] = static_cast<char>(i);
  std::promise<absl::Status> down;
  std::promise<absl::Status> up;
  // Both directions at once: the reader must never send in the middle of the writer's record.
  Spawn(loop_, WriteInBackground(*pair_.server, bytes, down));
  Spawn(loop_, WriteInBackground(*pair_.client, bytes, up));
  EXPECT_TRUE(RunOn(loop_, ReadExactly(*pair_.client, bytes.size())) == bytes);
  EXPECT_TRUE(RunOn(loop_, ReadExactly(*pair_.server, bytes.size())) == bytes);
  EXPECT_TRUE(down.get_future().get().ok());
  EXPECT_TRUE(up.get_future().get().ok());
  Destroy(loop_, std::move(pair_.client));
  EXPECT_EQ(*Read(*pair_.server), "");
}

TEST_F(TlsTest, OpportunisticClientsTakeAnyCertificate) {
  EXPECT_TRUE(Handshake("", "other.example").client.ok());
}

TEST_F(TlsTest, VerifyingClientsRefuseTheWrongName) {
  const Outcome outcome = Handshake(certificate_.certificate_file, "other.example");
  EXPECT_EQ(FailureOf(outcome.client), Failure::kTlsFailed);
  EXPECT_THAT(std::string(outcome.client.message()), HasSubstr("ostname"));
  EXPECT_FALSE(outcome.server.ok());
}

TEST_F(TlsTest, OneOfTheNamesIsEnough) {
  TlsPeer peer("elsewhere.example");
  peer.names = {"other.example", ".nobody.example", "mx.example"};
  EXPECT_TRUE(Handshake(certificate_.certificate_file, peer).client.ok());
  EXPECT_TRUE(verified_);
}

TEST_F(TlsTest, TheNamesTakeThePlaceOfTheHosts) {
  TlsPeer peer("mx.example");
  peer.names = {"other.example"};
  EXPECT_FALSE(Handshake(certificate_.certificate_file, peer).client.ok());
  EXPECT_EQ(problem_, CertificateProblem::kWrongName);
}

TEST_F(TlsTest, ObserversOnlyNoteWhatIsWrong) {
  TlsPeer peer("other.example");
  peer.observe = true;
  EXPECT_TRUE(Handshake(certificate_.certificate_file, peer).client.ok());
  EXPECT_EQ(problem_, CertificateProblem::kWrongName);
  EXPECT_FALSE(verified_);
}

TEST_F(TlsTest, DaneNeedsNoAuthorityAndWithUsage3NoName) {
  TlsPeer peer("other.example");
  peer.dane.push_back(RecordOf(certificate_.certificate_file, 3));
  EXPECT_TRUE(Handshake("", peer).client.ok());
  EXPECT_TRUE(verified_);
}

TEST_F(TlsTest, DaneWithUsage2ChecksTheName) {
  UseIssued();
  TlsPeer peer("other.example");
  peer.dane.push_back(RecordOf(certificate_.issuer_file, 2));
  EXPECT_FALSE(Handshake("", peer).client.ok());
  EXPECT_EQ(problem_, CertificateProblem::kWrongName);
}

TEST_F(TlsTest, DaneWithUsage2TakesFurtherNames) {
  TlsPeer peer("other.example");
  UseIssued();
  peer.names = {"mx.example"};
  peer.dane.push_back(RecordOf(certificate_.issuer_file, 2));
  EXPECT_TRUE(Handshake("", peer).client.ok());
}

TEST_F(TlsTest, OneMatchingRecordOfSeveralIsEnough) {
  TlsPeer peer("mx.example");
  peer.dane.push_back(RecordOf(certificate_.certificate_file, 3));
  peer.dane.insert(peer.dane.begin(), peer.dane[0]);
  peer.dane[0].data[0] = static_cast<char>(peer.dane[0].data[0] ^ 1);
  EXPECT_TRUE(Handshake("", peer).client.ok());
}

TEST_F(TlsTest, ARecordOfAnotherCertificateFails) {
  TlsPeer peer("mx.example");
  peer.dane.push_back(RecordOf(certificate_.certificate_file, 3));
  peer.dane[0].data[0] = static_cast<char>(peer.dane[0].data[0] ^ 1);
  EXPECT_EQ(FailureOf(Handshake("", peer).client), Failure::kTlsFailed);
  EXPECT_EQ(problem_, CertificateProblem::kNotTrusted);
}

TEST_F(TlsTest, RecordsThatNobodyCanUseCheckNothing) {
  TlsPeer peer("mx.example");
  peer.dane.push_back(RecordOf(certificate_.certificate_file, 1));
  EXPECT_TRUE(Handshake("", peer).client.ok());
  EXPECT_FALSE(verified_);
}

TEST_F(TlsTest, VerifyingClientsCheckAddressesToo) {
  EXPECT_TRUE(Handshake(certificate_.certificate_file, "127.0.0.1").client.ok());
}

TEST_F(TlsTest, VerifyingClientsRefuseAnUnknownAuthority) {
  const TestCertificate other;
  const Outcome outcome = Handshake(other.certificate_file, "mx.example");
  EXPECT_EQ(FailureOf(outcome.client), Failure::kTlsFailed);
}

TEST_F(TlsTest, ClearTextBeforeTheHandshakeIsDiscarded) {
  ASSERT_TRUE(Write(*pair_.client, "MAIL FROM:<evil@example>\r\n").ok());
  const Outcome outcome = Handshake("", "mx.example");
  ASSERT_TRUE(outcome.client.ok()) << outcome.client;
  ASSERT_TRUE(outcome.server.ok()) << outcome.server;
  ASSERT_TRUE(Write(*pair_.client, "EHLO x\r\n").ok());
  EXPECT_EQ(*Read(*pair_.server), "EHLO x\r\n");
}

TEST_F(TlsTest, GarbageInsteadOfAHandshakeIsAnError) {
  std::promise<absl::Status> server;
  Spawn(loop_, Secure(*pair_.server, *server_context_, server));
  ASSERT_TRUE(Write(*pair_.client, "\x16garbage that is no hello, and long enough").ok());
  EXPECT_EQ(FailureOf(server.get_future().get()), Failure::kTlsFailed);
}

TEST_F(TlsTest, AHandshakeThatNeverComesTimesOut) {
  EXPECT_EQ(FailureOf(RunOn(loop_, pair_.server->StartTlsServer(*server_context_,
                                                                absl::Milliseconds(30)))),
            Failure::kTimeout);
}

TEST_F(TlsTest, InterruptionsReachTheReaderAfterTheHandshake) {
  ASSERT_TRUE(Handshake("", "mx.example").client.ok());
  std::promise<void> interrupted;
  loop_.Post([this, &interrupted] {
    pair_.server->Interrupt();
    interrupted.set_value();
  });
  interrupted.get_future().wait();
  ASSERT_TRUE(Write(*pair_.client, "DONE").ok());
  EXPECT_TRUE(absl::IsCancelled(Read(*pair_.server).status()));
  EXPECT_EQ(*Read(*pair_.server), "DONE");
}

TEST_F(TlsTest, ReloadChangesWhatNewHandshakesUse) {
  const std::string old_copy = certificate_.directory + "/old.pem";
  {
    std::ifstream from(certificate_.certificate_file);
    std::ofstream(old_copy) << from.rdbuf();
  }
  certificate_.Renew();
  ASSERT_TRUE(server_context_->Reload().ok());
  EXPECT_EQ(FailureOf(Handshake(old_copy, "mx.example").client), Failure::kTlsFailed);
  TearDown();
  pair_ = MakeSocketPair(loop_);
  EXPECT_TRUE(Handshake(certificate_.certificate_file, "mx.example").client.ok());

  std::ofstream(certificate_.key_file) << "broken";
  const absl::Status status = server_context_->Reload();
  EXPECT_THAT(std::string(status.message()), HasSubstr(certificate_.key_file));
  TearDown();
  pair_ = MakeSocketPair(loop_);
  EXPECT_TRUE(Handshake(certificate_.certificate_file, "mx.example").client.ok());
}

// A client that verifies one authority gets through only with that certificate.
TEST_F(TlsTest, TheNameThatIsAskedForChoosesTheCertificate) {
  TestCertificate named("DNS:a.example,DNS:B.example");
  const TestCertificate wildcard("DNS:*.c.example,DNS:a.example");
  const TestCertificate listed("DNS:ignored.example,DNS:d.example");
  const auto files = [](const TestCertificate& certificate, std::vector<std::string> names = {}) {
    return CertificateFiles(certificate.certificate_file, certificate.key_file, std::move(names));
  };
  auto server = TlsContext::Server(
      files(certificate_), {files(named), files(wildcard), files(listed, {"d.example"})});
  ASSERT_TRUE(server.ok()) << server.status();
  server_context_ = *std::move(server);
  const auto shakes = [&](const TestCertificate& authority, const std::string& name) {
    TearDown();
    pair_ = MakeSocketPair(loop_);
    return Handshake(authority.certificate_file, name).client.ok();
  };
  EXPECT_TRUE(shakes(certificate_, "mx.example"));
  EXPECT_TRUE(shakes(certificate_, "127.0.0.1"));
  EXPECT_TRUE(shakes(named, "a.example"));
  EXPECT_TRUE(shakes(named, "A.Example"));
  EXPECT_TRUE(shakes(named, "b.example"));
  EXPECT_TRUE(shakes(wildcard, "x.c.example"));
  EXPECT_TRUE(shakes(listed, "d.example"));
  EXPECT_FALSE(shakes(wildcard, "a.example"));        // the first that has the name
  EXPECT_FALSE(shakes(wildcard, "x.y.c.example"));    // one label, no more
  EXPECT_FALSE(shakes(listed, "ignored.example"));
  // Who asks for a name that nobody has may still take what there is.
  TearDown();
  pair_ = MakeSocketPair(loop_);
  EXPECT_TRUE(Handshake("", "unknown.example").client.ok());
  EXPECT_EQ(pair_.server->tls().server_name, "unknown.example");

  named.Renew();
  EXPECT_FALSE(shakes(named, "a.example"));
  ASSERT_TRUE(server_context_->Reload().ok());
  EXPECT_TRUE(shakes(named, "a.example"));
  // One broken file keeps all that was there.
  std::ofstream(listed.certificate_file) << "broken";
  certificate_.Renew();
  EXPECT_FALSE(server_context_->Reload().ok());
  EXPECT_TRUE(shakes(named, "a.example"));
  EXPECT_FALSE(shakes(certificate_, "mx.example"));
}

TEST(TlsContextTest, AMissingFileIsNamed) {
  const auto context = TlsContext::Server({"/nonexistent/certificate.pem", "/nonexistent/key.pem"});
  ASSERT_FALSE(context.ok());
  EXPECT_THAT(std::string(context.status().message()), HasSubstr("/nonexistent/certificate.pem"));
}

}  // namespace
}  // namespace posthorn::net
