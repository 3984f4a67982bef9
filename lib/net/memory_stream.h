#ifndef POSTHORN_LIB_NET_MEMORY_STREAM_H_
#define POSTHORN_LIB_NET_MEMORY_STREAM_H_

#include <memory>
#include <string>
#include <utility>

#include "lib/net/stream.h"

namespace posthorn::net {

// Two connected ends in memory, for unit tests on one executor. Either end may set its peer
// address; StartTls marks TLS as active without any cryptography,
// and the binding "tls-exporter" of each connection is "memory".
struct MemoryPipe {
  std::unique_ptr<Stream> server;
  std::unique_ptr<Stream> client;
};
MemoryPipe MakeMemoryPipe(PeerAddress client_address);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_MEMORY_STREAM_H_
