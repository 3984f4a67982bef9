// The delivery service on its real wiring: gRPC, libunbound asking a real nsd, SMTP over TCP.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/ids.h"
#include "lib/dns/nsd_fixture.h"
#include "lib/net/tls.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/delivery/testing/fake_platform.h"
#include "services/delivery/testing/tcp_sink.h"
#include "services/delivery/wiring.h"

namespace posthorn::delivery {
namespace {

using ::testing::HasSubstr;
namespace q = posthorn::queue::v1;

constexpr char kRecords[] =
    "mail MX 10 mx\n"
    "mail MX 20 backup\n"
    "mx A 127.0.0.1\n"
    "backup A 127.0.0.1\n"
    "one MX 10 mx\n"
    "null MX 0 .\n";

class DeliveryServerTest : public ::testing::Test {
 protected:
  DeliveryServerTest() : nsd_("example.test", kRecords) {
    config_.set_hostname("us.example.org");
    config_.mutable_dns()->set_address("127.0.0.1");
    config_.mutable_dns()->set_port(nsd_.port());
    config_.mutable_dns()->set_cache("off");
    config_.mutable_dns()->set_timeout_seconds(5);
    config_.mutable_rpc()->set_deadline_seconds(10);
    config::v1::Delivery& delivery = *config_.mutable_delivery();
    delivery.set_threads(1);
    delivery.set_concurrency(16);
    delivery.set_connections_per_destination(4);
    delivery.set_idle_connection_seconds(5);
    delivery.set_smtp_port(sink_.port());
    delivery.set_connect_timeout_seconds(5);
    delivery.set_command_timeout_seconds(10);
    delivery.set_final_dot_timeout_seconds(10);
    delivery.set_starttls("opportunistic");
    delivery.set_recipients_per_transaction(100);
  }

  void Start(const char* token = FakePlatform::kToken) {
    auto server =
        DeliveryServer::Start(config_, platform_.channel(), platform_.channel(), token);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  static q::Job MakeJob(std::int64_t id, const std::string& address) {
    q::Job job;
    job.set_tenant_id(1);
    job.set_job_id(id);
    job.set_attempt(1);
    job.set_message_id(MessageId::Generate(absl::Now()).bytes());
    job.set_destination(address.substr(address.find('@') + 1));
    job.set_reverse_path("sender@local.test");
    q::JobRecipient& recipient = *job.add_recipients();
    recipient.set_recipient_id(id * 100);
    recipient.set_address(address);
    job.set_prefix("Received: by us\r\n");
    job.set_inline_body("Subject: hi\r\n\r\n.body\r\n");
    job.mutable_received_at()->set_seconds(absl::ToUnixSeconds(absl::Now()));
    job.mutable_expires_at()->set_seconds(absl::ToUnixSeconds(absl::Now() + absl::Hours(1)));
    return job;
  }
  q::JobReport OnlyReport() {
    EXPECT_TRUE(platform_.WaitForReports(1, absl::Seconds(20)));
    const auto reports = platform_.reports();
    return reports.empty() ? q::JobReport() : reports.front();
  }

  dns::NsdFixture nsd_;
  TcpSink sink_;
  FakePlatform platform_;
  config::v1::Config config_;
  std::unique_ptr<DeliveryServer> server_;
};

TEST_F(DeliveryServerTest, DeliversByMx) {
  Start();
  platform_.Add(MakeJob(1, "who@mail.example.test"));
  const q::JobReport report = OnlyReport();
  EXPECT_EQ(report.job().job_id(), 1);
  EXPECT_EQ(report.job().attempt(), 1);
  EXPECT_EQ(report.job().destination(), "mail.example.test");
  ASSERT_EQ(report.recipients_size(), 1);
  EXPECT_EQ(report.recipients(0).recipient_id(), 100);
  EXPECT_EQ(report.recipients(0).outcome(), q::RecipientReport::OUTCOME_DELIVERED);
  EXPECT_EQ(report.recipients(0).remote_host(), "mx.example.test (127.0.0.1)");
  ASSERT_EQ(sink_.sink.messages().size(), 1u);
  EXPECT_EQ(sink_.sink.messages()[0].data, "Received: by us\r\nSubject: hi\r\n\r\n.body\r\n");
  EXPECT_THAT(sink_.sink.messages()[0].reverse_path, HasSubstr("<sender@local.test>"));
}

// A certificate for `name`, its own authority, in a directory that goes with it.
class SelfSigned {
 public:
  explicit SelfSigned(const std::string& name) {
    EXPECT_NE(mkdtemp(directory_), nullptr);
    const std::string key = absl::StrCat(directory_, "/key.pem");
    const std::string command = absl::StrCat(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=",
        name, " -addext subjectAltName=DNS:", name, " -keyout ", key, " -out ", file(),
        " >/dev/null 2>&1");
    EXPECT_EQ(std::system(command.c_str()), 0);
    auto tls = net::TlsContext::Server({file(), key});
    EXPECT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
  }
  ~SelfSigned() { std::filesystem::remove_all(directory_); }
  std::string file() const { return absl::StrCat(directory_, "/cert.pem"); }
  const net::TlsContext* server() const { return tls_.get(); }

