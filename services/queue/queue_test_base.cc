#include "services/queue/queue_test_base.h"

#include "services/queue/migrations.h"

// Services don't include each other, but share one database: the schema that all use.
namespace posthorn::mailbox {
std::vector<postgres::Migration> Migrations();
}

namespace posthorn::queue {
namespace {

std::vector<postgres::Migration> AllMigrations() {
  std::vector<postgres::Migration> all = mailbox::Migrations();
  for (const postgres::Migration& migration : Migrations()) all.push_back(migration);
  return all;
}

}  // namespace

Accepted Replica::Enqueue(Message message) {
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  auto results = Run(core_.Enqueue(std::move(messages)));
  EXPECT_TRUE(results.ok()) << results.status();
  if (!results.ok()) return Accepted();
  EXPECT_TRUE((*results)[0].ok()) << (*results)[0].status();
  return (*results)[0].ok() ? *(*results)[0] : Accepted();
}

absl::Status Replica::TryEnqueue(Message message) {
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  auto results = Run(core_.Enqueue(std::move(messages)));
  return results.ok() ? (*results)[0].status() : results.status();
}

Task<bool> Replica::Settled() {
  co_await core_.Settle();
  co_return true;
}

std::vector<LeasedJob> Replica::Lease(int max, absl::Duration wait) {
  Run(Settled());
  auto jobs = Run(core_.Lease("worker", max, wait, [] { return false; }));
  EXPECT_TRUE(jobs.ok()) << jobs.status();
  return jobs.ok() ? *std::move(jobs) : std::vector<LeasedJob>();
}

void Replica::Report(std::vector<JobReport> reports) {
  const absl::Status status = Run(core_.Report(std::move(reports)));
  EXPECT_TRUE(status.ok()) << status;
}

std::vector<QueuedMessage> Replica::List(Filter filter) {
  auto messages = Run(core_.List(std::move(filter), 100, std::nullopt));
  EXPECT_TRUE(messages.ok()) << messages.status();
  return messages.ok() ? *std::move(messages) : std::vector<QueuedMessage>();
}

Reconciler::Pass Replica::Reconcile() {
  auto pass = Run(core_.ReconcileNow());
  EXPECT_TRUE(pass.ok()) << pass.status();
  return pass.ok() ? *pass : Reconciler::Pass();
}

testing::PostgresServer& QueueTest::Postgres() {
  static auto* const server = new testing::PostgresServer();
  static const int stopped = std::atexit([] { delete server; });
  (void)stopped;
  return *server;
}

QueueTest::QueueTest()
    : url_(Postgres().NewDatabase(AllMigrations())),
      clock_(absl::FromUnixSeconds(1800000000)),
      queue_(std::make_unique<Replica>(clock_, Options())) {}

QueueTest::~QueueTest() = default;

Core::Options QueueTest::Options() const {
  Core::Options options;
  options.postgres_url = url_;
  options.postgres_connections = 2;
  options.redis = redis::Options(redis_server_.address(), "");
  options.shards = 4;
  options.policy.general.jitter_percent = 0;
  // Far away: tests run it when they mean it.
  options.reconcile_every = absl::Hours(1);
  return options;
}

std::unique_ptr<Replica> QueueTest::Another() {
  return std::make_unique<Replica>(clock_, Options());
}

std::unique_ptr<postgres::Connection> QueueTest::Superuser() {
  postgres::ConnectionOptions options;
  options.url = url_;
  auto connection = postgres::Connection::Open(options);
  EXPECT_TRUE(connection.ok()) << connection.status();
  return *std::move(connection);
}

std::int64_t QueueTest::Count(const std::string& sql) {
  auto rows = Superuser()->Exec(sql);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? rows->Int(0, 0) : -1;
}

Message QueueTest::To(std::vector<std::string> addresses, std::int64_t tenant) {
  Message message;
  message.tenant = TenantId(tenant);
  message.id = MessageId::Generate(absl::Now());
  message.reverse_path = "a@sender.test";
  for (const std::string& address : addresses) {
    Recipient recipient;
    recipient.address = address;
    recipient.original_address = address;
    message.recipients.push_back(recipient);
  }
  message.prefix = "Received: by test\r\n";
  message.inline_body = "Subject: x\r\n\r\n" + message.id.ToString() + "\r\n";
  message.size = message.inline_body->size();
  message.received_at = absl::FromUnixSeconds(1800000000);
  return message;
}

JobReport QueueTest::Outcome(const LeasedJob& job, RecipientState outcome, absl::Time retry_at) {
  JobReport report;
  report.key.ref = job.ref;
  report.key.attempt = job.attempt;
  report.key.destination = job.destination;
  report.retry_at = retry_at;
  for (const LeasedRecipient& recipient : job.recipients) {
    RecipientReport result;
    result.id = recipient.id;
    result.outcome = outcome;
    result.remote_host = "mx.example.net (192.0.2.1)";
    result.smtp_code = outcome == RecipientState::kDelivered ? 250 : 451;
    result.enhanced_status = outcome == RecipientState::kDelivered ? "2.0.0" : "4.3.0";
    result.text = "words of the server";
    report.recipients.push_back(std::move(result));
  }
  return report;
}

}  // namespace posthorn::queue
