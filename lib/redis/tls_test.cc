// Redis with TLS, client certificates and its access control list.

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "lib/base/failure.h"
#include "lib/net/net_test_support.h"
#include "lib/redis/client.h"
#include "lib/redis/redis_test_support.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::redis {
namespace {

std::string Contents(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class RedisTlsTest : public ::testing::Test {
 protected:
  RedisTlsTest() {
    std::ofstream(both_) << Contents(ours_.certificate_file) << Contents(theirs_.certificate_file);
    server_ = std::make_unique<testing::RedisServer>(
        std::vector<std::string>{"--user", "default", "off", "--user", "posthorn", "on",
                                 ">secret", "~posthorn:*", "&*", "+@all"},
        std::vector<std::string>{"--tls-cert-file", theirs_.certificate_file, "--tls-key-file",
                                 theirs_.key_file, "--tls-ca-cert-file", both_,
                                 "--tls-auth-clients", "yes"});
  }

  Options With(const std::string& ca_file, const net::TestCertificate* certificate,
               const std::string& address) {
    Options options(address, "secret");
    options.user = "posthorn";
    net::CertificateFiles files;
    if (certificate != nullptr) {
      files = net::CertificateFiles(certificate->certificate_file, certificate->key_file);
    }
    options.tls = *net::TlsContext::Client(ca_file, files);
    return options;
  }
  Options Good() {
    return With(theirs_.certificate_file, &ours_, server_->tcp_address());
  }
  absl::Status Try(Options options) {
    Client client(loop_, std::move(options));
    return redis::RunOn(loop_, client.Command({"SET", "posthorn:k", "v"})).status();
  }

  net::TestCertificate theirs_{"DNS:localhost,IP:127.0.0.1"};
  net::TestCertificate ours_{"DNS:client.example"};
  const std::string both_ = theirs_.directory + "/both.pem";
  std::unique_ptr<testing::RedisServer> server_;
  net::EventLoop loop_;
};

TEST_F(RedisTlsTest, SpeaksWithAServerItCanTrust) {
  EXPECT_TRUE(Try(Good()).ok());
  Options by_name = Good();
  by_name.address = "localhost:" + std::to_string(server_->port());
  EXPECT_TRUE(Try(std::move(by_name)).ok()) << "a name is looked up, and checked";
}

TEST_F(RedisTlsTest, RefusesAServerItCannotTrust) {
  EXPECT_EQ(FailureOf(Try(With(ours_.certificate_file, &ours_, server_->tcp_address()))),
            Failure::kUnavailable);
  Options other_name = Good();
  other_name.tls_server_name = "redis.example";
  EXPECT_EQ(FailureOf(Try(std::move(other_name))), Failure::kUnavailable);
  Options right_name = Good();
  right_name.tls_server_name = "localhost";
  EXPECT_TRUE(Try(std::move(right_name)).ok());
}

TEST_F(RedisTlsTest, NeedsItsCertificateUserAndPassword) {
  EXPECT_FALSE(Try(With(theirs_.certificate_file, nullptr, server_->tcp_address())).ok());
  Options clear = Good();
  clear.tls = nullptr;
  EXPECT_FALSE(Try(std::move(clear)).ok());
  Options default_user = Good();
  default_user.user.clear();
  EXPECT_FALSE(Try(std::move(default_user)).ok());
  Options wrong = Good();
  wrong.password = "wrong";
  EXPECT_FALSE(Try(std::move(wrong)).ok());
}

TEST_F(RedisTlsTest, ARenewedCertificateCountsAtTheNextConnection) {
  Client client(loop_, Good());
  EXPECT_TRUE(redis::RunOn(loop_, client.Command({"PING"})).ok());
  server_->Kill();
  theirs_.Renew();
  ours_.Renew();
  std::ofstream(both_) << Contents(ours_.certificate_file) << Contents(theirs_.certificate_file);
  server_->Start();
  EXPECT_TRUE(Eventually([&] { return redis::RunOn(loop_, client.Command({"PING"})).ok(); }));
}

TEST_F(RedisTlsTest, SubscribersToo) {
  std::atomic<int> heard{0};
  Subscriber subscriber(
      loop_, Good(), [&](std::string_view, std::string_view) { ++heard; }, nullptr);
  subscriber.Subscribe({"posthorn:channel"});
  Client client(loop_, Good());
  EXPECT_TRUE(Eventually([&] {
    return redis::RunOn(loop_, client.Publish("posthorn:channel", "text")).ok() && heard > 0;
  }));
}

}  // namespace
}  // namespace posthorn::redis
