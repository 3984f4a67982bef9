#include "services/delivery/remote_delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RemoteDeliveryTest : public ::testing::Test {
 protected:
  RemoteDeliveryTest() {
    dns_.AddMx("example.net", 10, "mx1.example.net");
    dns_.AddMx("example.net", 20, "mx2.example.net");
    dns_.AddA("mx1.example.net", "192.0.2.1");
    dns_.AddA("mx2.example.net", "192.0.2.2");
    connector_.servers["192.0.2.1"] = &first_;
    connector_.servers["192.0.2.2"] = &second_;
  }
  ~RemoteDeliveryTest() override {
    remote_.reset();
    pool_.reset();
    executor_.RunUntilIdle();
  }

  static Job MakeJob(std::vector<std::string> addresses) {
    Job job;
    job.key.tenant = TenantId(1);
    job.key.job = JobId(2);
    job.key.destination = "example.net";
    job.reverse_path = "from@example.org";
    job.prefix = "Received: x\r\n";
    job.inline_body = "Subject: hi\r\n\r\n.dot\r\n";
    for (std::string& address : addresses) {
      JobRecipient recipient;
      recipient.address = recipient.original_address = std::move(address);
      job.recipients.push_back(std::move(recipient));
    }
    return job;
  }

  void Build() {
    if (pool_ != nullptr) return;
    MailRouterOptions router_options;
    router_options.hostname = "us.example.org";
    router_options.cache = false;
    router_options.random = [](std::size_t) { return std::size_t{0}; };
    router_ = std::make_unique<MailRouter>(router_options, RouteTable(), dns_, clock_);
    ConnectionOptions connection_options;
    connection_options.hostname = "us.example.org";
    connection_options.tls = tls_;
    connection_options.verified_tls = verified_tls_;
    connection_options.command_timeout = absl::Seconds(300);
    connection_options.final_dot_timeout = absl::Seconds(600);
    pool_ = std::make_unique<ConnectionPool>(pool_options_, connection_options, executor_,
                                             connector_, clock_);
    remote_ = std::make_unique<RemoteDelivery>(options_, *router_, *pool_, queue_, clock_);
  }
  std::vector<RecipientResult> Deliver(const Job& job) {
    Build();
    auto results = executor_.Run(remote_->Deliver(job, lease_));
    EXPECT_TRUE(results.has_value()) << "still waiting";
    return results.value_or(std::vector<RecipientResult>(job.recipients.size()));
  }
  // Two results at once.
  static Task<void> Keep(Task<std::vector<RecipientResult>> task,
                         std::vector<std::vector<RecipientResult>>& out) {
    std::vector<RecipientResult> results = co_await std::move(task);
    out.push_back(std::move(results));
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  dns::FakeResolver dns_;
  FakeQueue queue_;
  FakeLease lease_;
  FakeConnector connector_{executor_};
  SmtpSink first_, second_;
  RemoteOptions options_;
  PoolOptions pool_options_;
  const net::TlsContext* tls_ = nullptr;
  const net::TlsContext* verified_tls_ = nullptr;
  std::unique_ptr<MailRouter> router_;
  std::unique_ptr<ConnectionPool> pool_;
  std::unique_ptr<RemoteDelivery> remote_;
};

// Replies to lines that start with `start`, `times` times (-1: always).
SmtpSink::Script Reply(std::string start, std::string reply, int times = -1) {
  auto left = std::make_shared<int>(times);
  return [start, reply, left](const std::string& line) -> std::optional<std::string> {
    if (!absl::StartsWith(line, start) || *left == 0) return std::nullopt;
    --*left;
    return reply;
  };
}

