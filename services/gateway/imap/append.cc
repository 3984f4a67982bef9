// RFC 3501 section 6.3.11 with APPENDUID (RFC 4315 section 3).
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {
namespace {

// What one call may carry; more is streamed into the store in pieces of this size.
constexpr std::size_t kInlineOctets = 64 * 1024;

}  // namespace

ImapAppend::ImapAppend(ImapState& state, imap::AppendCommand command)
    : state_(state), command_(std::move(command)) {}

ImapAppend::~ImapAppend() = default;

Task<absl::Status> ImapAppend::Start() {
  // Known before the client sends the message: no megabytes for a mailbox that is not there.
  absl::StatusOr<MailboxInfo> info =
      co_await state_.store().GetMailbox(state_.tenant(), state_.account(), command_.mailbox);
  if (!info.ok()) co_return info.status();
  if (command_.size <= kInlineOctets) {
    buffer_.reserve(command_.size);
  } else {
    writer_ = state_.store().PutBody(state_.tenant());
  }
  co_return absl::OkStatus();
}

Task<absl::Status> ImapAppend::Write(std::string bytes) {
  if (!failure_.ok()) co_return failure_;
  buffer_ += bytes;
  if (!writer_ || buffer_.size() < kInlineOctets) co_return absl::OkStatus();
  std::string piece = std::exchange(buffer_, {});
  failure_ = co_await writer_->Write(std::move(piece));
  co_return failure_;
}

Task<ImapReply> ImapAppend::Finish(absl::Status received) {
  if (!received.ok()) co_return ImapReply::Failed(std::move(received));
  AppendMessage message;
  if (writer_ && failure_.ok()) {
    if (!buffer_.empty()) {
      std::string piece = std::exchange(buffer_, {});
      failure_ = co_await writer_->Write(std::move(piece));
    }
    absl::StatusOr<StoredBody> body = co_await writer_->Finish();
    if (body.ok()) {
      message.stored_body = *std::move(body);
    } else {
      failure_ = body.status();
    }
  } else {
    message.inline_body = std::move(buffer_);
  }
  if (!failure_.ok()) co_return ImapReply::Failed(failure_);
  message.mailbox = command_.mailbox;
  message.flags.system = command_.flags.system;
  message.flags.keywords = std::move(command_.flags.keywords);
  message.received_at = command_.received_at.value_or(state_.dependencies.clock->Now());
  absl::StatusOr<AppendResult> result =
      co_await state_.store().Append(state_.tenant(), state_.account(), std::move(message));
  if (!result.ok()) {
    const bool missing = FailureOf(result.status()) == Failure::kNoSuchMailbox;
    co_return ImapReply::Failed(result.status(), missing ? "TRYCREATE" : "");
  }
  co_return ImapReply::Ok("Append completed",
                          absl::StrCat("APPENDUID ", result->uid_validity, " ", result->uid));
}

}  // namespace posthorn::gateway
