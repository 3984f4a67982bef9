#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_FETCH_BINARY_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_FETCH_BINARY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/imap/command.h"
#include "lib/mime/structure.h"
#include "services/gateway/imap/fetch_section.h"
#include "services/gateway/imap/state.h"

// BINARY and BINARY.SIZE (RFC 3516): parts without their content transfer encoding.
namespace posthorn::gateway {

bool IsBinary(const imap::FetchItem& item);

struct BinaryPart {
  std::optional<Octets> octets;  // of BODY[]; nullopt: there is no such part
  std::string encoding;          // empty: nothing to decode
  bool unknown_encoding = false;
};

// Only leaves have an encoding: multiparts, messages and the whole message are as they are stored.
BinaryPart FindBinary(const imap::Section& section, const mime::Structure& structure,
                      std::uint32_t prefix_size, std::uint64_t size);

// What `part`, which is there, decodes to; read in pieces where `data` does not hold it. All
// outlive the tasks.
Task<absl::StatusOr<std::uint64_t>> DecodedSize(ImapState& state, const MessageData& data,
                                                const BinaryPart& part);
// Those octets of it to the client: exactly as many, or an error.
Task<absl::Status> SendDecoded(ImapState& state, const MessageData& data, const BinaryPart& part,
                               Octets wanted);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_FETCH_BINARY_H_