TEST_F(RemoteDeliveryTest, OneTransactionForAllRecipients) {
  const auto results = Deliver(MakeJob({"a@example.net", "b@example.net"}));
  for (const RecipientResult& result : results) {
    EXPECT_EQ(result.outcome, Outcome::kDelivered);
    EXPECT_EQ(result.remote_host, "mx1.example.net (192.0.2.1)");
    EXPECT_EQ(result.text, "250 2.0.0 queued");
    EXPECT_EQ(result.enhanced, "2.0.0");
  }
  EXPECT_EQ(first_.transcript(),
            "S: 220 sink.example ESMTP\n"
            "C: EHLO us.example.org\n"
            "S: 250-sink.example\nS: 250-PIPELINING\nS: 250-8BITMIME\nS: 250-SIZE 10485760\n"
            "S: 250 HELP\n"
            "C: MAIL FROM:<from@example.org> SIZE=34\n"
            "S: 250 2.0.0 ok\n"
            "C: RCPT TO:<a@example.net>\n"
            "S: 250 2.0.0 ok\n"
            "C: RCPT TO:<b@example.net>\n"
            "S: 250 2.0.0 ok\n"
            "C: DATA\n"
            "S: 354 go on\n"
            "C: .\n"
            "S: 250 2.0.0 queued\n");
  ASSERT_EQ(first_.messages().size(), 1u);
  EXPECT_EQ(first_.messages()[0].data, "Received: x\r\nSubject: hi\r\n\r\n.dot\r\n");
}

TEST_F(RemoteDeliveryTest, ReusesTheConnectionForOtherMessagesAndTenants) {
  Deliver(MakeJob({"a@example.net"}));
  Job other = MakeJob({"b@example.net"});
  other.key.tenant = TenantId(7);
  Deliver(other);
  EXPECT_EQ(first_.connections(), 1);
  EXPECT_EQ(first_.messages().size(), 2u);
  clock_.Advance(absl::Seconds(5));
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(pool_->idle(), 0u);
  EXPECT_THAT(first_.transcript(), HasSubstr("C: QUIT\n"));
}

TEST_F(RemoteDeliveryTest, EachRecipientHasItsOwnResult) {
  first_.script = [](const std::string& line) -> std::optional<std::string> {
    if (line == "RCPT TO:<bad@example.net>") return "550 5.1.1 no such user";
    if (line == "RCPT TO:<later@example.net>") return "450 4.2.0 greylisted";
    return std::nullopt;
  };
  second_.script = Reply("RCPT TO:<later", "450-4.2.0 still\n450 4.2.0 greylisted");
  const auto results =
      Deliver(MakeJob({"bad@example.net", "good@example.net", "later@example.net"}));
  EXPECT_EQ(results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(results[0].enhanced, "5.1.1");
  EXPECT_TRUE(results[0].is_smtp_reply);
  EXPECT_EQ(results[1].outcome, Outcome::kDelivered);
  EXPECT_EQ(results[2].outcome, Outcome::kDeferred);
  EXPECT_EQ(results[2].text, "450 4.2.0 still greylisted");
  // The next server was asked for the deferred one only.
  EXPECT_EQ(second_.message_count(), 0u);
  EXPECT_THAT(second_.transcript(), Not(HasSubstr("good@")));
}

TEST_F(RemoteDeliveryTest, GoesToTheNextServer) {
  struct Row {
    const char* name;
    SmtpSink::Script script;
  };
  const Row rows[] = {
      {"greeting 554", Reply("greeting", "554 no")},
      {"greeting 421", Reply("greeting", "421 busy")},
      {"closes at once", Reply("greeting", "")},
      {"EHLO 421", Reply("EHLO", "421 busy")},
      {"MAIL 421", Reply("MAIL", "421 busy")},
      {"MAIL 451", Reply("MAIL", "451 later")},
      {"RCPT 421", Reply("RCPT", "421 busy")},
      {"DATA 421", Reply("DATA", "421 busy")},
      {"DATA 451", Reply("DATA", "451 later")},
      {"final dot 451", Reply(".", "451 later")},
      {"final dot 421", Reply(".", "421 bye")},
      {"closes at RCPT", Reply("RCPT", "")},
      {"no SMTP", Reply("MAIL", "what?")},
  };
  for (const Row& row : rows) {
    first_.script = row.script;
    const std::size_t before = second_.message_count();
    const auto results = Deliver(MakeJob({"a@example.net"}));
    EXPECT_EQ(results[0].outcome, Outcome::kDelivered) << row.name << ": " << results[0].text;
    EXPECT_EQ(second_.message_count(), before + 1) << row.name;
  }
}

TEST_F(RemoteDeliveryTest, GoesToTheNextServerWhenTheFirstIsNotThere) {
  connector_.servers.erase("192.0.2.1");
  const auto results = Deliver(MakeJob({"a@example.net"}));
  EXPECT_EQ(results[0].outcome, Outcome::kDelivered);
  EXPECT_THAT(connector_.attempts, ElementsAre("192.0.2.1:25", "192.0.2.2:25"));
}

TEST_F(RemoteDeliveryTest, DefersWhenNoServerIsThere) {
  connector_.servers.clear();
  const auto results = Deliver(MakeJob({"a@example.net"}));
  EXPECT_EQ(results[0].outcome, Outcome::kDeferred);
  EXPECT_EQ(results[0].enhanced, "4.4.1");
  EXPECT_THAT(results[0].text, HasSubstr("connection refused"));
}

TEST_F(RemoteDeliveryTest, APermanentRefusalIsNotTakenElsewhere) {
  first_.script = Reply(".", "554 5.7.1 spam");
  const auto results = Deliver(MakeJob({"a@example.net"}));
  EXPECT_EQ(results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, FailuresOfRoutingDecide) {
  dns_.AddMx("null.example", 0, "");
  Job job = MakeJob({"a@null.example"});
  job.key.destination = "null.example";
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kBounced);
  EXPECT_EQ(Deliver(job)[0].enhanced, "5.1.10");
  dns_.Break("null.example");
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDeferred);
}

