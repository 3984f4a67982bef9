#ifndef POSTHORN_LIB_NET_PROXY_PROTOCOL_H_
#define POSTHORN_LIB_NET_PROXY_PROTOCOL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/net/peer_address.h"

namespace posthorn::net {

// Reads the header that a load balancer puts in front of a connection: HAProxy's PROXY protocol,
// version 1 (a line of text) or 2 (binary). Pure: it is given octets as they come and says how many
// of them belong to the header, never one more, so that what follows (a greeting's answer, a TLS
// hello) stays where it is. Holds at most kMaxOctets.
class ProxyHeaderReader {
 public:
  // Version 1 needs 107; version 2 can have up to 64 KiB of extensions (TLVs), of which balancers
  // use a few hundred octets.
  static constexpr std::size_t kMaxOctets = 4096;

  enum class State {
    kNeedMore,
    kDone,
    kInvalid,  // no header, or a broken one: the connection is worthless
  };

  // How many octets from the front of `bytes` are the header's: all while kNeedMore. Not to be
  // called after that.
  std::size_t Feed(std::string_view bytes);
  State state() const { return state_; }

  // Once done. False: the balancer speaks for itself (version 2 LOCAL, as in health checks) or does
  // not know (version 1 UNKNOWN, other address families); the connection's own addresses stand.
  bool has_addresses() const { return has_addresses_; }
  const PeerAddress& source() const { return source_; }
  const PeerAddress& destination() const { return destination_; }

 private:
  // How many octets the header has, as far as can be told: at least one more than there are.
  std::size_t Wanted() const;
  void ParseText();
  void ParseBinary();

  State state_ = State::kNeedMore;
  std::string header_;
  bool has_addresses_ = false;
  PeerAddress source_;
  PeerAddress destination_;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_PROXY_PROTOCOL_H_
