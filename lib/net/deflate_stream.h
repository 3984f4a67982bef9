#ifndef POSTHORN_LIB_NET_DEFLATE_STREAM_H_
#define POSTHORN_LIB_NET_DEFLATE_STREAM_H_

#include <memory>

#include "lib/net/stream.h"

namespace posthorn::net {

// `inner`, which outlives it, with both directions compressed by raw DEFLATE (RFC 1951), as RFC
// 4978 wants it. Everything given to a WriteAll can be decompressed by the peer once that has
// returned. It holds some 110 KiB for as long as it lives, and what a ReadSome got but could not
// return yet: a read gives at most 64 KiB, however well the peer's data are compressed. Errors:
// those of `inner`, and absl::kUnavailable for what is not DEFLATE; a peer that ends its compressed
// data reads as closed.
std::unique_ptr<Stream> MakeDeflateStream(Stream& inner);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_DEFLATE_STREAM_H_
