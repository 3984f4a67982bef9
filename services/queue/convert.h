#ifndef POSTHORN_SERVICES_QUEUE_CONVERT_H_
#define POSTHORN_SERVICES_QUEUE_CONVERT_H_

#include "absl/status/statusor.h"
#include "posthorn/queue/v1/queue.pb.h"
#include "services/queue/types.h"

namespace posthorn::queue {

// Between the wire and the domain. Messages that are malformed answer kInvalidArgument. Requests
// are moved from where that saves copies.

absl::StatusOr<Message> FromProto(v1::OutboundMessage&& message);
v1::Job ToProto(LeasedJob&& job);
LeaseKey FromProto(const v1::LeaseKey& key);
// retry_at is InfinitePast if absent.
absl::StatusOr<JobReport> FromProto(v1::JobReport&& report);
absl::StatusOr<Filter> FromProto(const v1::MessageFilter& filter);
v1::QueuedMessage ToProto(const QueuedMessage& message);
v1::MessageEvent ToProto(const Event& event);

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_CONVERT_H_
