#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_DATA_RECEIVER_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_DATA_RECEIVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/mime/address_qualifier.h"
#include "lib/mime/submission_header.h"
#include "lib/net/staged_body.h"
#include "lib/smtp/data_decoder.h"
#include "lib/smtp/header_scan.h"
#include "services/gateway/smtp/receive_slots.h"

namespace posthorn::gateway {

struct SmtpLimits;
struct SmtpListenerOptions;

// How a message is transmitted.
enum class DataFormat {
  kDots,    // DATA: lines, dot-stuffed (RFC 5321 section 4.5.2)
  kChunks,  // BDAT: as it is, of lines all the same (RFC 3030)
  kBinary,  // BDAT after BODY=BINARYMIME: any octets
};

// Takes message data while it arrives: decodes it into a staged body and holds the limits. After
// the first violation nothing more is kept; the rest is read to its end, where the answer belongs.
class DataReceiver {
 public:
  // `area`, `limits` and `options` outlive it. `slot` is its place among the messages received at
  // once.
  DataReceiver(net::StagingArea& area, const SmtpLimits& limits,
               const SmtpListenerOptions& options, DataFormat format, absl::Time began,
               ReceiveSlots::Slot slot);

  // Data of DATA. Returns how many octets were used: all, or up to the end of the data.
  std::size_t Feed(std::string_view bytes);
  bool done() const { return decoder_.done(); }

  // Chunks of BDAT, cut anywhere, and their end.
  void FeedChunk(std::string_view bytes);
  void FinishChunks();

  // So far: what is wrong with the message, and what it is. kBareNewline, kMessageTooLarge,
  // kLineTooLong, kMailLoop, kInsufficientStorage.
  const absl::Status& status() const { return status_; }
  std::uint64_t octets() const { return decoder_.octets(); }
  absl::Time began() const { return began_; }
  std::shared_ptr<net::StagedBody> TakeBody() { return std::move(body_); }
  const std::string& message_id() const { return headers_.message_id(); }
  const std::vector<std::string>& delivered_to() const { return headers_.delivered_to(); }
  bool eight_bit() const { return decoder_.eight_bit(); }
  bool eight_bit_header() const { return headers_.eight_bit(); }
  bool binary() const { return format_ == DataFormat::kBinary; }
  // On listeners for submission; nullptr elsewhere.
  std::unique_ptr<mime::SubmissionHeader> TakeSubmission() { return std::move(submission_); }

 private:
  // What was decoded last; `complete`: nothing comes after it.
  void Keep(bool complete);
  void Refuse(absl::Status status);
  void CheckLimits();

  const SmtpLimits& limits_;
  const DataFormat format_;
  const bool refuse_bare_newlines_;
  const std::uint64_t max_octets_;
  const absl::Time began_;
  const ReceiveSlots::Slot slot_;
  smtp::DataDecoder decoder_;
  smtp::HeaderScan headers_;
  std::unique_ptr<mime::SubmissionHeader> submission_;
  std::unique_ptr<mime::AddressQualifier> qualifier_;  // of local mail
  std::shared_ptr<net::StagedBody> body_;
  std::string decoded_;
  absl::Status status_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_DATA_RECEIVER_H_
