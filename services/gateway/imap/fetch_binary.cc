#include "services/gateway/imap/fetch_binary.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/mime/transfer_decoder.h"

namespace posthorn::gateway {
namespace {

// One call of the store: a slow client must not outlast its deadline.
constexpr std::uint64_t kOctetsPerRead = 4 * 1024 * 1024;

// Takes decoded octets; false: no more are wanted.
using Sink = std::function<Task<absl::StatusOr<bool>>(std::string)>;

// All outlive the task.
Task<absl::Status> Decode(ImapState& state, const MessageData& data, const BinaryPart& part,
                          const Sink& sink) {
  mime::TransferDecoder decoder(part.encoding);
  Octets left = *part.octets;
  if (data.body_complete) {
    std::string decoded;
    decoder.Decode(std::string_view(data.body).substr(left.offset, left.length), &decoded);
    decoder.Finish(&decoded);
    absl::StatusOr<bool> taken = co_await sink(std::move(decoded));
    co_return taken.status();
  }
  while (left.length > 0) {
    const std::uint64_t length = std::min(left.length, kOctetsPerRead);
    std::unique_ptr<Reader<std::string>> reader = state.store().ReadMessage(
        state.tenant(), state.account(), state.selected->id(), data.uid, left.offset, length);
    std::uint64_t received = 0;
    for (;;) {
      absl::StatusOr<std::optional<std::string>> piece = co_await reader->Next();
      if (!piece.ok()) co_return piece.status();
      if (!piece->has_value()) break;
      received += (*piece)->size();
      std::string decoded;
      decoder.Decode(**piece, &decoded);
      absl::StatusOr<bool> more = co_await sink(std::move(decoded));
      if (!more.ok()) co_return more.status();
      if (!*more) co_return absl::OkStatus();
    }
    if (received != length) co_return MakeFailure(Failure::kUnavailable);
    left.offset += length;
    left.length -= length;
  }
  std::string last;
  decoder.Finish(&last);
  absl::StatusOr<bool> taken = co_await sink(std::move(last));
  co_return taken.status();
}

// `size` outlives the task.
Task<absl::StatusOr<bool>> Count(std::string decoded, std::uint64_t& size) {
  size += decoded.size();
  co_return true;
}

// Skips and takes what `wanted` says of it, and counts that down.
Task<absl::StatusOr<bool>> Send(std::string decoded, ImapState& state, Octets& wanted) {
  const std::uint64_t skip = std::min<std::uint64_t>(wanted.offset, decoded.size());
  const std::uint64_t take = std::min<std::uint64_t>(wanted.length, decoded.size() - skip);
  wanted.offset -= skip;
  wanted.length -= take;
  state.out += std::string_view(decoded).substr(skip, take);
  if (state.flush_due()) {
    const absl::Status written = co_await state.Flush();
    if (!written.ok()) co_return written;
  }
  co_return wanted.length > 0;
}

}  // namespace

bool IsBinary(const imap::FetchItem& item) {
  return item.kind == imap::FetchItem::Kind::kBinary ||
         item.kind == imap::FetchItem::Kind::kBinarySize;
}

BinaryPart FindBinary(const imap::Section& section, const mime::Structure& structure,
                      std::uint32_t prefix_size, std::uint64_t size) {
  BinaryPart found;
  found.octets = Locate(section, structure, prefix_size, size);
  if (!found.octets || section.part.empty()) return found;
  const mime::Part* part = mime::FindPart(structure, section.part);
  if (part == nullptr || part->kind != mime::Part::Kind::kLeaf) return found;
  std::string encoding = part->encoding;
  absl::AsciiStrToLower(&encoding);
  absl::StripAsciiWhitespace(&encoding);
  if (encoding.empty() || encoding == "7bit" || encoding == "8bit" || encoding == "binary") {
    return found;
  }
  found.unknown_encoding = encoding != "base64" && encoding != "quoted-printable";
  found.encoding = std::move(encoding);
  return found;
}

Task<absl::StatusOr<std::uint64_t>> DecodedSize(ImapState& state, const MessageData& data,
                                                const BinaryPart& part) {
  if (part.encoding.empty()) co_return part.octets->length;
  std::uint64_t size = 0;
  const Sink sink = [&size](std::string decoded) { return Count(std::move(decoded), size); };
  const absl::Status read = co_await Decode(state, data, part, sink);
  if (!read.ok()) co_return read;
  co_return size;
}

Task<absl::Status> SendDecoded(ImapState& state, const MessageData& data, const BinaryPart& part,
                               Octets wanted) {
  if (wanted.length == 0) co_return absl::OkStatus();
  const Sink sink = [&state, &wanted](std::string decoded) {
    return Send(std::move(decoded), state, wanted);
  };
  const absl::Status read = co_await Decode(state, data, part, sink);
  if (!read.ok()) co_return read;
  if (wanted.length > 0) co_return MakeFailure(Failure::kUnavailable);
  co_return absl::OkStatus();
}

}  // namespace posthorn::gateway
