#include "lib/rpc/failure_status.h"

#include <algorithm>
#include <string>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::rpc {
namespace {

using posthorn::common::v1::ErrorDetails;
using posthorn::common::v1::FailureDetail;

bool IsKnown(int number) {
  const FailureTable table = AllFailures();
  return std::any_of(table.rows, table.rows + table.size, [number](const FailureRow& row) {
    return static_cast<int>(row.failure) == number;
  });
}

}  // namespace

FailureDetail ToDetail(const absl::Status& status) {
  FailureDetail detail;
  if (status.ok()) return detail;
  Failure failure = FailureOf(status);
  if (failure == Failure::kUnknown) {
    // 0 would read as success. What is known is that it failed and may be tried again.
    log::Warn("rpc", "failed without a class", {{"error", status}});
    failure = Failure::kUnavailable;
  }
  const std::string_view text = PeerText(status);
  detail.set_failure(static_cast<int>(failure));
  detail.set_permanent(RowOf(failure).permanent);
  detail.set_text(text.data(), text.size());
  return detail;
}

absl::Status FromDetail(const FailureDetail& detail) {
  if (detail.failure() == 0) return absl::OkStatus();
  if (IsKnown(detail.failure())) {
    return MakeFailure(static_cast<Failure>(detail.failure()), detail.text());
  }
  // From a newer replica: what matters is whether to try again.
  return MakeFailure(detail.permanent() ? Failure::kPolicyRejected : Failure::kUnavailable,
                     detail.text());
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const Failure failure = FailureOf(status);
  if (failure == Failure::kUnknown) {
    log::Warn("rpc", "call failed", {{"error", status}});
    return grpc::Status(grpc::StatusCode::INTERNAL, std::string(RowOf(failure).text));
  }
  ErrorDetails details;
  details.set_code(static_cast<int>(RowOf(failure).grpc_code));
  details.set_message(std::string(PeerText(status)));
  details.add_details()->PackFrom(ToDetail(status));
  return grpc::Status(static_cast<grpc::StatusCode>(details.code()), details.message(),
                      details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  ErrorDetails details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : details.details()) {
      FailureDetail detail;
      if (any.UnpackTo(&detail) && detail.failure() != 0) return FromDetail(detail);
    }
  }
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return MakeFailure(Failure::kDeadlineExceeded);
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      return MakeFailure(Failure::kUnavailable);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return MakeFailure(Failure::kOverloaded);
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                          status.error_message());
  }
}

}  // namespace posthorn::rpc
