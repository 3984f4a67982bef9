#ifndef POSTHORN_SERVICES_QUEUE_QUEUE_SERVICE_H_
#define POSTHORN_SERVICES_QUEUE_QUEUE_SERVICE_H_

#include <memory>

namespace grpc {
class Service;
}
namespace posthorn::net {
class LoopPool;
}
namespace posthorn::rpc {
class TokenGuard;
}

namespace posthorn::queue {

class Core;

// posthorn.queue.v1.Queue over `core`; see queue.proto. What is passed must outlive the service.
std::unique_ptr<grpc::Service> MakeQueueService(Core& core, net::LoopPool& loops,
                                                const rpc::TokenGuard& guard);
// posthorn.queue.v1.Traffic.
std::unique_ptr<grpc::Service> MakeTrafficService(Core& core, net::LoopPool& loops,
                                                  const rpc::TokenGuard& guard);
// posthorn.common.v1.Bodies for the queue's own bodies.
std::unique_ptr<grpc::Service> MakeBodiesService(Core& core, net::LoopPool& loops,
                                                 const rpc::TokenGuard& guard);
// posthorn.queue.v1.Transport; see transport.proto.
std::unique_ptr<grpc::Service> MakeTransportService(Core& core, net::LoopPool& loops,
                                                    const rpc::TokenGuard& guard);

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_QUEUE_SERVICE_H_
