#ifndef POSTHORN_LIB_RPC_SERVER_H_
#define POSTHORN_LIB_RPC_SERVER_H_

// Serving gRPC calls with coroutines. Include only from *_service.cc and tests: it costs seconds to
// compile.
//
// Every call needs the credential that its guard checks. The task of a call runs on the executor
// given and is always run to its end, also when the client has gone: work that has begun is
// committed or not, but never left half done. A call whose client has gone, or whose deadline has
// passed, before its turn comes is not begun.

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/rpc/failure_status.h"
#include "lib/rpc/grpc_server.h"
#include "lib/rpc/signal.h"

namespace posthorn::rpc {

// The token of "authorization: Bearer <token>" in the call's metadata; empty if there is none.
std::string_view BearerToken(const grpc::ServerContextBase& context);

// Checks that a call carries one certain token, in constant time.
class TokenGuard {
 public:
  // An empty token lets nobody in.
  explicit TokenGuard(std::string token) : token_(std::move(token)) {}
  // OK or kAuthenticationRequired.
  absl::Status Check(const grpc::ServerContextBase& context) const;
  bool Matches(std::string_view token) const;

 private:
  const std::string token_;
};

// What is left until the caller's deadline, at most `limit`.
absl::Duration TimeLeft(const grpc::ServerContextBase& context, absl::Duration limit);

namespace internal {
// OK if the work is still wanted.
absl::Status StillWanted(const grpc::CallbackServerContext& context);
// The task's result; the task's frame is gone before this returns.
Task<absl::Status> RunIfWanted(grpc::CallbackServerContext* context, Task<absl::Status> task);
}  // namespace internal

// Runs `task` and ends the call with its status. Request and response stay valid until it ends.
grpc::ServerUnaryReactor* HandleUnary(grpc::CallbackServerContext* context, const TokenGuard& guard,
                                      Executor& executor, Task<absl::Status> task);
// For services that check the credential themselves.
grpc::ServerUnaryReactor* HandleUnary(grpc::CallbackServerContext* context, Executor& executor,
                                      Task<absl::Status> task);

// Where a handler writes the responses of a stream.
template <typename Response>
class ServerWriter {
 public:
  virtual ~ServerWriter() = default;
  // Waits until gRPC has taken the message. False: the client has gone, stop.
  virtual Task<bool> Write(Response response) = 0;
  // The client has gone or its deadline has passed.
  virtual bool cancelled() const = 0;
};

// Where a handler reads the requests of a stream.
template <typename Request>
class ServerReader {
 public:
  virtual ~ServerReader() = default;
  // nullopt: the client has half-closed, or has gone: then cancelled() is true.
  virtual Task<std::optional<Request>> Read() = 0;
  virtual bool cancelled() const = 0;
};

namespace internal {

template <typename Response>
class WriteReactor final : public grpc::ServerWriteReactor<Response>,
                           public ServerWriter<Response> {
 public:
  explicit WriteReactor(grpc::CallbackServerContext* context) : context_(context) {}

  Task<bool> Write(Response response) override {
    message_ = std::move(response);
    this->StartWrite(&message_);
    co_await signal_->Wait();
    co_return written_;
  }
  bool cancelled() const override { return cancelled_.load() || context_->IsCancelled(); }

  void OnWriteDone(bool ok) override {
    written_ = ok;
    signal_->Notify();
  }
  void OnCancel() override { cancelled_.store(true); }
  void OnDone() override { delete this; }

 private:
  grpc::CallbackServerContext* const context_;
  const std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  std::atomic<bool> cancelled_{false};
  Response message_;
  bool written_ = false;  // ordered by signal_
};

template <typename Request>
class ReadReactor final : public grpc::ServerReadReactor<Request>, public ServerReader<Request> {
 public:
  explicit ReadReactor(grpc::CallbackServerContext* context) : context_(context) {}

  Task<std::optional<Request>> Read() override {
    this->StartRead(&message_);
    co_await signal_->Wait();
    if (!read_) co_return std::optional<Request>();
    std::optional<Request> message(std::move(message_));
    message_.Clear();
    co_return std::move(message);
  }
  bool cancelled() const override { return cancelled_.load() || context_->IsCancelled(); }

  void OnReadDone(bool ok) override {
    read_ = ok;
    signal_->Notify();
  }
  void OnCancel() override { cancelled_.store(true); }
  void OnDone() override { delete this; }

 private:
  grpc::CallbackServerContext* const context_;
  const std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  std::atomic<bool> cancelled_{false};
  Request message_;
  bool read_ = false;  // ordered by signal_
};

// Finish is the last thing that touches the reactor: OnDone deletes it.
template <typename Reactor, typename Handler>
Task<void> RunStream(grpc::CallbackServerContext* context, Reactor* reactor, Handler handler) {
  absl::Status status = StillWanted(*context);
  if (status.ok()) {
    Task<absl::Status> task = handler(*reactor);
    status = co_await std::move(task);
  }
  reactor->Finish(ToGrpc(status));
}

}  // namespace internal

// `handler` is called on `executor`; it is no coroutine itself but returns the task of one that
// owns what it needs. The writer lives until that task ends.
template <typename Response>
grpc::ServerWriteReactor<Response>* HandleServerStream(
    grpc::CallbackServerContext* context, const TokenGuard& guard, Executor& executor,
    std::function<Task<absl::Status>(ServerWriter<Response>&)> handler) {
  auto* reactor = new internal::WriteReactor<Response>(context);
  if (absl::Status status = guard.Check(*context); !status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  Spawn(executor, internal::RunStream(context, reactor, std::move(handler)));
  return reactor;
}

// The same for a stream of requests; the response is filled in before the task ends.
template <typename Request>
grpc::ServerReadReactor<Request>* HandleClientStream(
    grpc::CallbackServerContext* context, const TokenGuard& guard, Executor& executor,
    std::function<Task<absl::Status>(ServerReader<Request>&)> handler) {
  auto* reactor = new internal::ReadReactor<Request>(context);
  if (absl::Status status = guard.Check(*context); !status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  Spawn(executor, internal::RunStream(context, reactor, std::move(handler)));
  return reactor;
}

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_SERVER_H_
