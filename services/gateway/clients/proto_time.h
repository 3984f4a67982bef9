#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_PROTO_TIME_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_PROTO_TIME_H_

// Only for clients/*.cc: Protobuf headers.

#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

namespace posthorn::gateway {

inline google::protobuf::Timestamp ToProtoTime(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<std::int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_PROTO_TIME_H_
