#include "services/delivery/clients/put_pieces.h"

#include <utility>

#include "services/delivery/clients/convert.h"

namespace posthorn::delivery {

namespace common = posthorn::common::v1;

Task<absl::StatusOr<BodyRef>> PutPieces(common::Bodies::Stub& bodies, TenantId tenant,
                                        BodyReader& body, rpc::CallOptions options) {
  rpc::StreamWriter<common::PutBodyRequest, common::PutBodyResponse> writer(
      bodies.async(), &common::Bodies::Stub::async::Put, options);
  bool first = true;
  for (;;) {
    absl::StatusOr<std::string> piece = co_await body.Next();
    // The writer is destroyed unfinished, which cancels the call: nothing is stored.
    if (!piece.ok()) co_return piece.status();
    if (piece->empty() && !first) break;
    common::PutBodyRequest request;
    if (first) request.set_tenant_id(tenant.value());
    first = false;
    const bool last = piece->empty();
    request.set_data(*std::move(piece));
    const bool written = co_await writer.Write(std::move(request));
    if (!written || last) break;
  }
  const absl::StatusOr<common::PutBodyResponse> response = co_await writer.Finish();
  if (!response.ok()) co_return response.status();
  co_return FromProto(response->body());
}

}  // namespace posthorn::delivery
