#include "services/queue/wiring.h"

#include <grpcpp/impl/codegen/service_type.h>

#include <algorithm>
#include <utility>

#include "lib/net/event_loop.h"
#include "lib/rpc/server.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/queue/core.h"
#include "services/queue/queue_service.h"

namespace posthorn::queue {
namespace {

absl::StatusOr<Core::Options> OptionsFrom(const config::v1::Config& config) {
  if (config.postgres().url().empty()) {
    return absl::InvalidArgumentError("postgres.url is missing");
  }
  if (config.redis().address().empty()) {
    return absl::InvalidArgumentError("redis.address is missing");
  }
  const config::v1::Queue& queue = config.queue();
  Core::Options options;
  options.postgres_url = config.postgres().url();
  options.postgres_connections = std::max(1, config.postgres().connections());
  if (config.postgres().statement_timeout_seconds() > 0) {
    options.statement_timeout = absl::Seconds(config.postgres().statement_timeout_seconds());
  }
  options.redis = redis::Options(config.redis().address(), config.redis().password());
  if (queue.shards() > 0) options.shards = queue.shards();
  if (queue.lease_seconds() > 0) options.dispatcher.lease = absl::Seconds(queue.lease_seconds());
  if (queue.reconcile_seconds() > 0) {
    options.reconcile_every = absl::Seconds(queue.reconcile_seconds());
  }
  if (!queue.retry_schedule_seconds().empty()) {
    options.policy.schedule.clear();
    for (const int seconds : queue.retry_schedule_seconds()) {
      if (seconds < 1) {
        return absl::InvalidArgumentError("queue.retry_schedule_seconds must be 1 or more");
      }
      options.policy.schedule.push_back(absl::Seconds(seconds));
    }
  }
  options.policy.jitter_percent = queue.retry_jitter_percent();
  options.policy.delay_warning = absl::Seconds(queue.delay_warning_seconds());
  options.limits.messages = queue.max_messages();
  options.limits.octets = queue.max_octets();
  options.limits.tenant_messages = queue.tenant_max_messages();
  options.limits.tenant_octets = queue.tenant_max_octets();
  if (queue.max_hold_seconds() > 0) options.max_hold = absl::Seconds(queue.max_hold_seconds());
  if (queue.expiry_seconds() > 0) options.policy.expiry = absl::Seconds(queue.expiry_seconds());
  return options;
}

}  // namespace

// In the order of construction; each needs those before it.
struct QueueServer::Parts {
  Parts(Core::Options options, int threads, std::string service_token)
      : loops(std::max(1, threads)),
        guard(std::move(service_token)),
        core(schedule_loop, clock, std::move(options)),
        queue(MakeQueueService(core, loops, guard)),
        bodies(MakeBodiesService(core, loops, guard)) {}

  SystemClock clock;
  net::EventLoop schedule_loop;
  net::LoopPool loops;
  rpc::TokenGuard guard;
  Core core;
  std::unique_ptr<grpc::Service> queue;
  std::unique_ptr<grpc::Service> bodies;
};

absl::StatusOr<std::unique_ptr<QueueServer>> QueueServer::Start(const config::v1::Config& config,
                                                                std::string service_token) {
  absl::StatusOr<Core::Options> options = OptionsFrom(config);
  if (!options.ok()) return options.status();
  auto parts = std::make_unique<Parts>(*std::move(options), config.queue().threads(),
                                       std::move(service_token));
  return std::unique_ptr<QueueServer>(new QueueServer(std::move(parts)));
}

QueueServer::QueueServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
QueueServer::~QueueServer() { Stop(); }

std::vector<grpc::Service*> QueueServer::services() {
  return {parts_->queue.get(), parts_->bodies.get()};
}

bool QueueServer::IsStorageUp() const { return parts_->core.IsStorageUp(); }
void QueueServer::Drain() { parts_->core.Drain(); }
void QueueServer::Stop() { parts_->core.Stop(); }

}  // namespace posthorn::queue
