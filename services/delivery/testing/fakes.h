#ifndef POSTHORN_SERVICES_DELIVERY_TESTING_FAKES_H_
#define POSTHORN_SERVICES_DELIVERY_TESTING_FAKES_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/executor.h"
#include "lib/base/failure.h"
#include "lib/net/memory_stream.h"
#include "lib/net/tls.h"
#include "services/delivery/ports.h"
#include "services/delivery/testing/smtp_sink.h"

// For unit tests on one ManualExecutor.
namespace posthorn::delivery {

// Hands out pieces of a string, then fails if told to.
class FakeBodyReader final : public BodyReader {
 public:
  FakeBodyReader(std::string body, std::size_t piece, absl::Status end)
      : body_(std::move(body)), piece_(piece), end_(std::move(end)) {}
  Task<absl::StatusOr<std::string>> Next() override {
    if (position_ >= body_.size() && !end_.ok()) co_return end_;
    std::string piece = body_.substr(std::min(position_, body_.size()), piece_);
    position_ += piece.size();
    co_return piece;
  }

 private:
  const std::string body_;
  const std::size_t piece_;
  const absl::Status end_;
  std::size_t position_ = 0;
};

class FakeQueue final : public QueuePort {
 public:
  // Jobs to hand out, a batch a call; with none left a call waits for its whole time.
  std::vector<std::vector<Job>> batches;
  absl::Duration lease = absl::Seconds(60);
  std::map<std::string, std::string> bodies;  // by sha256
  absl::Status body_end = absl::OkStatus();
  absl::Status put_failure = absl::OkStatus();
  std::vector<absl::Status> report_failures;  // the next reports fail so
  absl::Status heartbeat_failure = absl::OkStatus();
  std::vector<JobId> lost;

  std::vector<std::vector<JobReport>> reports;  // those that were taken, by call
  std::vector<std::vector<LeaseKey>> heartbeats;
  int lease_calls = 0;
  std::vector<OutboundMessage> enqueued;
  absl::Status enqueue_failure = absl::OkStatus();

  Task<absl::Status> Enqueue(OutboundMessage message) override {
    if (!enqueue_failure.ok()) co_return enqueue_failure;
    enqueued.push_back(std::move(message));
    co_return absl::OkStatus();
  }

  Task<absl::StatusOr<LeasedJobs>> Lease(std::string, int, absl::Duration wait) override {
    ++lease_calls;
    LeasedJobs leased;
    leased.lease = lease;
    if (batches.empty()) {
      co_await SleepFor(wait);
    } else {
      leased.jobs = std::move(batches.front());
      batches.erase(batches.begin());
    }
    co_return leased;
  }
  Task<absl::StatusOr<std::vector<JobId>>> Heartbeat(std::string,
                                                     std::vector<LeaseKey> jobs) override {
    heartbeats.push_back(std::move(jobs));
    if (!heartbeat_failure.ok()) co_return heartbeat_failure;
    co_return lost;
  }
  Task<absl::Status> Report(std::string, const std::vector<JobReport>& taken) override {
    if (!report_failures.empty()) {
      const absl::Status failure = report_failures.front();
      report_failures.erase(report_failures.begin());
      if (!failure.ok()) co_return failure;
    }
    reports.push_back(taken);
    co_return absl::OkStatus();
  }
  Task<absl::StatusOr<BodyRef>> PutBody(TenantId, BodyReader& body) override {
    if (!put_failure.ok()) co_return put_failure;
    std::string text;
    for (;;) {
      absl::StatusOr<std::string> piece = co_await body.Next();
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) break;
      text.append(*piece);
    }
    BodyRef ref;
    ref.sha256 = absl::StrCat("put", bodies.size());
    ref.size = text.size();
    bodies[ref.sha256] = std::move(text);
    co_return ref;
  }
  std::unique_ptr<BodyReader> ReadBody(TenantId, const BodyRef& body,
                                       std::uint64_t length) override {
    std::string text = bodies[body.sha256];
    if (length != 0) text = text.substr(0, length);
    return std::make_unique<FakeBodyReader>(std::move(text), 1000, body_end);
  }
};

class FakeDirectory final : public DirectoryPort {
 public:
  std::map<std::string, Resolution> addresses;  // others are remote
  std::map<std::string, ListExpansion> lists;
  std::map<std::pair<TenantId, std::string>, std::vector<std::string>> smart_hosts;
  int smart_host_calls = 0;
  absl::Status failure = absl::OkStatus();
  int calls = 0;

