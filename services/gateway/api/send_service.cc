#include "services/gateway/api/send_service.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_replace.h"
#include "lib/rpc/server.h"

namespace posthorn::gateway {
namespace {

// gRPC says "ipv4:192.0.2.1:4711" and "ipv6:%5B2001:db8::1%5D:4711".
std::string ClientIp(const std::string& peer) {
  const std::size_t start = peer.find(':');
  const std::size_t end = peer.rfind(':');
  if (peer.compare(0, 3, "ipv") != 0 || start == end) return {};
  return absl::StrReplaceAll(peer.substr(start + 1, end - start - 1),
                             {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
}

}  // namespace

grpc::ServerUnaryReactor* SendService::Send(grpc::CallbackServerContext* context,
                                            const send::v1::SendRequest* request,
                                            send::v1::SendResponse* response) {
  // The credential is an API key, which the handler asks the directory about first of all.
  return rpc::HandleUnary(context, loops_.Next(), DoSend(context, request, response));
}

Task<absl::Status> SendService::DoSend(grpc::CallbackServerContext* context,
                                       const send::v1::SendRequest* request,
                                       send::v1::SendResponse* response) {
  SendInput input;
  input.api_key = std::string(rpc::BearerToken(*context));
  input.from = request->from();
  input.to.assign(request->to().begin(), request->to().end());
  input.message = request->raw_message();
  input.idempotency_key = request->idempotency_key();
  input.verp_delimiters = request->verp_delimiters();
  input.client_ip = ClientIp(context->peer());
  input.tls = tls_;
  const absl::StatusOr<SendOutcome> outcome = co_await handler_.Send(std::move(input));
  if (!outcome.ok()) co_return outcome.status();
  response->set_message_id(outcome->id.ToString());
  response->set_duplicate(outcome->duplicate);
  co_return absl::OkStatus();
}

}  // namespace posthorn::gateway
