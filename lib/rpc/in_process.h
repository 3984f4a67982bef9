#ifndef POSTHORN_LIB_RPC_IN_PROCESS_H_
#define POSTHORN_LIB_RPC_IN_PROCESS_H_

#include <memory>

namespace grpc {
class Channel;
}

namespace posthorn::rpc::internal {

// Remembers, for as long as the result lives, that the channel has no connection to lose: gRPC
// cannot tell the state of such a channel and logs an error when asked.
std::shared_ptr<grpc::Channel> MarkInProcess(std::shared_ptr<grpc::Channel> channel);
bool IsInProcess(const grpc::Channel& channel);

// gRPC 1.51 ends the threads that run callbacks when the last channel and server are gone. Should
// that be in a callback, because the state of a cancelled call held the last channel, the thread
// joins itself and frees its queue twice. This keeps them running for the life of the process.
void KeepCallbackThreads();

}  // namespace posthorn::rpc::internal

#endif  // POSTHORN_LIB_RPC_IN_PROCESS_H_
