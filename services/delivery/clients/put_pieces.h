#ifndef POSTHORN_SERVICES_DELIVERY_CLIENTS_PUT_PIECES_H_
#define POSTHORN_SERVICES_DELIVERY_CLIENTS_PUT_PIECES_H_

#include "absl/status/statusor.h"
#include "lib/rpc/client.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

// Streams `body`, which outlives the call, into the store behind `bodies`. An error of the reader
// cancels the call: nothing is stored.
Task<absl::StatusOr<BodyRef>> PutPieces(common::v1::Bodies::Stub& bodies, TenantId tenant,
                                        BodyReader& body, rpc::CallOptions options);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CLIENTS_PUT_PIECES_H_