 private:
  char directory_[32] = "/tmp/posthorn-tls-XXXXXX";
  std::unique_ptr<net::TlsContext> tls_;
};

TEST_F(DeliveryServerTest, EncryptsWithARealHandshake) {
  const SelfSigned tls("mx");
  sink_.sink.tls = tls.server();
  Start();
  platform_.Add(MakeJob(1, "who@mail.example.test"));
  EXPECT_EQ(OnlyReport().recipients(0).outcome(), q::RecipientReport::OUTCOME_DELIVERED);
  EXPECT_THAT(sink_.sink.transcript(), HasSubstr("C: STARTTLS\nS: 220 2.0.0 go\nC: EHLO"));
  server_->Stop();
}

TEST_F(DeliveryServerTest, RequiredTlsChecksNameAndAuthority) {
  const SelfSigned right("mx.example.test"), wrong_name("other.example.test");
  struct Row {
    const char* name;
    const SelfSigned& shown;
    const SelfSigned& trusted;
    bool offers;
    bool delivered;
  };
  const Row rows[] = {
      {"all in order", right, right, true, true},
      {"without the extension", right, right, false, false},
      {"another name", wrong_name, wrong_name, true, false},
      {"another authority", right, wrong_name, true, false},
  };
  std::int64_t id = 0;
  for (const Row& row : rows) {
    sink_.sink.tls = row.shown.server();
    sink_.sink.extensions = {"PIPELINING"};
    if (row.offers) sink_.sink.extensions.push_back("REQUIRETLS");
    config_.mutable_delivery()->set_tls_ca_file(row.trusted.file());
    Start();
    q::Job job = MakeJob(++id, "who@one.example.test");
    job.mutable_options()->set_require_tls(true);
    platform_.Add(job);
    ASSERT_TRUE(platform_.WaitForReports(static_cast<std::size_t>(id), absl::Seconds(20)));
    const q::RecipientReport result = platform_.reports().back().recipients(0);
    EXPECT_EQ(result.outcome(), row.delivered ? q::RecipientReport::OUTCOME_DELIVERED
                                              : q::RecipientReport::OUTCOME_BOUNCED)
        << row.name << ": " << result.text();
    if (!row.delivered) {
      EXPECT_EQ(result.enhanced_status(), "5.7.30") << row.name;
    }
    server_->Stop();
    server_.reset();
  }
  EXPECT_EQ(sink_.sink.message_count(), 1u);
}

TEST_F(DeliveryServerTest, AMissingAuthorityFileIsNamed) {
  config_.mutable_delivery()->set_tls_ca_file("/nonexistent/ca.pem");
  const auto server = DeliveryServer::Start(config_, platform_.channel(), platform_.channel(), "");
  ASSERT_FALSE(server.ok());
  EXPECT_TRUE(absl::StrContains(server.status().message(), "delivery.tls_ca_file"));
}

TEST_F(DeliveryServerTest, StreamsALargeBody) {
  std::string body = "Subject: large\r\n\r\n";
  while (body.size() < 3000000) absl::StrAppend(&body, ".line ", body.size(), "\r\n");
  platform_.AddBody("big", body);
  q::Job job = MakeJob(1, "who@mail.example.test");
  job.clear_inline_body();
  job.mutable_stored_body()->set_sha256("big");
  job.mutable_stored_body()->set_size(body.size());
  Start();
  platform_.Add(job);
  EXPECT_EQ(OnlyReport().recipients(0).outcome(), q::RecipientReport::OUTCOME_DELIVERED);
  ASSERT_EQ(sink_.sink.messages().size(), 1u);
  EXPECT_TRUE(sink_.sink.messages()[0].data == "Received: by us\r\n" + body);

  // The same to a mailbox of the platform: copied into its store.
  job.set_job_id(2);
  job.set_destination("local");
  job.mutable_recipients(0)->set_address("a@local.test");
  job.mutable_recipients(0)->set_account_id(10);
  platform_.Add(job);
  ASSERT_TRUE(platform_.WaitForReports(2, absl::Seconds(20)));
  ASSERT_EQ(platform_.mailbox_bodies().size(), 1u);
  EXPECT_TRUE(platform_.mailbox_bodies()[0] == body);
  EXPECT_EQ(platform_.deliveries()[0].stored_body().sha256(), "in the mailbox store");
}

TEST_F(DeliveryServerTest, BouncesCarryANotificationToTheSendersMailbox) {
  sink_.sink.script = [](const std::string& line) -> std::optional<std::string> {
    if (absl::StartsWith(line, "RCPT")) return "550 5.1.1 no such user \xff here";
    return std::nullopt;
  };
  Start();
  platform_.Add(MakeJob(1, "who@mail.example.test"));
  const q::JobReport report = OnlyReport();
  EXPECT_EQ(report.recipients(0).outcome(), q::RecipientReport::OUTCOME_BOUNCED);
  EXPECT_EQ(report.recipients(0).smtp_code(), 550);
  EXPECT_EQ(report.recipients(0).enhanced_status(), "5.1.1");
  ASSERT_EQ(report.notifications_size(), 1);
  const q::OutboundMessage& message = report.notifications(0);
  EXPECT_EQ(message.reverse_path(), "");
  EXPECT_EQ(message.recipients(0).account_id(), 10);
  EXPECT_EQ(message.recipients(0).address(), "sender@local.test");
  EXPECT_EQ(message.message_id().size(), 16u);
  EXPECT_THAT(message.inline_body(), HasSubstr("Remote-MTA: dns; mx.example.test"));
}

TEST_F(DeliveryServerTest, ADomainThatIsOursByNowIsDeliveredHere) {
  Start();
  platform_.Add(MakeJob(1, "a@local.test"));
  EXPECT_EQ(OnlyReport().recipients(0).outcome(), q::RecipientReport::OUTCOME_DELIVERED);
  ASSERT_EQ(platform_.deliveries().size(), 1u);
  EXPECT_EQ(platform_.deliveries()[0].recipients(0).account_id(), 10);
  EXPECT_THAT(platform_.deliveries()[0].recipients(0).prefix(),
              HasSubstr("Return-Path: <sender@local.test>\r\nDelivered-To: a@local.test\r\n"));
  EXPECT_EQ(sink_.sink.connections(), 0);
}

TEST_F(DeliveryServerTest, FailuresOfDnsDecide) {
  Start();
  platform_.Add(MakeJob(1, "who@null.example.test"));
  platform_.Add(MakeJob(2, "who@unknown.example.test"));
  platform_.Add(MakeJob(3, "who@refused.example"));
  ASSERT_TRUE(platform_.WaitForReports(3, absl::Seconds(20)));
  std::map<std::int64_t, std::string> statuses;
  for (const q::JobReport& report : platform_.reports()) {
    statuses[report.job().job_id()] = report.recipients(0).enhanced_status();
  }
  EXPECT_EQ(statuses[1], "5.1.10");
  EXPECT_EQ(statuses[2], "5.1.2");
  EXPECT_EQ(statuses[3], "4.4.3");
}

TEST_F(DeliveryServerTest, RoutesGoBeforeMx) {
  config::v1::Route& route = *config_.mutable_delivery()->add_routes();
  route.set_pattern("*");
  route.add_hosts(absl::StrCat("127.0.0.1:", sink_.port()));
  Start();
  platform_.Add(MakeJob(1, "who@refused.example"));
  EXPECT_EQ(OnlyReport().recipients(0).outcome(), q::RecipientReport::OUTCOME_DELIVERED);
}

TEST_F(DeliveryServerTest, MailLeavesThroughTheSmartHostOfItsSendersDomain) {
  platform_.SetSmartHost(absl::StrCat("127.0.0.1:", sink_.port()));
  Start();
  platform_.Add(MakeJob(1, "who@refused.example"));
  EXPECT_EQ(OnlyReport().recipients(0).outcome(), q::RecipientReport::OUTCOME_DELIVERED);
  // Another sender's goes its own way.
  q::Job job = MakeJob(2, "who@refused.example");
  job.set_reverse_path("sender@elsewhere.example");
  platform_.Add(job);
  ASSERT_TRUE(platform_.WaitForReports(2, absl::Seconds(20)));
  EXPECT_EQ(platform_.reports()[1].recipients(0).enhanced_status(), "4.4.3");
}

TEST_F(DeliveryServerTest, ManyMessagesShareFewConnections) {
  Start();
  for (int i = 1; i <= 200; ++i) platform_.Add(MakeJob(i, "who@mail.example.test"));
  ASSERT_TRUE(platform_.WaitForReports(200, absl::Seconds(60)));
  EXPECT_EQ(sink_.sink.message_count(), 200u);
  EXPECT_LE(sink_.sink.max_open(), 4);
  server_->Drain();
}

TEST_F(DeliveryServerTest, StopsWhileAServerHangs) {
  sink_.sink.script = [](const std::string& line) -> std::optional<std::string> {
    if (absl::StartsWith(line, "MAIL")) return "hang";
    return std::nullopt;
  };
  Start();
  platform_.Add(MakeJob(1, "who@mail.example.test"));
  const absl::Time limit = absl::Now() + absl::Seconds(10);
  while (!absl::StrContains(sink_.sink.transcript(), "MAIL") && absl::Now() < limit) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  server_->Stop();
  EXPECT_EQ(platform_.reports().size(), 1u);  // deferred: the connection was closed
}

TEST_F(DeliveryServerTest, AWrongRouteStopsTheStart) {
  config::v1::Route& route = *config_.mutable_delivery()->add_routes();
  route.set_pattern("*");
  route.add_hosts("host:99999");
  const auto server =
      DeliveryServer::Start(config_, platform_.channel(), platform_.channel(), "");
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("delivery.routes[0]"));
}

}  // namespace
}  // namespace posthorn::delivery
