#include "lib/rpc/failure_status.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/failure.h"

namespace posthorn::rpc {
namespace {

using posthorn::common::v1::FailureDetail;

TEST(FailureStatusTest, EveryFailureSurvivesTheWire) {
  const FailureTable table = AllFailures();
  for (std::size_t i = 1; i < table.size; ++i) {
    const FailureRow& row = table.rows[i];
    const absl::Status sent = MakeFailure(row.failure, "words");
    const grpc::Status wire = ToGrpc(sent);
    EXPECT_EQ(static_cast<int>(wire.error_code()), static_cast<int>(row.grpc_code)) << row.name;
    const absl::Status received = FromGrpc(wire);
    EXPECT_EQ(FailureOf(received), row.failure) << row.name;
    EXPECT_EQ(PeerText(received), "words") << row.name;
    EXPECT_EQ(FailureOf(FromDetail(ToDetail(sent))), row.failure) << row.name;
  }
}

TEST(FailureStatusTest, InternalDetailDoesNotLeave) {
  const grpc::Status wire = ToGrpc(absl::InternalError("password=secret"));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(wire.error_message().find("secret"), std::string::npos);
  EXPECT_FALSE(IsPermanent(FromGrpc(wire)));
  const FailureDetail detail = ToDetail(absl::InternalError("password=secret"));
  EXPECT_NE(detail.failure(), 0);
  EXPECT_FALSE(detail.permanent());
  EXPECT_EQ(detail.text().find("secret"), std::string::npos);
}

TEST(FailureStatusTest, AnUnknownFailureGoesByItsPermanence) {
  FailureDetail detail;
  detail.set_failure(999999);
  detail.set_text("new");
  EXPECT_FALSE(IsPermanent(FromDetail(detail)));
  detail.set_permanent(true);
  EXPECT_TRUE(IsPermanent(FromDetail(detail)));
  EXPECT_EQ(PeerText(FromDetail(detail)), "new");
}

TEST(FailureStatusTest, TransportErrorsAreTemporary) {
  const grpc::StatusCode codes[] = {
      grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::CANCELLED, grpc::StatusCode::UNKNOWN,
      grpc::StatusCode::DEADLINE_EXCEEDED, grpc::StatusCode::RESOURCE_EXHAUSTED,
      grpc::StatusCode::UNIMPLEMENTED};
  for (const grpc::StatusCode code : codes) {
    const absl::Status status = FromGrpc(grpc::Status(code, "transport"));
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(IsPermanent(status)) << code;
  }
}

TEST(FailureStatusTest, OkIsOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  EXPECT_TRUE(FromDetail(FailureDetail()).ok());
  EXPECT_EQ(ToDetail(absl::OkStatus()).failure(), 0);
}

}  // namespace
}  // namespace posthorn::rpc
