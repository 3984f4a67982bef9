#ifndef POSTHORN_SERVICES_GATEWAY_API_SEND_SERVICE_H_
#define POSTHORN_SERVICES_GATEWAY_API_SEND_SERVICE_H_

#include "lib/net/event_loop.h"
#include "posthorn/send/v1/send.grpc.pb.h"
#include "services/gateway/api/send_handler.h"

namespace posthorn::gateway {

// posthorn.send.v1 over a SendHandler. `tls`: whether clients come over TLS, for the Received header.
class SendService final : public send::v1::SendService::CallbackService {
 public:
  SendService(SendHandler& handler, net::LoopPool& loops, bool tls)
      : handler_(handler), loops_(loops), tls_(tls) {}

  grpc::ServerUnaryReactor* Send(grpc::CallbackServerContext* context,
                                 const send::v1::SendRequest* request,
                                 send::v1::SendResponse* response) override;

 private:
  Task<absl::Status> DoSend(grpc::CallbackServerContext* context,
                            const send::v1::SendRequest* request,
                            send::v1::SendResponse* response);

  SendHandler& handler_;
  net::LoopPool& loops_;
  const bool tls_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_API_SEND_SERVICE_H_
