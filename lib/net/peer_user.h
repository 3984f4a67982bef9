#ifndef POSTHORN_LIB_NET_PEER_USER_H_
#define POSTHORN_LIB_NET_PEER_USER_H_

#include <sys/types.h>

#include <optional>

#include "lib/net/stream.h"

namespace posthorn::net {

// The user who connected to a unix socket, by the kernel's word (SO_PEERCRED in unix(7)); none for
// streams of another kind.
std::optional<uid_t> PeerUser(const Stream& stream);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_PEER_USER_H_
