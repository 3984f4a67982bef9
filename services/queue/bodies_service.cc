#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/server.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "services/queue/core.h"
#include "services/queue/queue_service.h"

namespace posthorn::queue {
namespace {

namespace common = posthorn::common::v1;

constexpr std::size_t kMaxPiece = 256 * 1024;

Task<absl::Status> Put(Core* core, rpc::ServerReader<common::PutBodyRequest>* reader,
                       common::PutBodyResponse* response) {
  std::optional<postgres::BodyWriter> writer;
  for (;;) {
    std::optional<common::PutBodyRequest> request = co_await reader->Read();
    // Who breaks off leaves an upload that is collected.
    if (!request.has_value() && reader->cancelled()) co_return MakeFailure(Failure::kUnavailable);
    if (!request.has_value()) break;
    if (!writer.has_value()) {
      if (request->tenant_id() <= 0) co_return MakeFailure(Failure::kInvalidArgument);
      writer.emplace(core->bodies(), TenantId(request->tenant_id()));
    }
    if (request->data().size() > kMaxPiece) co_return MakeFailure(Failure::kInvalidArgument);
    std::string data = std::move(*request->mutable_data());
    const absl::Status written = co_await writer->Write(std::move(data));
    if (!written.ok()) co_return written;
  }
  if (!writer.has_value()) co_return MakeFailure(Failure::kInvalidArgument);
  const absl::StatusOr<postgres::StoredBody> body = co_await writer->Finish("");
  if (!body.ok()) co_return body.status();
  response->mutable_body()->set_sha256(body->sha256);
  response->mutable_body()->set_size(body->size);
  co_return absl::OkStatus();
}

Task<bool> Send(rpc::ServerWriter<common::ReadBodyResponse>* writer, std::string piece) {
  common::ReadBodyResponse response;
  response.set_data(std::move(piece));
  co_return co_await writer->Write(std::move(response));
}

Task<absl::Status> Read(Core* core, const common::ReadBodyRequest* request,
                        rpc::ServerWriter<common::ReadBodyResponse>* writer) {
  std::function<Task<bool>(std::string)> sink = [writer](std::string piece) {
    return Send(writer, std::move(piece));
  };
  co_return co_await core->bodies().Read(TenantId(request->tenant_id()), request->sha256(),
                                         request->offset(), request->length(), std::move(sink));
}

class BodiesService final : public common::Bodies::CallbackService {
 public:
  BodiesService(Core& core, net::LoopPool& loops, const rpc::TokenGuard& guard)
      : core_(core), loops_(loops), guard_(guard) {}

  grpc::ServerReadReactor<common::PutBodyRequest>* Put(grpc::CallbackServerContext* context,
                                                       common::PutBodyResponse* response) override {
    return rpc::HandleClientStream<common::PutBodyRequest>(
        context, guard_, loops_.Next(),
        [this, response](rpc::ServerReader<common::PutBodyRequest>& reader) {
          return queue::Put(&core_, &reader, response);
        });
  }
  grpc::ServerWriteReactor<common::ReadBodyResponse>* Read(
      grpc::CallbackServerContext* context, const common::ReadBodyRequest* request) override {
    return rpc::HandleServerStream<common::ReadBodyResponse>(
        context, guard_, loops_.Next(),
        [this, request](rpc::ServerWriter<common::ReadBodyResponse>& writer) {
          return queue::Read(&core_, request, &writer);
        });
  }

 private:
  Core& core_;
  net::LoopPool& loops_;
  const rpc::TokenGuard& guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeBodiesService(Core& core, net::LoopPool& loops,
                                                 const rpc::TokenGuard& guard) {
  return std::make_unique<BodiesService>(core, loops, guard);
}

}  // namespace posthorn::queue
