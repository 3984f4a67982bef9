#ifndef POSTHORN_LIB_RPC_CLIENT_H_
#define POSTHORN_LIB_RPC_CLIENT_H_

// Calling gRPC services from coroutines. Include only from clients/*.cc and tests: it costs seconds
// to compile.
//
// A coroutine that waits here may be destroyed at any time on its executor: the call is cancelled
// and nothing is resumed. What gRPC still needs for its callbacks lives in shared state.

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/client_stream.h"
#include "lib/rpc/failure_status.h"
#include "lib/rpc/signal.h"

namespace posthorn::rpc {

std::unique_ptr<grpc::ClientContext> MakeContext(const CallOptions& options);

namespace internal {

template <typename Request, typename Response>
struct UnaryCall : Signal {
  explicit UnaryCall(Request request_in) : request(std::move(request_in)) {}
  grpc::ClientContext context;
  Request request;
  Response response;
  grpc::Status status;
};

// In the frame of the coroutine that waits for `call`.
template <typename Call>
class CancelUnlessFinished {
 public:
  explicit CancelUnlessFinished(Call& call) : call_(call) {}
  ~CancelUnlessFinished() {
    if (finished_) return;
    call_.Abandon();
    call_.context.TryCancel();
  }
  CancelUnlessFinished(const CancelUnlessFinished&) = delete;
  CancelUnlessFinished& operator=(const CancelUnlessFinished&) = delete;
  void Finished() { finished_ = true; }

 private:
  Call& call_;
  bool finished_ = false;
};

}  // namespace internal

// One unary call. The coroutine continues on its own executor. Usage:
//   co_await rpc::Unary<DeliverResponse>(stub->async(), &Stub::async::Deliver, request, options)
template <typename Response, typename Async, typename Base, typename Request>
Task<absl::StatusOr<Response>> Unary(Async* async,
                                     void (Base::*method)(grpc::ClientContext*, const Request*,
                                                          Response*,
                                                          std::function<void(grpc::Status)>),
                                     Request request, CallOptions options) {
  using Call = internal::UnaryCall<Request, Response>;
  const std::shared_ptr<Call> call = std::make_shared<Call>(std::move(request));
  internal::Prepare(call->context, options);
  std::function<void(grpc::Status)> callback = [call](grpc::Status status) {
    call->status = std::move(status);
    call->Notify();
  };
  (async->*method)(&call->context, &call->request, &call->response, std::move(callback));
  internal::CancelUnlessFinished<Call> cancel(*call);
  co_await call->Wait();
  cancel.Finished();
  if (!call->status.ok()) co_return FromGrpc(call->status);
  co_return std::move(call->response);
}

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_CLIENT_H_