  SmartHostSettings smart_host_login;  // of all of them
  Task<absl::StatusOr<SmartHostSettings>> FindSmartHosts(TenantId tenant,
                                                         std::string domain) override {
    ++smart_host_calls;
    if (!failure.ok()) co_return failure;
    SmartHostSettings settings = smart_host_login;
    settings.hosts = smart_hosts[{tenant, domain}];
    co_return settings;
  }
  std::set<std::pair<std::string, std::string>> may_post;  // list and sender
  Task<absl::Status> AuthorizePost(std::string list, std::string sender) override {
    if (!failure.ok()) co_return failure;
    const bool allowed = may_post.contains({std::move(list), std::move(sender)});
    co_return allowed ? absl::OkStatus() : MakeFailure(Failure::kPostNotAllowed);
  }
  Task<absl::StatusOr<ListExpansion>> ExpandList(std::string list) override {
    if (!failure.ok()) co_return failure;
    const auto it = lists.find(list);
    if (it == lists.end()) co_return MakeFailure(Failure::kNotFound);
    co_return it->second;
  }
  void AddAccount(const std::string& address, TenantId tenant, AccountId account) {
    Resolution& resolution = addresses[address];
    resolution.kind = Resolution::Kind::kLocal;
    resolution.tenant = tenant;
    ResolvedTarget target;
    target.account = account;
    target.address = address;
    resolution.targets.push_back(target);
  }
  Task<absl::StatusOr<Resolution>> Resolve(std::string address) override {
    ++calls;
    if (!failure.ok()) co_return failure;
    const auto it = addresses.find(address);
    co_return it == addresses.end() ? Resolution() : it->second;
  }
};

class FakeMailbox final : public MailboxPort {
 public:
  std::vector<MailboxDelivery> deliveries;
  std::map<std::pair<TenantId, AccountId>, absl::Status> failures;
  absl::Status failure = absl::OkStatus();
  std::vector<std::pair<TenantId, std::string>> bodies;

  Task<absl::StatusOr<std::vector<absl::Status>>> Deliver(MailboxDelivery delivery) override {
    if (!failure.ok()) co_return failure;
    std::vector<absl::Status> statuses;
    for (const MailboxRecipient& recipient : delivery.recipients) {
      const auto it = failures.find({delivery.tenant, recipient.account});
      statuses.push_back(it == failures.end() ? absl::OkStatus() : it->second);
    }
    deliveries.push_back(std::move(delivery));
    co_return statuses;
  }
  Task<absl::StatusOr<BodyRef>> PutBody(TenantId tenant, BodyReader& body) override {
    std::string text;
    for (;;) {
      absl::StatusOr<std::string> piece = co_await body.Next();
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) break;
      text.append(*piece);
    }
    BodyRef ref;
    ref.sha256 = "stored";
    ref.size = text.size();
    bodies.emplace_back(tenant, std::move(text));
    co_return ref;
  }
};

class FakeLease final : public LeaseView {
 public:
  bool sure = true;
  bool lost = false;
  bool MaySendFinalDot() const override { return sure; }
  bool Lost() const override { return lost; }
};

// "Servers" by IP address; others refuse the connection.
class FakeConnector final : public Connector {
 public:
  explicit FakeConnector(Executor& executor) : executor_(executor) {}
  std::map<std::string, SmtpSink*> servers;
  std::vector<std::string> attempts;  // "ip:port"
  std::map<std::string, absl::Duration> silent;  // time out, on these

  std::vector<std::string> sources;  // where the attempts came from
  std::set<std::string> foreign;     // sources that this machine does not have

  Task<absl::StatusOr<std::unique_ptr<net::Stream>>> Connect(std::string ip, int port,
                                                             std::string source_ip,
                                                             absl::Duration timeout) override {
    attempts.push_back(ip + ":" + std::to_string(port));
    sources.push_back(source_ip);
    if (foreign.contains(source_ip)) {
      co_return absl::FailedPreconditionError("source address: cannot assign");
    }
    if (silent.contains(ip)) {
      co_await SleepFor(timeout);
      co_return MakeFailure(Failure::kTimeout, "connect timed out");
    }
    const auto it = servers.find(ip);
    if (it == servers.end()) co_return absl::UnavailableError("connection refused");
    net::PeerAddress address;
    address.ip = ip;
    address.port = port;
    net::MemoryPipe pipe = net::MakeMemoryPipe(address);
    Spawn(executor_, it->second->Serve(std::move(pipe.server)));
    co_return std::move(pipe.client);
  }

 private:
  Executor& executor_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TESTING_FAKES_H_
