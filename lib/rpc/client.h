#ifndef POSTHORN_LIB_RPC_CLIENT_H_
#define POSTHORN_LIB_RPC_CLIENT_H_

// Calling gRPC services from coroutines. Include only from clients/*.cc and tests: it costs seconds
// to compile.

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/rpc/failure_status.h"

namespace posthorn::rpc {

// What every call carries: the credential of the calling service and a deadline.
struct CallOptions {
  CallOptions() = default;
  CallOptions(std::string token_in, absl::Duration timeout_in)
      : token(std::move(token_in)), timeout(timeout_in) {}
  std::string token;  // sent as "authorization: Bearer <token>"; empty: none
  absl::Duration timeout = absl::Seconds(30);
};

std::unique_ptr<grpc::ClientContext> MakeContext(const CallOptions& options);

// One unary call. The coroutine continues on its own executor. Usage:
//   co_await rpc::Unary<DeliverResponse>(stub->async(), &Stub::async::Deliver, request, options)
template <typename Response, typename Async, typename Base, typename Request>
Task<absl::StatusOr<Response>> Unary(Async* async,
                                     void (Base::*method)(grpc::ClientContext*, const Request*,
                                                          Response*,
                                                          std::function<void(grpc::Status)>),
                                     Request request, CallOptions options) {
  std::unique_ptr<grpc::ClientContext> context = MakeContext(options);
  Response response;
  OneShot<grpc::Status> done;
  std::function<void(grpc::Status)> callback = [&done](grpc::Status status) {
    done.Set(std::move(status));
  };
  (async->*method)(context.get(), &request, &response, std::move(callback));
  const grpc::Status status = co_await done;
  if (!status.ok()) co_return FromGrpc(status);
  co_return std::move(response);
}

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_CLIENT_H_