// Invariant I4: only this window may lead to a duplicate.
TEST_F(RemoteDeliveryTest, ALostReplyToTheFinalDotIsNotTakenElsewhere) {
  first_.script = Reply(".", "");
  const auto results = Deliver(MakeJob({"a@example.net"}));
  EXPECT_EQ(results[0].outcome, Outcome::kDeferred);
  EXPECT_EQ(first_.message_count(), 1u);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, AStaleConnectionIsReplacedWithoutAFailure) {
  Deliver(MakeJob({"a@example.net"}));
  first_.script = Reply("MAIL", "421 idle too long", 1);
  EXPECT_EQ(Deliver(MakeJob({"b@example.net"}))[0].outcome, Outcome::kDelivered);
  first_.script = Reply("MAIL", "", 1);
  EXPECT_EQ(Deliver(MakeJob({"c@example.net"}))[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.connections(), 3);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, WithoutASureLeaseTheFinalDotIsNotSent) {
  lease_.sure = false;
  const auto results = Deliver(MakeJob({"a@example.net"}));
  EXPECT_EQ(results[0].outcome, Outcome::kDeferred);
  executor_.RunUntilIdle();
  EXPECT_EQ(first_.message_count(), 0u);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, ALargeBodyIsStreamed) {
  Job job = MakeJob({"a@example.net"});
  job.inline_body.clear();
  job.stored_body.emplace();
  job.stored_body->sha256 = "x";
  std::string body;
  for (int i = 0; i < 20000; ++i) body += "." + std::to_string(i) + "\r\n";
  job.stored_body->size = body.size();
  queue_.bodies["x"] = body;
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDelivered);
  ASSERT_EQ(first_.messages().size(), 1u);
  EXPECT_EQ(first_.messages()[0].data, job.prefix + body);
}

TEST_F(RemoteDeliveryTest, ABodyThatCannotBeReadWholeIsNotSent) {
  Job job = MakeJob({"a@example.net"});
  job.inline_body.clear();
  job.stored_body.emplace();
  job.stored_body->sha256 = "x";
  job.stored_body->size = 100;
  queue_.bodies["x"] = "Subject: short\r\n";
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDeferred);
  queue_.body_end = MakeFailure(Failure::kNotFound);
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDeferred);
  executor_.RunUntilIdle();
  EXPECT_EQ(first_.message_count(), 0u);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, SplitsManyRecipients) {
  options_.recipients_per_transaction = 2;
  const auto results = Deliver(MakeJob({"a@example.net", "b@example.net", "c@example.net"}));
  for (const RecipientResult& result : results) EXPECT_EQ(result.outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.messages().size(), 2u);
  EXPECT_EQ(first_.connections(), 1);
}

