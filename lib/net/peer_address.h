#ifndef POSTHORN_LIB_NET_PEER_ADDRESS_H_
#define POSTHORN_LIB_NET_PEER_ADDRESS_H_

#include <string>

namespace posthorn::net {

// One end of a connection.
struct PeerAddress {
  std::string ip;  // "192.0.2.1", "2001:db8::1"; empty: unix socket or memory
  int port = 0;
  bool IsLoopback() const;
  // "192.0.2.1:2525", "[2001:db8::1]:2525", "unix".
  std::string ToString() const;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_PEER_ADDRESS_H_
