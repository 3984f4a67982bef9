#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_DATA_RECEIVER_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_DATA_RECEIVER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/mime/submission_header.h"
#include "lib/net/staged_body.h"
#include "lib/smtp/data_decoder.h"
#include "lib/smtp/header_scan.h"

namespace posthorn::gateway {

struct SmtpLimits;
struct SmtpListenerOptions;

// Takes message data while it arrives: decodes it into a staged body and holds the limits. After
// the first violation nothing more is kept; the rest is read to its end, where the answer belongs.
class DataReceiver {
 public:
  // `area`, `limits` and `options` outlive it.
  DataReceiver(net::StagingArea& area, const SmtpLimits& limits,
               const SmtpListenerOptions& options);

  // Returns how many octets were used: all, or up to the end of the data.
  std::size_t Feed(std::string_view bytes);
  bool done() const { return decoder_.done(); }

  // Once done: what is wrong with the message, and what it is. kBareNewline, kMessageTooLarge,
  // kLineTooLong, kMailLoop, kInsufficientStorage.
  const absl::Status& status() const { return status_; }
  std::shared_ptr<net::StagedBody> TakeBody() { return std::move(body_); }
  const std::string& message_id() const { return headers_.message_id(); }
  const std::vector<std::string>& delivered_to() const { return headers_.delivered_to(); }
  bool eight_bit() const { return decoder_.eight_bit(); }
  // On listeners for submission; nullptr elsewhere.
  std::unique_ptr<mime::SubmissionHeader> TakeSubmission() { return std::move(submission_); }

 private:
  void Refuse(absl::Status status);
  void CheckLimits();

  const SmtpLimits& limits_;
  const bool refuse_bare_newlines_;
  smtp::DataDecoder decoder_;
  smtp::HeaderScan headers_;
  std::unique_ptr<mime::SubmissionHeader> submission_;
  std::shared_ptr<net::StagedBody> body_;
  std::string decoded_;
  absl::Status status_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_DATA_RECEIVER_H_
