// CHUNKING and BINARYMIME (RFC 3030). A chunk's octets follow its command at once, so they are read
// to their end whatever the answer is: nothing in them is ever a command.
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

// Says nothing yet.
smtp::Reply Later() { return smtp::Reply(); }

void BeginChunk(const smtp::BdatCommand& command, SmtpContext& context) {
  context.chunk.emplace(command.octets, command.last, context.deps.clock->Now());
  context.input = SmtpInput::kChunk;
}

}  // namespace

smtp::Reply RefuseBdat(const smtp::BdatCommand& command, smtp::Reply refusal,
                       SmtpContext& context) {
  BeginChunk(command, context);
  context.chunk->refusal = std::move(refusal);
  return Later();
}

Task<smtp::Reply> HandleBdat(smtp::BdatCommand command, SmtpContext& context) {
  if (context.data == nullptr) {
    const bool binary = context.transaction->options.body_is_binary;
    const absl::Status begun =
        BeginMessage(binary ? DataFormat::kBinary : DataFormat::kChunks, context);
    if (!begun.ok()) co_return RefuseBdat(command, smtp::ReplyFor(begun), context);
  }
  BeginChunk(command, context);
  co_return Later();
}

Task<std::vector<smtp::Reply>> FinishChunk(SmtpContext& context) {
  SmtpChunk chunk = *std::move(context.chunk);
  context.chunk.reset();
  context.input = SmtpInput::kCommand;
  std::vector<smtp::Reply> replies;
  if (chunk.refusal.has_value()) {
    replies.push_back(*std::move(chunk.refusal));
    co_return replies;
  }
  if (!chunk.last) {
    const absl::Status& status = context.data->status();
    // The same for every chunk after the one that failed: a client that sent them unasked learns
    // from each what is wrong.
    replies.push_back(status.ok() ? smtp::Reply(250, "2.0.0",
                                                absl::StrCat(chunk.octets, " octets received"))
                                  : smtp::ReplyFor(status));
    co_return replies;
  }
  context.data->FinishChunks();
  replies = co_await FinishData(context);
  co_return replies;
}

}  // namespace posthorn::gateway
