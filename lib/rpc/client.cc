#include "lib/rpc/client.h"

#include <chrono>

#include "absl/time/clock.h"

namespace posthorn::rpc {

namespace internal {
void Prepare(grpc::ClientContext& context, const CallOptions& options) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + options.timeout));
  if (!options.token.empty()) context.AddMetadata("authorization", "Bearer " + options.token);
}
}  // namespace internal

std::unique_ptr<grpc::ClientContext> MakeContext(const CallOptions& options) {
  auto context = std::make_unique<grpc::ClientContext>();
  internal::Prepare(*context, options);
  return context;
}

}  // namespace posthorn::rpc