TEST_F(RemoteDeliveryTest, TooManyRecipientsGoInAnotherRound) {
  int accepted = 0;
  first_.script = [&](const std::string& line) -> std::optional<std::string> {
    if (absl::StartsWith(line, "MAIL")) accepted = 0;
    if (absl::StartsWith(line, "RCPT") && ++accepted > 2) return "452 4.5.3 too many recipients";
    return std::nullopt;
  };
  const auto results = Deliver(MakeJob(
      {"a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net"}));
  for (const RecipientResult& result : results) EXPECT_EQ(result.outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.messages().size(), 3u);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, KeepsTheLimitOfConnections) {
  pool_options_.connections_per_host = 2;
  Build();
  std::vector<Job> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back(MakeJob({"a@example.net"}));
  std::vector<std::vector<RecipientResult>> results;
  for (const Job& job : jobs) Spawn(executor_, Keep(remote_->Deliver(job, lease_), results));
  executor_.RunUntilIdle();
  ASSERT_EQ(results.size(), 10u);
  for (const auto& one : results) EXPECT_EQ(one[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.max_open(), 2);
  EXPECT_EQ(first_.connections(), 2);
}

TEST_F(RemoteDeliveryTest, AWaiterGetsThePlaceOfAConnectionThatFailed) {
  pool_options_.connections_per_host = 1;
  first_.script = Reply("MAIL", "421 one message only", 2);
  Build();
  std::vector<Job> jobs;
  for (int i = 0; i < 4; ++i) jobs.push_back(MakeJob({"a@example.net"}));
  std::vector<std::vector<RecipientResult>> results;
  for (const Job& job : jobs) Spawn(executor_, Keep(remote_->Deliver(job, lease_), results));
  executor_.RunUntilIdle();
  ASSERT_EQ(results.size(), 4u);
  for (const auto& one : results) EXPECT_EQ(one[0].outcome, Outcome::kDelivered);
}

TEST_F(RemoteDeliveryTest, ASilentServerTimesOut) {
  first_.script = Reply("MAIL", "hang");
  Build();
  const Job job = MakeJob({"a@example.net"});
  std::vector<std::vector<RecipientResult>> results;
  Spawn(executor_, Keep(remote_->Deliver(job, lease_), results));
  executor_.RunUntilIdle();
  EXPECT_TRUE(results.empty());
  executor_.Advance(absl::Seconds(301));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0][0].outcome, Outcome::kDelivered);
  EXPECT_EQ(second_.message_count(), 1u);
}

TEST_F(RemoteDeliveryTest, TheFinalDotHasItsOwnTimeout) {
  first_.script = Reply(".", "hang");
  Build();
  const Job job = MakeJob({"a@example.net"});
  std::vector<std::vector<RecipientResult>> results;
  Spawn(executor_, Keep(remote_->Deliver(job, lease_), results));
  executor_.RunUntilIdle();
  executor_.Advance(absl::Seconds(599));
  EXPECT_TRUE(results.empty());
  executor_.Advance(absl::Seconds(2));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0][0].outcome, Outcome::kDeferred);
  EXPECT_EQ(second_.connections(), 0);
}

TEST_F(RemoteDeliveryTest, AHostThatDoesNotAnswerIsLeftAloneForAWhile) {
  connector_.silent["192.0.2.1"] = absl::Seconds(30);
  Build();
  const Job job = MakeJob({"a@example.net"});
  std::vector<std::vector<RecipientResult>> results;
  Spawn(executor_, Keep(remote_->Deliver(job, lease_), results));
  executor_.RunUntilIdle();
  clock_.Advance(absl::Seconds(30));
  executor_.Advance(absl::Seconds(30));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0][0].outcome, Outcome::kDelivered);
  connector_.attempts.clear();
  Deliver(job);
  EXPECT_TRUE(connector_.attempts.empty());  // the second's connection is reused
  clock_.Advance(absl::Minutes(2));
  connector_.silent.clear();
  Deliver(job);
  EXPECT_EQ(first_.message_count(), 1u);
}

