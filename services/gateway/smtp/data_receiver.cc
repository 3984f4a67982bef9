#include "services/gateway/smtp/data_receiver.h"

#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

namespace {

// Of a binary message every octet is its own.
smtp::BareNewlines PolicyFor(DataFormat format, const SmtpListenerOptions& options) {
  return format == DataFormat::kBinary ? smtp::BareNewlines::kKeep : options.bare_newlines;
}

}  // namespace

DataReceiver::DataReceiver(net::StagingArea& area, const SmtpLimits& limits,
                           const SmtpListenerOptions& options, DataFormat format,
                           absl::Time began, ReceiveSlots::Slot slot)
    : limits_(limits),
      format_(format),
      refuse_bare_newlines_(!binary() && options.bare_newlines == smtp::BareNewlines::kKeep),
      max_octets_(static_cast<std::uint64_t>(MaxMessageOctets(limits, options))),
      began_(began),
      slot_(std::move(slot)),
      decoder_(PolicyFor(format, options), format == DataFormat::kDots
                                               ? smtp::DataFraming::kDots
                                               : smtp::DataFraming::kCounted),
      body_(std::make_shared<net::StagedBody>(area)) {
  if (IsSubmissionRole(options.role)) submission_ = std::make_unique<mime::SubmissionHeader>();
  if (!options.local_domain.empty()) {
    qualifier_ = std::make_unique<mime::AddressQualifier>(options.local_domain);
  }
}

std::size_t DataReceiver::Feed(std::string_view bytes) {
  decoded_.clear();
  const std::size_t used = decoder_.Decode(bytes, decoded_);
  Keep(decoder_.done());
  return used;
}

void DataReceiver::FeedChunk(std::string_view bytes) {
  decoded_.clear();
  decoder_.Decode(bytes, decoded_);
  Keep(false);
}

void DataReceiver::FinishChunks() {
  decoded_.clear();
  decoder_.Finish(decoded_);
  Keep(true);
}

void DataReceiver::Keep(bool complete) {
  if (status_.ok() && qualifier_ != nullptr) {
    std::string qualified;
    qualifier_->Feed(decoded_, qualified);
    if (complete) qualifier_->Finish(qualified);
    decoded_ = std::move(qualified);
  }
  if (status_.ok()) {
    headers_.Feed(decoded_);
    if (submission_ != nullptr) submission_->Feed(decoded_);
    if (complete) {
      headers_.Finish();
      if (submission_ != nullptr) submission_->Finish();
    }
    CheckLimits();
  }
  if (status_.ok()) {
    if (absl::Status s = body_->Append(decoded_); !s.ok()) Refuse(std::move(s));
  }
}

void DataReceiver::CheckLimits() {
  if (refuse_bare_newlines_ && decoder_.bare_newline()) {
    Refuse(MakeFailure(Failure::kBareNewline));
  } else if (octets() > max_octets_) {
    Refuse(MakeFailure(Failure::kMessageTooLarge));
  } else if (limits_.line_octets > 0 && !binary() &&
             decoder_.longest_line() > static_cast<std::uint64_t>(limits_.line_octets)) {
    Refuse(MakeFailure(Failure::kLineTooLong));
  } else if (headers_.received_headers() > limits_.received_headers) {
    Refuse(MakeFailure(Failure::kMailLoop));
  }
}

void DataReceiver::Refuse(absl::Status status) {
  status_ = std::move(status);
  decoder_.DiscardOutput();
  body_.reset();
  submission_.reset();
  decoded_ = std::string();
}

}  // namespace posthorn::gateway
