// THREAD (RFC 5256): lib/imap/thread.h does it with the envelopes of what is found.
#include "lib/imap/thread.h"

#include <utility>

#include "lib/base/failure.h"
#include "lib/mime/date.h"
#include "services/gateway/imap/envelopes.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/search_messages.h"

namespace posthorn::gateway {
namespace {

// Bounds what one THREAD keeps: over half a KiB a message for 100,000 of them.
constexpr std::size_t kMaxOctets = 64 * 1024 * 1024;

absl::Status Add(const SelectedMailbox& mailbox, std::size_t index, bool uid,
                 const mime::Envelope& envelope, imap::Threader& threader) {
  const auto view = [](const std::optional<std::string>& text) {
    return text ? std::string_view(*text) : std::string_view();
  };
  const SelectedMailbox::Message& known = mailbox.messages()[index];
  imap::Threader::Message message;
  message.number = uid ? known.uid : static_cast<std::uint32_t>(index + 1);
  const std::optional<absl::Time> sent = mime::ParseDate(view(envelope.date));
  message.sent = sent ? absl::ToUnixSeconds(*sent) : known.received_seconds;
  message.message_id = view(envelope.message_id);
  message.references = view(envelope.references);
  message.in_reply_to = view(envelope.in_reply_to);
  message.subject = view(envelope.subject);
  threader.Add(message);
  if (threader.octets() <= kMaxOctets) return absl::OkStatus();
  return MakeFailure(Failure::kLimitExceeded, "Too much to put into threads");
}

}  // namespace

Task<ImapReply> HandleThread(ImapState& state, imap::ThreadCommand command) {
  if (AsksForModSeq(command.key)) state.condstore = true;
  Uid lowest = 0;
  absl::StatusOr<std::vector<std::size_t>> found =
      co_await SearchMessages(state, command.key, lowest);
  if (lowest != 0) co_return state.TooManyMessages(0);  // as for SORT
  if (!found.ok()) co_return ImapReply::Failed(found.status());
  imap::Threader threader;
  EnvelopeSink sink = [&](std::size_t index, const mime::Envelope& envelope) {
    return Add(*state.selected, index, command.uid, envelope, threader);
  };
  Task<absl::Status> reading = ReadEnvelopes(state, *std::move(found), std::move(sink));
  const absl::Status read = co_await state.Await(std::move(reading));
  if (!read.ok()) co_return ImapReply::Failed(read);
  const bool by_references = command.algorithm == imap::ThreadCommand::Algorithm::kReferences;
  const std::string threads = by_references ? threader.References() : threader.OrderedSubject();
  state.out += threads.empty() ? "* THREAD" : "* THREAD ";
  for (std::size_t at = 0; at < threads.size(); at += ImapState::kFlushOctets) {
    state.out += std::string_view(threads).substr(at, ImapState::kFlushOctets);
    if (!state.flush_due()) continue;
    const absl::Status written = co_await state.Flush();
    if (!written.ok()) co_return ImapReply::Broken();
  }
  state.out += "\r\n";
  co_return ImapReply::Ok("Thread completed");
}

}  // namespace posthorn::gateway
