#ifndef POSTHORN_LIB_RPC_FAILURE_STATUS_H_
#define POSTHORN_LIB_RPC_FAILURE_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "posthorn/common/v1/common.pb.h"

namespace posthorn::rpc {

// absl::Status <-> grpc::Status with FailureDetail in the error details. A status without a
// failure leaves as INTERNAL with the text of Failure::kUnknown; its own text goes to the log. A
// transport error comes in as kUnavailable or kDeadlineExceeded.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// For results inside a response. An absent or zero detail is OK.
posthorn::common::v1::FailureDetail ToDetail(const absl::Status& status);
absl::Status FromDetail(const posthorn::common::v1::FailureDetail& detail);

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_FAILURE_STATUS_H_