TEST_F(RemoteDeliveryTest, CloseAllEndsWhatWaits) {
  pool_options_.connections_per_host = 1;
  first_.script = Reply("MAIL", "hang");
  Build();
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(MakeJob({"a@example.net"}));
  std::vector<std::vector<RecipientResult>> results;
  for (const Job& job : jobs) Spawn(executor_, Keep(remote_->Deliver(job, lease_), results));
  executor_.RunUntilIdle();
  EXPECT_TRUE(results.empty());
  pool_->CloseAll();
  executor_.RunUntilIdle();
  ASSERT_EQ(results.size(), 3u);
  for (const auto& one : results) EXPECT_EQ(one[0].outcome, Outcome::kDeferred);
}

class RemoteDeliveryTlsTest : public RemoteDeliveryTest {
 protected:
  RemoteDeliveryTlsTest() {
    absl::StatusOr<std::unique_ptr<net::TlsContext>> client = net::TlsContext::Client("");
    EXPECT_TRUE(client.ok());
    client_ = *std::move(client);
    tls_ = client_.get();
  }
  std::unique_ptr<net::TlsContext> client_;
};

TEST_F(RemoteDeliveryTlsTest, EncryptsWhenOffered) {
  first_.tls = client_.get();  // the memory stream's TLS looks at no context
  EXPECT_EQ(Deliver(MakeJob({"a@example.net"}))[0].outcome, Outcome::kDelivered);
  EXPECT_THAT(first_.transcript(), HasSubstr("C: STARTTLS\nS: 220 2.0.0 go\nC: EHLO"));
}

TEST_F(RemoteDeliveryTlsTest, GoesInClearWhenTheHandshakeFails) {
  first_.tls_breaks = true;
  EXPECT_EQ(Deliver(MakeJob({"a@example.net"}))[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.connections(), 2);
  EXPECT_EQ(first_.message_count(), 1u);
}

TEST_F(RemoteDeliveryTest, PassesOnWhatTheSenderAskedForToAServerWithDsn) {
  first_.extensions = {"PIPELINING", "DSN", "MT-PRIORITY", "DELIVERBY"};
  Job job = MakeJob({"a@example.net", "b@example.net", "c@example.net"});
  job.options.envelope_id = "QQ+1";
  job.options.ret = EnvelopeOptions::Ret::kHeaders;
  job.options.priority = 4;
  job.options.deliver_by.emplace();
  job.options.deliver_by->by = clock_.Now() + absl::Seconds(90);
  RecipientOptions& a = job.recipients[0].options;
  a.notify_given = a.success = a.failure = true;
  a.original_recipient = "rfc822;Alias+1@example.org";
  RecipientOptions& b = job.recipients[1].options;
  b.notify_given = b.never = true;
  job.recipients[1].original_address = "alias@example.org";
  const auto results = Deliver(job);
  for (const RecipientResult& result : results) {
    EXPECT_EQ(result.outcome, Outcome::kDelivered);
    EXPECT_EQ(result.handover, Handover::kPassedOn);
    EXPECT_FALSE(result.tell_handover);
  }
  EXPECT_THAT(first_.transcript(),
              HasSubstr("C: MAIL FROM:<from@example.org> RET=HDRS ENVID=QQ+2B1 MT-PRIORITY=4 "
                        "BY=90;N\n"));
  EXPECT_THAT(first_.transcript(),
              HasSubstr("C: RCPT TO:<a@example.net> NOTIFY=SUCCESS,FAILURE "
                        "ORCPT=rfc822;Alias+2B1@example.org\n"));
  EXPECT_THAT(first_.transcript(),
              HasSubstr("C: RCPT TO:<b@example.net> NOTIFY=NEVER ORCPT=rfc822;alias@example.org\n"));
  EXPECT_THAT(first_.transcript(), HasSubstr("C: RCPT TO:<c@example.net>\n"));
}

TEST_F(RemoteDeliveryTest, AServerWithoutDsnOrDeliverByIsARelay) {
  Job job = MakeJob({"a@example.net"});
  job.recipients[0].options.notify_given = job.recipients[0].options.success = true;
  EXPECT_EQ(Deliver(job)[0].handover, Handover::kRelayed);
  EXPECT_FALSE(Deliver(job)[0].tell_handover);
  job.options.deliver_by.emplace();
  job.options.deliver_by->by = clock_.Now() + absl::Seconds(90);
  EXPECT_TRUE(Deliver(job)[0].tell_handover);
}

TEST_F(RemoteDeliveryTest, AnotherServerMayHaveTheExtension) {
  second_.extensions.push_back("SMTPUTF8");
  Job job = MakeJob({"a@example.net"});
  job.options.smtputf8 = true;
  const auto results = Deliver(job);
  EXPECT_EQ(results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(results[0].remote_host, "mx2.example.net (192.0.2.2)");
  EXPECT_EQ(second_.messages()[0].reverse_path, "<from@example.org> SIZE=34 SMTPUTF8");
}

TEST_F(RemoteDeliveryTest, WithoutTheExtensionAnywhereItBounces) {
  Job job = MakeJob({"a@example.net", "b@example.net"});
  job.options.smtputf8 = true;
  for (const RecipientResult& result : Deliver(job)) {
    EXPECT_EQ(result.outcome, Outcome::kBounced);
    EXPECT_EQ(result.enhanced, "5.6.7");
    EXPECT_FALSE(result.is_smtp_reply);
  }
  EXPECT_EQ(first_.message_count() + second_.message_count(), 0u);
  // A server that is away may have it.
  connector_.servers.erase("192.0.2.1");
  pool_.reset();
  for (const RecipientResult& result : Deliver(job)) {
    EXPECT_EQ(result.outcome, Outcome::kDeferred);
  }
}

TEST_F(RemoteDeliveryTest, SendsByBdatWithoutDots) {
  first_.extensions = {"PIPELINING", "CHUNKING"};
  Job job = MakeJob({"a@example.net"});
  job.inline_body = "Subject: hi\r\n\r\n.dot\r\nbare\nend\r";
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDelivered);
  ASSERT_EQ(first_.message_count(), 1u);
  EXPECT_EQ(first_.messages()[0].data,
            "Received: x\r\nSubject: hi\r\n\r\n.dot\r\nbare\r\nend\r\n");
}

TEST_F(RemoteDeliveryTest, ABinaryMessageGoesUnchanged) {
  first_.extensions = {"CHUNKING", "BINARYMIME"};
  Job job = MakeJob({"a@example.net"});
  job.options.body_is_binary = true;
  job.inline_body = std::string("Subject: hi\r\n\r\n\0\r\n.\r\n\n\xff\r", 25);
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.messages()[0].data, job.prefix + job.inline_body);
  EXPECT_THAT(first_.transcript(), HasSubstr("BODY=BINARYMIME"));
}

