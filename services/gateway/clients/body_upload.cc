#include "services/gateway/clients/body_upload.h"

#include <utility>

#include "lib/base/failure.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr double kSlowestOctetsPerSecond = 1024 * 1024;

}  // namespace

absl::StatusOr<std::string> InlineBody(const net::StagedBody& body) {
  if (body.in_memory()) return std::string(body.memory());
  return body.Read(0, kMaxInlineBody);
}

Task<absl::StatusOr<common::v1::BodyRef>> PutBody(common::v1::Bodies::Stub& stub, TenantId tenant,
                                                  std::shared_ptr<const net::StagedBody> body,
                                                  rpc::CallOptions options) {
  // A large body takes its time, and must not take for ever.
  options.timeout += absl::Seconds(static_cast<double>(body->size()) / kSlowestOctetsPerSecond);
  rpc::StreamWriter<common::v1::PutBodyRequest, common::v1::PutBodyResponse> writer(
      stub.async(), &common::v1::Bodies::Stub::async::Put, options);
  for (std::uint64_t offset = 0; offset < body->size();) {
    absl::StatusOr<std::string> piece = body->Read(offset, kPiece);
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) co_return MakeFailure(Failure::kUnavailable);
    common::v1::PutBodyRequest request;
    if (offset == 0) request.set_tenant_id(tenant.value());
    offset += piece->size();
    request.set_data(*std::move(piece));
    const bool written = co_await writer.Write(std::move(request));
    if (!written) break;
  }
  absl::StatusOr<common::v1::PutBodyResponse> response = co_await writer.Finish();
  if (!response.ok()) co_return response.status();
  if (response->body().size() != body->size()) co_return MakeFailure(Failure::kUnavailable);
  co_return std::move(*response->mutable_body());
}

}  // namespace posthorn::gateway
