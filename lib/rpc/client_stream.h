#ifndef POSTHORN_LIB_RPC_CLIENT_STREAM_H_
#define POSTHORN_LIB_RPC_CLIENT_STREAM_H_

// The client's side of streaming calls; included by client.h.

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/failure.h"
#include "lib/base/task.h"
#include "lib/rpc/failure_status.h"
#include "lib/rpc/signal.h"

namespace posthorn::rpc {

// What every call carries: the credential of the calling service and a deadline.
struct CallOptions {
  CallOptions() = default;
  CallOptions(std::string token_in, absl::Duration timeout_in)
      : token(std::move(token_in)), timeout(timeout_in) {}
  std::string token;  // sent as "authorization: Bearer <token>"; empty: none
  absl::Duration timeout = absl::Seconds(30);
};

namespace internal {

// Sets deadline and credential.
void Prepare(grpc::ClientContext& context, const CallOptions& options);

// Shared by a stream's handle, its waiting coroutine and gRPC; `self` keeps it until OnDone. A
// hold keeps the call open while neither a read nor a write is under way.
template <typename Reactor>
class StreamCall : public Signal, public Reactor {
 public:
  grpc::ClientContext context;
  std::shared_ptr<Signal> self;

  void OnDone(const grpc::Status& status) override {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      final_status = status;
    }
    const std::shared_ptr<Signal> last = std::move(self);
    this->Notify();
  }

  // Lets the call end once nothing is under way any more.
  void Release() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (released) return;
      released = true;
    }
    this->RemoveHold();
  }

  void Cancel() {
    this->Abandon();
    context.TryCancel();
    Release();
  }

  std::mutex mutex;
  bool released = false;                     // guarded by mutex
  std::optional<grpc::Status> final_status;  // guarded by mutex
};

template <typename Request, typename Response>
class ReadCall final : public StreamCall<grpc::ClientReadReactor<Response>> {
 public:
  void OnReadDone(bool ok) override {
    if (!ok) {
      this->Release();
      return;
    }
    {
      const std::lock_guard<std::mutex> lock(this->mutex);
      has_message = true;
    }
    this->Notify();
  }

  Request request;
  Response message;
  bool has_message = false;  // guarded by mutex; while set, `message` is the coroutine's
};

template <typename Request, typename Response>
class WriteCall final : public StreamCall<grpc::ClientWriteReactor<Request>> {
 public:
  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard<std::mutex> lock(this->mutex);
      written = ok;
    }
    this->Notify();
  }

  Request message;
  Response response;
  std::optional<bool> written;  // guarded by mutex
};

}  // namespace internal

// The responses of a server-streaming call, in order; at most two are in memory. Starts the call
// when made and cancels it when destroyed before the end. Used by one coroutine at a time.
//   rpc::StreamReader<FetchResponse> reader(stub->async(), &Stub::async::Fetch, request, options);
template <typename Response>
class StreamReader {
 public:
  template <typename Async, typename Base, typename Request>
  StreamReader(Async* async,
               void (Base::*method)(grpc::ClientContext*, const Request*,
                                    grpc::ClientReadReactor<Response>*),
               Request request, const CallOptions& options) {
    auto call = std::make_shared<internal::ReadCall<Request, Response>>();
    call->request = std::move(request);
    internal::Prepare(call->context, options);
    call->self = call;
    call_ = call.get();
    owner_ = call;
    message_ = &call->message;
    has_message_ = &call->has_message;
    (async->*method)(&call->context, &call->request, call.get());
    call->AddHold();
    call->StartRead(&call->message);
    call->StartCall();
  }
  StreamReader(StreamReader&& other) noexcept
      : owner_(std::move(other.owner_)),
        call_(std::exchange(other.call_, nullptr)),
        message_(other.message_),
        has_message_(other.has_message_) {}
  StreamReader& operator=(StreamReader&&) = delete;
  ~StreamReader() {
    if (call_ != nullptr) call_->Cancel();
  }

  // nullopt: the stream has ended well. An error ends it as well.
  Task<absl::StatusOr<std::optional<Response>>> Next() {
    for (;;) {
      std::optional<Response> message;
      std::optional<grpc::Status> final_status;
      {
        const std::lock_guard<std::mutex> lock(call_->mutex);
        if (*has_message_) {
          *has_message_ = false;
          message.emplace(std::move(*message_));
        } else {
          final_status = call_->final_status;
        }
      }
      if (message.has_value()) {
        message_->Clear();
        call_->StartRead(message_);
        co_return std::move(message);
      }
      if (final_status.has_value()) {
        if (!final_status->ok()) co_return FromGrpc(*final_status);
        co_return std::optional<Response>();
      }
      co_await call_->Wait();
    }
  }

 private:
  using Call = internal::StreamCall<grpc::ClientReadReactor<Response>>;
  std::shared_ptr<Call> owner_;
  Call* call_;
  Response* message_;
  bool* has_message_;
};

// The requests of a client-streaming call and its one response. Starts the call when made and
// cancels it when destroyed before Finish has returned. Used by one coroutine at a time.
//   rpc::StreamWriter<PutBodyRequest, PutBodyResponse> writer(stub->async(), &Stub::async::Put,
//                                                             options);
template <typename Request, typename Response>
class StreamWriter {
 public:
  template <typename Async, typename Base>
  StreamWriter(Async* async,
               void (Base::*method)(grpc::ClientContext*, Response*,
                                    grpc::ClientWriteReactor<Request>*),
               const CallOptions& options)
      : call_(std::make_shared<Call>()) {
    internal::Prepare(call_->context, options);
    call_->self = call_;
    (async->*method)(&call_->context, &call_->response, call_.get());
    call_->AddHold();
    call_->StartCall();
  }
  StreamWriter(StreamWriter&& other) noexcept = default;
  StreamWriter& operator=(StreamWriter&&) = delete;
  ~StreamWriter() {
    if (call_ != nullptr) call_->Cancel();
  }

  // Waits until gRPC has taken the message. False: the call has failed, Finish says why.
  Task<bool> Write(Request request) {
    call_->message = std::move(request);
    {
      const std::lock_guard<std::mutex> lock(call_->mutex);
      call_->written.reset();
    }
    call_->StartWrite(&call_->message);
    for (;;) {
      std::optional<bool> written;
      {
        const std::lock_guard<std::mutex> lock(call_->mutex);
        written = call_->written;
      }
      if (written.has_value()) co_return *written;
      co_await call_->Wait();
    }
  }

  // Half-closes and waits for the response. Once.
  Task<absl::StatusOr<Response>> Finish() {
    call_->StartWritesDone();
    call_->Release();
    for (;;) {
      std::optional<grpc::Status> final_status;
      {
        const std::lock_guard<std::mutex> lock(call_->mutex);
        final_status = call_->final_status;
      }
      if (final_status.has_value()) {
        if (!final_status->ok()) co_return FromGrpc(*final_status);
        co_return std::move(call_->response);
      }
      co_await call_->Wait();
    }
  }

 private:
  using Call = internal::WriteCall<Request, Response>;
  std::shared_ptr<Call> call_;
};

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_CLIENT_STREAM_H_
