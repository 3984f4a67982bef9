#include "services/delivery/testing/fake_platform.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/directory/v1/directory.grpc.pb.h"
#include "posthorn/mailbox/v1/delivery.grpc.pb.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"

namespace posthorn::delivery {
namespace {

namespace q = posthorn::queue::v1;
namespace c = posthorn::common::v1;
namespace d = posthorn::directory::v1;
namespace m = posthorn::mailbox::v1;

constexpr std::size_t kPiece = 256 * 1024;

bool Allowed(const grpc::ServerContext& context) {
  const auto range = context.client_metadata().equal_range("authorization");
  const std::string wanted = std::string("Bearer ") + FakePlatform::kToken;
  return range.first != range.second &&
         std::string(range.first->second.data(), range.first->second.size()) == wanted;
}

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<q::Job> due;
  std::vector<q::JobReport> reports;
  std::vector<m::Delivery> deliveries;
  std::vector<std::string> mailbox_bodies;
  std::map<std::string, std::string> bodies;
  std::string smart_host;
};

class FakeQueueService final : public q::Queue::Service {
 public:
  explicit FakeQueueService(State& state) : state_(state) {}
  grpc::Status Lease(grpc::ServerContext* context, const q::LeaseRequest* request,
                     q::LeaseResponse* response) override {
    if (!Allowed(*context)) return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "token");
    std::unique_lock<std::mutex> lock(state_.mutex);
    state_.changed.wait_for(lock, std::chrono::milliseconds(request->wait_ms()),
                            [&] { return !state_.due.empty(); });
    response->set_lease_seconds(60);
    while (!state_.due.empty() && response->jobs_size() < request->max_jobs()) {
      *response->add_jobs() = std::move(state_.due.back());
      state_.due.pop_back();
    }
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const q::HeartbeatRequest*,
                         q::HeartbeatResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status Report(grpc::ServerContext*, const q::ReportRequest* request,
                      q::ReportResponse*) override {
    const std::lock_guard<std::mutex> lock(state_.mutex);
    for (const q::JobReport& report : request->reports()) state_.reports.push_back(report);
    state_.changed.notify_all();
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

// Nothing is limited.
class FakeTrafficService final : public q::Traffic::Service {
 public:
  grpc::Status Admit(grpc::ServerContext*, const q::AdmitRequest*,
                     q::AdmitResponse* response) override {
    response->set_granted(true);
    response->set_free_ms(5000);
    response->set_whole_site(true);
    return grpc::Status::OK;
  }
  grpc::Status Note(grpc::ServerContext*, const q::NoteRequest*, q::NoteResponse*) override {
    return grpc::Status::OK;
  }
};

// Serves the spool for reading and the mailbox store for writing.
class FakeBodies final : public c::Bodies::Service {
 public:
  explicit FakeBodies(State& state) : state_(state) {}
  grpc::Status Read(grpc::ServerContext*, const c::ReadBodyRequest* request,
                    grpc::ServerWriter<c::ReadBodyResponse>* writer) override {
    std::string body;
    {
      const std::lock_guard<std::mutex> lock(state_.mutex);
      body = state_.bodies[request->sha256()];
    }
    if (request->length() != 0) body = body.substr(request->offset(), request->length());
    for (std::size_t i = 0; i < body.size(); i += kPiece) {
      c::ReadBodyResponse response;
      response.set_data(body.substr(i, kPiece));
      if (!writer->Write(response)) break;
    }
    return grpc::Status::OK;
  }
  grpc::Status Put(grpc::ServerContext*, grpc::ServerReader<c::PutBodyRequest>* reader,
                   c::PutBodyResponse* response) override {
    std::string body;
    c::PutBodyRequest request;
    while (reader->Read(&request)) body += request.data();
    response->mutable_body()->set_sha256("in the mailbox store");
    response->mutable_body()->set_size(body.size());
    const std::lock_guard<std::mutex> lock(state_.mutex);
    state_.mailbox_bodies.push_back(std::move(body));
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

class FakeDirectoryService final : public d::Directory::Service {
 public:
  explicit FakeDirectoryService(State& state) : state_(state) {}
  grpc::Status Resolve(grpc::ServerContext*, const d::ResolveRequest* request,
                       d::ResolveResponse* response) override {
    const std::string& address = request->address();
    const std::string suffix = "@local.test";
    response->set_kind(d::ResolveResponse::KIND_REMOTE);
    if (address.size() > suffix.size() &&
        address.compare(address.size() - suffix.size(), suffix.size(), suffix) == 0) {
      response->set_kind(d::ResolveResponse::KIND_LOCAL);
      response->set_tenant_id(1);
      d::Target& target = *response->add_targets();
      target.set_account_id(10);
      target.set_address(address);
    }
    return grpc::Status::OK;
  }
  grpc::Status FindSmartHosts(grpc::ServerContext*, const d::FindSmartHostsRequest* request,
                              d::FindSmartHostsResponse* response) override {
    const std::lock_guard<std::mutex> lock(state_.mutex);
    if (state_.smart_host.empty()) return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
    if (request->domain() == "local.test") response->add_hosts(state_.smart_host);
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

class FakeLocalDelivery final : public m::LocalDelivery::Service {
 public:
  explicit FakeLocalDelivery(State& state) : state_(state) {}
  grpc::Status Deliver(grpc::ServerContext*, const m::DeliverRequest* request,
                       m::DeliverResponse* response) override {
    const std::lock_guard<std::mutex> lock(state_.mutex);
    for (const m::Delivery& delivery : request->deliveries()) {
      state_.deliveries.push_back(delivery);
      m::DeliveryResult& result = *response->add_results();
      for (int i = 0; i < delivery.recipients_size(); ++i) {
        result.add_recipients()->set_outcome(m::RecipientResult::OUTCOME_STORED);
      }
    }
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

}  // namespace

struct FakePlatform::Services {
  State state;
  FakeQueueService queue{state};
  FakeTrafficService traffic;
  FakeBodies bodies{state};
  FakeDirectoryService directory{state};
  FakeLocalDelivery delivery{state};
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

FakePlatform::FakePlatform() : services_(std::make_unique<Services>()) {
  grpc::ServerBuilder builder;
  builder.RegisterService(&services_->queue);
  builder.RegisterService(&services_->traffic);
  builder.RegisterService(&services_->bodies);
  builder.RegisterService(&services_->directory);
  builder.RegisterService(&services_->delivery);
  services_->server = builder.BuildAndStart();
  services_->channel = services_->server->InProcessChannel(grpc::ChannelArguments());
}

FakePlatform::~FakePlatform() {
  services_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

std::shared_ptr<grpc::Channel> FakePlatform::channel() const { return services_->channel; }

void FakePlatform::Add(q::Job job) {
  const std::lock_guard<std::mutex> lock(services_->state.mutex);
  services_->state.due.push_back(std::move(job));
  services_->state.changed.notify_all();
}

void FakePlatform::AddBody(const std::string& sha256, std::string body) {
  const std::lock_guard<std::mutex> lock(services_->state.mutex);
  services_->state.bodies[sha256] = std::move(body);
}

void FakePlatform::SetSmartHost(std::string host) {
  const std::lock_guard<std::mutex> lock(services_->state.mutex);
  services_->state.smart_host = std::move(host);
}

bool FakePlatform::WaitForReports(std::size_t count, absl::Duration limit) {
  std::unique_lock<std::mutex> lock(services_->state.mutex);
  return services_->state.changed.wait_for(lock, absl::ToChronoMilliseconds(limit), [&] {
    return services_->state.reports.size() >= count;
  });
}

std::vector<q::JobReport> FakePlatform::reports() const {
  const std::lock_guard<std::mutex> lock(services_->state.mutex);
  return services_->state.reports;
}
std::vector<m::Delivery> FakePlatform::deliveries() const {
  const std::lock_guard<std::mutex> lock(services_->state.mutex);
  return services_->state.deliveries;
}
std::vector<std::string> FakePlatform::mailbox_bodies() const {
  const std::lock_guard<std::mutex> lock(services_->state.mutex);
  return services_->state.mailbox_bodies;
}

}  // namespace posthorn::delivery
