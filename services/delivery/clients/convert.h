#ifndef POSTHORN_SERVICES_DELIVERY_CLIENTS_CONVERT_H_
#define POSTHORN_SERVICES_DELIVERY_CLIENTS_CONVERT_H_

#include <google/protobuf/timestamp.pb.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/rpc/client.h"
#include "posthorn/common/v1/common.pb.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

inline BodyRef FromProto(const posthorn::common::v1::BodyRef& in) {
  BodyRef body;
  body.sha256 = in.sha256();
  body.size = in.size();
  return body;
}

inline void ToProto(const BodyRef& in, posthorn::common::v1::BodyRef& out) {
  out.set_sha256(in.sha256);
  out.set_size(in.size);
}

inline void ToProto(absl::Time in, google::protobuf::Timestamp& out) {
  const std::int64_t nanos = absl::ToUnixNanos(in);
  out.set_seconds(nanos / 1000000000);
  out.set_nanos(static_cast<std::int32_t>(nanos % 1000000000));
}

inline absl::Time FromProto(const google::protobuf::Timestamp& in) {
  return absl::FromUnixSeconds(in.seconds()) + absl::Nanoseconds(in.nanos());
}

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CLIENTS_CONVERT_H_
