#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_BODY_UPLOAD_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_BODY_UPLOAD_H_

// Only for clients/*.cc: gRPC headers.

#include <memory>

#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"
#include "lib/rpc/client.h"
#include "posthorn/common/v1/common.grpc.pb.h"

namespace posthorn::gateway {

// Bodies up to this many octets travel inside the call that needs them.
inline constexpr std::uint64_t kMaxInlineBody = 64 * 1024;

// All of `body`, which is at most kMaxInlineBody octets.
absl::StatusOr<std::string> InlineBody(const net::StagedBody& body);

// Streams `body` into a service's body store. `stub` outlives the call.
Task<absl::StatusOr<common::v1::BodyRef>> PutBody(common::v1::Bodies::Stub& stub, TenantId tenant,
                                                  std::shared_ptr<const net::StagedBody> body,
                                                  rpc::CallOptions options);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_BODY_UPLOAD_H_
