#include <grpcpp/grpcpp.h>

#include "lib/base/failure.h"
#include "lib/mime/scanner.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/body_store.h"
#include "lib/rpc/server.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "services/mailbox/message_facts.h"
#include "services/mailbox/services.h"

namespace posthorn::mailbox {
namespace {

namespace pb = posthorn::common::v1;

// `writer` outlives the task.
Task<bool> WritePiece(rpc::ServerWriter<pb::ReadBodyResponse>& writer, std::string piece) {
  pb::ReadBodyResponse response;
  response.set_data(std::move(piece));
  const bool more = co_await writer.Write(std::move(response));
  co_return more;
}

class BodiesService final : public pb::Bodies::CallbackService {
 public:
  BodiesService(ServiceContext context, postgres::BodyStore& bodies)
      : context_(context), bodies_(bodies) {}

  grpc::ServerReadReactor<pb::PutBodyRequest>* Put(grpc::CallbackServerContext* call,
                                                   pb::PutBodyResponse* response) override {
    std::function<Task<absl::Status>(rpc::ServerReader<pb::PutBodyRequest>&)> handler =
        [this, response](rpc::ServerReader<pb::PutBodyRequest>& reader) {
          return RunPut(reader, response);
        };
    return rpc::HandleClientStream<pb::PutBodyRequest>(call, context_.guard, context_.loops.Next(),
                                                       std::move(handler));
  }

  grpc::ServerWriteReactor<pb::ReadBodyResponse>* Read(grpc::CallbackServerContext* call,
                                                       const pb::ReadBodyRequest* request) override {
    std::function<Task<absl::Status>(rpc::ServerWriter<pb::ReadBodyResponse>&)> handler =
        [this, request](rpc::ServerWriter<pb::ReadBodyResponse>& writer) {
          return RunRead(*request, writer);
        };
    return rpc::HandleServerStream<pb::ReadBodyResponse>(call, context_.guard,
                                                         context_.loops.Next(), std::move(handler));
  }

 private:
  // The structure is found out while the body passes, so that it is never held whole.
  Task<absl::Status> RunPut(rpc::ServerReader<pb::PutBodyRequest>& reader,
                            pb::PutBodyResponse* response) {
    std::optional<pb::PutBodyRequest> request = co_await reader.Read();
    if (!request.has_value()) co_return MakeFailure(Failure::kInvalidArgument, "no tenant given");
    const TenantId tenant(request->tenant_id());
    if (!tenant) co_return MakeFailure(Failure::kInvalidArgument, "no tenant given");
    postgres::BodyWriter writer(bodies_, tenant);
    mime::Scanner scanner;
    while (request.has_value()) {
      scanner.Feed(request->data());
      std::string data = std::move(*request->mutable_data());
      absl::Status written = co_await writer.Write(std::move(data));
      if (!written.ok()) co_return written;
      std::optional<pb::PutBodyRequest> next = co_await reader.Read();
      request = std::move(next);
    }
    if (reader.cancelled()) co_return MakeFailure(Failure::kCancelled);
    std::string info = PackFacts(FactsOf(scanner.Finish()));
    absl::StatusOr<postgres::StoredBody> body = co_await writer.Finish(std::move(info));
    if (!body.ok()) co_return body.status();
    response->mutable_body()->set_sha256(std::move(body->sha256));
    response->mutable_body()->set_size(body->size);
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunRead(const pb::ReadBodyRequest& request,
                             rpc::ServerWriter<pb::ReadBodyResponse>& writer) {
    std::function<Task<bool>(std::string)> sink = [&writer](std::string piece) {
      return WritePiece(writer, std::move(piece));
    };
    absl::Status status =
        co_await bodies_.Read(TenantId(request.tenant_id()), request.sha256(), request.offset(),
                              request.length(), std::move(sink));
    co_return status;
  }

  const ServiceContext context_;
  postgres::BodyStore& bodies_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeBodiesService(ServiceContext context,
                                                 postgres::BodyStore& bodies) {
  return std::make_unique<BodiesService>(context, bodies);
}

}  // namespace posthorn::mailbox
