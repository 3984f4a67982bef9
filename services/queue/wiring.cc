#include "services/queue/wiring.h"

#include <grpcpp/impl/codegen/service_type.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/config/redis_settings.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/server.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/queue/core.h"
#include "services/queue/queue_service.h"

namespace posthorn::queue {
namespace {

absl::StatusOr<std::vector<absl::Duration>> ScheduleFrom(
    const google::protobuf::RepeatedField<std::int32_t>& seconds, absl::string_view key) {
  std::vector<absl::Duration> schedule;
  for (const int delay : seconds) {
    if (delay < 1) return absl::InvalidArgumentError(absl::StrCat(key, " must be 1 or more"));
    schedule.push_back(absl::Seconds(delay));
  }
  return schedule;
}

absl::StatusOr<RetryPolicies> PolicyFrom(const config::v1::Queue& queue) {
  RetryPolicies policies;
  RetryPolicy& general = policies.general;
  if (!queue.retry_schedule_seconds().empty()) {
    auto schedule = ScheduleFrom(queue.retry_schedule_seconds(), "queue.retry_schedule_seconds");
    if (!schedule.ok()) return schedule.status();
    general.schedule = *std::move(schedule);
  }
  general.jitter_percent = queue.retry_jitter_percent();
  general.delay_warning = absl::Seconds(queue.delay_warning_seconds());
  if (queue.expiry_seconds() > 0) general.expiry = absl::Seconds(queue.expiry_seconds());
  for (int i = 0; i < queue.retry_rules_size(); ++i) {
    const config::v1::RetryRule& from = queue.retry_rules(i);
    RetryRule rule;
    rule.tenant = TenantId(from.tenant_id());
    rule.destination = absl::AsciiStrToLower(from.destination());
    rule.policy = general;
    if (!from.retry_schedule_seconds().empty()) {
      auto schedule = ScheduleFrom(from.retry_schedule_seconds(),
                                   absl::StrCat("queue.retry_rules[", i,
                                                "].retry_schedule_seconds"));
      if (!schedule.ok()) return schedule.status();
      rule.policy.schedule = *std::move(schedule);
    }
    if (from.delay_warning_seconds() != 0) {
      rule.policy.delay_warning = absl::Seconds(std::max(0, from.delay_warning_seconds()));
    }
    if (from.expiry_seconds() > 0) rule.policy.expiry = absl::Seconds(from.expiry_seconds());
    policies.rules.push_back(std::move(rule));
  }
  return policies;
}

absl::StatusOr<Core::Options> OptionsFrom(const config::v1::Config& config) {
  if (config.postgres().url().empty()) {
    return absl::InvalidArgumentError("postgres.url is missing");
  }
  absl::StatusOr<redis::Options> redis = config::RedisOptionsFrom(config.redis());
  if (!redis.ok()) return redis.status();
  const config::v1::Queue& queue = config.queue();
  Core::Options options;
  options.postgres_url = config.postgres().url();
  options.postgres_connections = std::max(1, config.postgres().connections());
  if (config.postgres().statement_timeout_seconds() > 0) {
    options.statement_timeout = absl::Seconds(config.postgres().statement_timeout_seconds());
  }
  options.redis = *std::move(redis);
  if (queue.shards() > 0) options.shards = queue.shards();
  for (const config::v1::TenantWeight& tenant : queue.tenant_weights()) {
    if (tenant.weight() < 2) continue;
    options.tenant_weights.emplace_back(TenantId(tenant.tenant_id()), tenant.weight());
  }
  if (queue.lease_seconds() > 0) options.dispatcher.lease = absl::Seconds(queue.lease_seconds());
  if (queue.reconcile_seconds() > 0) {
    options.reconcile_every = absl::Seconds(queue.reconcile_seconds());
  }
  absl::StatusOr<RetryPolicies> policy = PolicyFrom(queue);
  if (!policy.ok()) return policy.status();
  options.policy = *std::move(policy);
  if (queue.keep_events_days() > 0) options.keep_events_days = queue.keep_events_days();
  options.limits.messages = queue.max_messages();
  options.limits.octets = queue.max_octets();
  options.limits.tenant_messages = queue.tenant_max_messages();
  options.limits.tenant_octets = queue.tenant_max_octets();
  if (queue.recovery_seconds() > 0) {
    options.traffic.recovery = absl::Seconds(queue.recovery_seconds());
  }
  if (queue.slow_messages_per_second() > 0) {
    options.traffic.slow_per_second = queue.slow_messages_per_second();
  }
  if (queue.max_hold_seconds() > 0) options.max_hold = absl::Seconds(queue.max_hold_seconds());
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
        traffic(MakeTrafficService(core, loops, guard)),
        transport(MakeTransportService(core, loops, guard)),
        bodies(MakeBodiesService(core, loops, guard)) {}

  SystemClock clock;
  net::EventLoop schedule_loop;
  net::LoopPool loops;
  rpc::TokenGuard guard;
  Core core;
  std::unique_ptr<grpc::Service> queue;
  std::unique_ptr<grpc::Service> traffic;
  std::unique_ptr<grpc::Service> transport;
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
  return {parts_->queue.get(), parts_->traffic.get(), parts_->transport.get(),
          parts_->bodies.get()};
}

bool QueueServer::IsStorageUp() const { return parts_->core.IsStorageUp(); }
void QueueServer::Drain() { parts_->core.Drain(); }
void QueueServer::Stop() { parts_->core.Stop(); }

}  // namespace posthorn::queue
