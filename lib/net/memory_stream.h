#ifndef POSTHORN_LIB_NET_MEMORY_STREAM_H_
#define POSTHORN_LIB_NET_MEMORY_STREAM_H_

#include <memory>
#include <string>
#include <utility>

#include "lib/net/stream.h"

namespace posthorn::net {

// Two connected ends in memory on one executor: for what speaks to a server of the same process, and
// for unit tests. What was written and not read yet has no bound of its own. Either end may set its peer
// address; StartTls marks TLS as active without any cryptography,
// and the binding "tls-exporter" of each connection is "memory".
struct MemoryPipe {
  std::unique_ptr<Stream> server;
  std::unique_ptr<Stream> client;
};
MemoryPipe MakeMemoryPipe(PeerAddress client_address);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_MEMORY_STREAM_H_
