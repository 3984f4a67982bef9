// RFC 3501 section 6.3.11 with APPENDUID (RFC 4315 section 3), MULTIAPPEND (RFC 3502) and REPLACE
// (RFC 8508).
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/imap/sequence_set.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {
namespace {

// What one call may carry; more is streamed into the store in pieces of this size.
constexpr std::size_t kInlineOctets = 64 * 1024;
// Bounds what a session keeps of the messages before the last.
constexpr std::size_t kMaxMessages = 1000;
constexpr std::size_t kMaxKeywordOctets = 64 * 1024;

}  // namespace

ImapAppend::ImapAppend(ImapState& state, imap::AppendCommand command)
    : state_(state), command_(std::move(command)), mailbox_(command_.mailbox) {}

ImapAppend::~ImapAppend() = default;

void ImapAppend::Begin(imap::AppendCommand message) {
  command_ = std::move(message);
  for (const std::string& keyword : command_.flags.keywords) keyword_octets_ += keyword.size();
  if (inline_octets_ + command_.size <= kInlineOctets) {
    inline_octets_ += command_.size;
    buffer_.reserve(command_.size);
  } else {
    writer_ = state_.store().PutBody(state_.tenant());
  }
}

Task<absl::Status> ImapAppend::Start() {
  // Known before the client sends the message: no megabytes for a mailbox that is not there. One
  // that took a message a moment ago is hardly gone, and the store looks again.
  if (mailbox_ != state_.appended_to) {
    absl::StatusOr<MailboxInfo> info =
        co_await state_.store().GetMailbox(state_.tenant(), state_.account(), mailbox_, false);
    if (!info.ok()) co_return info.status();
  }
  if (command_.replaced) {
    const SelectedMailbox& selected = *state_.selected;
    if (selected.read_only()) co_return MakeFailure(Failure::kReadOnly);
    imap::SequenceSet set;
    set.ranges.push_back({command_.replaced->number, command_.replaced->number});
    const bool uid = command_.replaced->uid;
    if (!uid && !selected.ContainsSequences(set)) {
      co_return MakeFailure(Failure::kSyntax, "No such message");
    }
    const std::vector<std::size_t> indexes = selected.Select(set, uid);
    if (indexes.empty() || selected.messages()[indexes.front()].expunged) {
      co_return MakeFailure(Failure::kNotFound, "No such message");
    }
    replaced_ = selected.messages()[indexes.front()].uid;
  }
  Begin(std::move(command_));
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

Task<absl::Status> ImapAppend::EndMessage() {
  if (!failure_.ok()) co_return failure_;
  AppendMessage message;
  if (writer_) {
    if (!buffer_.empty()) {
      std::string piece = std::exchange(buffer_, {});
      failure_ = co_await writer_->Write(std::move(piece));
      if (!failure_.ok()) co_return failure_;
    }
    absl::StatusOr<StoredBody> body = co_await writer_->Finish();
    writer_.reset();
    failure_ = body.status();
    if (!failure_.ok()) co_return failure_;
    message.stored_body = *std::move(body);
  } else {
    message.inline_body = std::exchange(buffer_, {});
  }
  message.flags.system = command_.flags.system;
  message.flags.keywords = std::move(command_.flags.keywords);
  message.received_at = command_.received_at.value_or(state_.dependencies.clock->Now());
  messages_.push_back(std::move(message));
  co_return absl::OkStatus();
}

Task<absl::Status> ImapAppend::Next(imap::AppendCommand message) {
  absl::Status ended = co_await EndMessage();
  if (!ended.ok()) co_return ended;
  const std::size_t most = std::min<std::size_t>(kMaxMessages, state_.limits.messages);
  if (messages_.size() == most) limit_code_ = absl::StrCat("MESSAGELIMIT ", most);
  if (messages_.size() == most || keyword_octets_ > kMaxKeywordOctets) {
    co_return MakeFailure(Failure::kLimitExceeded, "Too many messages in one APPEND");
  }
  Begin(std::move(message));
  co_return absl::OkStatus();
}

Task<absl::StatusOr<AppendAllResult>> ImapAppend::Store() {
  MailStore& store = state_.store();
  if (messages_.size() > 1) {
    co_return co_await store.AppendAll(state_.tenant(), state_.account(), mailbox_,
                                       std::move(messages_));
  }
  absl::StatusOr<AppendResult> one = absl::UnknownError("");
  if (replaced_ != 0) {
    one = co_await store.Replace(state_.tenant(), state_.account(), mailbox_,
                                 std::move(messages_.front()), state_.selected->id(), replaced_);
  } else {
    // One by itself shares its commit with what others store at the same time.
    one = co_await store.Append(state_.tenant(), state_.account(), mailbox_,
                                std::move(messages_.front()));
  }
  if (!one.ok()) co_return one.status();
  AppendAllResult result;
  result.uid_validity = one->uid_validity;
  result.uids.push_back(one->uid);
  co_return result;
}

Task<ImapReply> ImapAppend::Finish(absl::Status received) {
  if (!received.ok()) co_return ImapReply::Failed(std::move(received));
  absl::Status ended = co_await EndMessage();
  if (!ended.ok()) co_return ImapReply::Failed(std::move(ended));
  absl::StatusOr<AppendAllResult> result = co_await Store();
  state_.appended_to = result.ok() ? mailbox_ : std::string();
  if (!result.ok()) {
    const bool missing = FailureOf(result.status()) == Failure::kNoSuchMailbox;
    co_return ImapReply::Failed(result.status(), missing ? "TRYCREATE" : "");
  }
  const std::string code =
      absl::StrCat("APPENDUID ", result->uid_validity, " ", imap::FormatSequenceSet(result->uids));
  if (replaced_ != 0) co_return AfterReplace(code);
  co_return ImapReply::Ok("Append completed", code);
}

// RFC 8508 section 3.3: APPENDUID comes before the EXPUNGE response.
ImapReply ImapAppend::AfterReplace(const std::string& code) {
  imap::AppendStatusResponse({}, imap::Condition::kOk, code, "Replacement message ready",
                             state_.out);
  state_.selected->MarkExpunged({replaced_});
  state_.selected->ReportExpunges(state_.tells_uids(), state_.out);
  ImapReply reply = ImapReply::Ok("Replace completed");
  reply.tells_modseq = true;
  return reply;
}

}  // namespace posthorn::gateway