TEST_F(RemoteDeliveryTest, ALargeBodyGoesInChunksAheadOfTheirReplies) {
  for (const bool pipelining : {true, false}) {
    first_.extensions = {"CHUNKING"};
    if (pipelining) first_.extensions.push_back("PIPELINING");
    Job job = MakeJob({"a@example.net"});
    job.inline_body.clear();
    job.stored_body.emplace();
    job.stored_body->sha256 = "x";
    queue_.bodies["x"] = "Subject: large\r\n\r\n" + std::string(3000000, 'b') + "\r\n";
    job.stored_body->size = queue_.bodies["x"].size();
    pool_.reset();
    EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDelivered);
    const SmtpSink::Message message = first_.messages().back();
    EXPECT_EQ(message.data, job.prefix + queue_.bodies["x"]);
    EXPECT_GT(message.chunks, 40);
    // The spool fails: no LAST.
    queue_.body_end = MakeFailure(Failure::kStorageDown);
    const std::size_t before = first_.message_count();
    EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDeferred);
    EXPECT_EQ(first_.message_count(), before);
    queue_.body_end = absl::OkStatus();
  }
}

TEST_F(RemoteDeliveryTest, ARefusedChunkBouncesAndTheConnectionServesOn) {
  first_.extensions = {"PIPELINING", "CHUNKING"};
  first_.script = Reply("BDAT 6", "552 5.3.4 too large", 1);
  Job job = MakeJob({"a@example.net"});
  job.inline_body.clear();
  job.stored_body.emplace();
  job.stored_body->sha256 = "x";
  queue_.bodies["x"] = std::string(3000000, 'b') + "\r\n";
  job.stored_body->size = queue_.bodies["x"].size();
  const auto results = Deliver(job);
  EXPECT_EQ(results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(results[0].enhanced, "5.3.4");
  EXPECT_EQ(Deliver(MakeJob({"a@example.net"}))[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.connections(), 1);
}

TEST_F(RemoteDeliveryTlsTest, RequiredTlsNeedsStarttlsAndTheExtension) {
  verified_tls_ = client_.get();
  Job job = MakeJob({"a@example.net"});
  job.options.require_tls = true;
  // In clear the extension says nothing, and under TLS it is missing.
  first_.extensions.push_back("REQUIRETLS");
  second_.tls = client_.get();
  RecipientResult result = Deliver(job)[0];
  EXPECT_EQ(result.outcome, Outcome::kBounced);
  EXPECT_EQ(result.enhanced, "5.7.30");
  EXPECT_EQ(first_.message_count() + second_.message_count(), 0u);

  second_.extensions.push_back("REQUIRETLS");
  pool_.reset();
  result = Deliver(job)[0];
  EXPECT_EQ(result.outcome, Outcome::kDelivered);
  EXPECT_EQ(result.remote_host, "mx2.example.net (192.0.2.2)");
  EXPECT_THAT(second_.transcript(), HasSubstr("C: MAIL FROM:<from@example.org> SIZE=34 REQUIRETLS"));
  // What goes opportunistically does not use the connection, nor the other way round.
  Deliver(MakeJob({"a@example.net"}));
  EXPECT_THAT(first_.transcript(), HasSubstr("C: MAIL FROM:<from@example.org> SIZE=34\n"));
}

TEST_F(RemoteDeliveryTlsTest, RequiredTlsNeverFallsBackToClear) {
  verified_tls_ = client_.get();
  first_.tls_breaks = second_.tls_breaks = true;
  first_.extensions.push_back("REQUIRETLS");
  Job job = MakeJob({"a@example.net"});
  job.options.require_tls = true;
  EXPECT_NE(Deliver(job)[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(first_.message_count() + second_.message_count(), 0u);
  EXPECT_EQ(first_.connections(), 1);
}

TEST_F(RemoteDeliveryTest, RewritesWhatTheServerDoesNotTake) {
  struct Row {
    const char* name;
    std::vector<std::string> offers;
    bool is_8bit, is_binary;
    bool rewritten;
  };
  const Row rows[] = {
      {"7-bit", {}, false, false, false},
      {"8-bit, offered", {"8BITMIME"}, true, false, false},
      {"8-bit", {}, true, false, true},
      {"8-bit by BDAT", {"CHUNKING"}, true, false, true},
      {"binary, offered", {"CHUNKING", "BINARYMIME"}, false, true, false},
      {"binary, CHUNKING only", {"CHUNKING", "8BITMIME"}, false, true, true},
      {"binary", {"8BITMIME"}, false, true, true},
  };
  for (const Row& row : rows) {
    first_.extensions = row.offers;
    pool_.reset();
    Job job = MakeJob({"a@example.net"});
    job.inline_body = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n\xfc\r\n.\r\n";
    job.body_is_8bit = row.is_8bit;
    job.options.body_is_binary = row.is_binary;
    EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDelivered) << row.name;
    const SmtpSink::Message message = first_.messages().back();
    if (!row.rewritten) {
      EXPECT_EQ(message.data, job.prefix + job.inline_body) << row.name;
      continue;
    }
    EXPECT_THAT(message.data, HasSubstr("quoted-printable\r\n\r\n=FC\r\n.\r\n")) << row.name;
    EXPECT_FALSE(absl::StrContains(message.reverse_path, "BODY=")) << row.name;
  }
}

TEST_F(RemoteDeliveryTest, GoesWhereAnOperatorWants) {
  dns_.AddA("other.example.org", "192.0.2.2");
  Job job = MakeJob({"a@example.net"});
  job.route = {"other.example.org:2525"};
  EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDelivered);
  EXPECT_THAT(connector_.attempts, ElementsAre("192.0.2.2:2525"));
  for (const char* wrong : {"missing.example.org", "not a:host:at all"}) {
    job.route = {wrong};
    EXPECT_EQ(Deliver(job)[0].outcome, Outcome::kDeferred) << wrong;
  }
}

}  // namespace
}  // namespace posthorn::delivery
