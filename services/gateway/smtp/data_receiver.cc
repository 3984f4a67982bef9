#include "services/gateway/smtp/data_receiver.h"

#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

DataReceiver::DataReceiver(net::StagingArea& area, const SmtpLimits& limits,
                           const SmtpListenerOptions& options)
    : limits_(limits),
      refuse_bare_newlines_(options.bare_newlines == smtp::BareNewlines::kKeep),
      decoder_(options.bare_newlines),
      body_(std::make_shared<net::StagedBody>(area)) {
  if (IsSubmissionRole(options.role)) submission_ = std::make_unique<mime::SubmissionHeader>();
}

std::size_t DataReceiver::Feed(std::string_view bytes) {
  decoded_.clear();
  const std::size_t used = decoder_.Decode(bytes, decoded_);
  if (status_.ok()) {
    headers_.Feed(decoded_);
    if (submission_ != nullptr) submission_->Feed(decoded_);
    if (decoder_.done()) {
      headers_.Finish();
      if (submission_ != nullptr) submission_->Finish();
    }
    CheckLimits();
  }
  if (status_.ok()) {
    if (absl::Status s = body_->Append(decoded_); !s.ok()) Refuse(std::move(s));
  }
  return used;
}

void DataReceiver::CheckLimits() {
  if (refuse_bare_newlines_ && decoder_.bare_newline()) {
    Refuse(MakeFailure(Failure::kBareNewline));
  } else if (decoder_.octets() > static_cast<std::uint64_t>(limits_.message_octets)) {
    Refuse(MakeFailure(Failure::kMessageTooLarge));
  } else if (limits_.line_octets > 0 &&
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
