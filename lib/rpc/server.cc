#include "lib/rpc/server.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <chrono>

#include "absl/time/clock.h"
#include "lib/base/failure.h"

namespace posthorn::rpc {

std::string_view BearerToken(const grpc::ServerContextBase& context) {
  constexpr std::string_view kScheme = "Bearer ";
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find("authorization");
  if (it == metadata.end()) return {};
  const std::string_view value(it->second.data(), it->second.size());
  if (value.substr(0, kScheme.size()) != kScheme) return {};
  return value.substr(kScheme.size());
}

bool TokenGuard::Matches(std::string_view token) const {
  // The length is no secret.
  return !token_.empty() && token.size() == token_.size() &&
         CRYPTO_memcmp(token.data(), token_.data(), token.size()) == 0;
}

absl::Status TokenGuard::Check(const grpc::ServerContextBase& context) const {
  if (Matches(BearerToken(context))) return absl::OkStatus();
  return MakeFailure(Failure::kAuthenticationRequired);
}

absl::Duration TimeLeft(const grpc::ServerContextBase& context, absl::Duration limit) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return limit;
  return std::clamp(absl::FromChrono(deadline) - absl::Now(), absl::ZeroDuration(), limit);
}

namespace internal {

absl::Status StillWanted(const grpc::CallbackServerContext& context) {
  if (context.IsCancelled() || context.deadline() <= std::chrono::system_clock::now()) {
    return MakeFailure(Failure::kDeadlineExceeded);
  }
  return absl::OkStatus();
}

Task<absl::Status> RunIfWanted(grpc::CallbackServerContext* context, Task<absl::Status> task) {
  absl::Status status = StillWanted(*context);
  if (!status.ok()) co_return status;
  status = co_await std::move(task);
  co_return status;
}

namespace {
Task<void> RunUnary(grpc::CallbackServerContext* context, grpc::ServerUnaryReactor* reactor,
                    Task<absl::Status> task) {
  absl::Status status;
  {
    Task<absl::Status> running = RunIfWanted(context, std::move(task));
    status = co_await std::move(running);
  }
  // The task's frame, which may refer to request and response, is gone by now.
  reactor->Finish(ToGrpc(status));
}
}  // namespace

}  // namespace internal

grpc::ServerUnaryReactor* HandleUnary(grpc::CallbackServerContext* context, Executor& executor,
                                      Task<absl::Status> task) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Spawn(executor, internal::RunUnary(context, reactor, std::move(task)));
  return reactor;
}

grpc::ServerUnaryReactor* HandleUnary(grpc::CallbackServerContext* context, const TokenGuard& guard,
                                      Executor& executor, Task<absl::Status> task) {
  if (absl::Status status = guard.Check(*context); !status.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  return HandleUnary(context, executor, std::move(task));
}

}  // namespace posthorn::rpc
