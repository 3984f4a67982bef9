#include "services/gateway/smtp/data_receiver.h"

#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

DataReceiver::DataReceiver(net::StagingArea& area, const SmtpLimits& limits,
                           std::int64_t max_octets, DataFormat format, absl::Time began,
                           ReceiveSlots::Slot slot)
    : limits_(limits),
      max_octets_(max_octets),
      format_(format),
      began_(began),
      slot_(std::move(slot)),
      body_(std::make_shared<net::StagedBody>(area)) {}

std::size_t DataReceiver::Feed(std::string_view bytes) {
  decoded_.clear();
  const std::size_t used = decoder_.Decode(bytes, decoded_);
  Keep(decoded_, decoder_.done());
  return used;
}

void DataReceiver::FeedChunk(std::string_view bytes) {
  chunks_.Feed(bytes);
  Keep(bytes, false);
}

void DataReceiver::FinishChunks() {
  chunks_.Finish();
  Keep({}, true);
}

void DataReceiver::Keep(std::string_view bytes, bool complete) {
  if (status_.ok()) {
    headers_.Feed(bytes);
    if (complete) headers_.Finish();
    CheckLimits();
  }
  if (status_.ok()) {
    if (absl::Status s = body_->Append(bytes); !s.ok()) Refuse(std::move(s));
  }
}

void DataReceiver::CheckLimits() {
  const bool bare_newline = dots() ? decoder_.bare_newline() : chunks_.bare_newline();
  const std::uint64_t longest = dots() ? decoder_.longest_line() : chunks_.longest_line();
  if (bare_newline && !binary()) {
    Refuse(MakeFailure(Failure::kBareNewline));
  } else if (octets() > static_cast<std::uint64_t>(max_octets_)) {
    Refuse(MakeFailure(Failure::kMessageTooLarge));
  } else if (limits_.line_octets > 0 && !binary() &&
             longest > static_cast<std::uint64_t>(limits_.line_octets)) {
    Refuse(MakeFailure(Failure::kLineTooLong));
  } else if (headers_.received_headers() > limits_.received_headers) {
    Refuse(MakeFailure(Failure::kMailLoop));
  }
}

void DataReceiver::Refuse(absl::Status status) {
  status_ = std::move(status);
  decoder_.DiscardOutput();
  body_.reset();
  decoded_ = std::string();
}

}  // namespace posthorn::gateway
