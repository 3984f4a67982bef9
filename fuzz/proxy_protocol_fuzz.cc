// PROXY protocol headers: the pieces in which one arrives make no difference, and nothing behind it
// is taken.

#include "fuzz/fuzz_input.h"
#include "lib/net/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using posthorn::net::ProxyHeaderReader;
  using State = ProxyHeaderReader::State;
  const posthorn::FuzzInput input(data, size);
  ProxyHeaderReader whole;
  const std::size_t used = whole.Feed(input.bytes());
  posthorn::FuzzCheck(used <= input.bytes().size());
  posthorn::FuzzCheck(whole.state() != State::kNeedMore || used == input.bytes().size());
  posthorn::FuzzCheck(used <= ProxyHeaderReader::kMaxOctets);

  ProxyHeaderReader pieces;
  std::size_t used_in_pieces = 0;
  input.ForEachPiece([&](std::string_view piece) {
    if (pieces.state() == State::kNeedMore) used_in_pieces += pieces.Feed(piece);
  });
  posthorn::FuzzCheck(used_in_pieces == used);
  posthorn::FuzzCheck(pieces.state() == whole.state());
  posthorn::FuzzCheck(pieces.has_addresses() == whole.has_addresses());
  posthorn::FuzzCheck(pieces.source().ip == whole.source().ip);
  posthorn::FuzzCheck(pieces.source().port == whole.source().port);
  if (whole.state() == State::kDone && whole.has_addresses()) {
    posthorn::FuzzCheck(!whole.source().ip.empty() && !whole.destination().ip.empty());
    posthorn::FuzzCheck(whole.source().port >= 0 && whole.source().port <= 65535);
  }
  return 0;
}
