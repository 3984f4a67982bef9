#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "services/gateway/pop3/handlers.h"

namespace posthorn::gateway {
namespace {

Pop3Reply Retrieve(pop3::MessageNumber number, std::optional<std::uint32_t> body_lines,
                   const Pop3State& state) {
  const absl::StatusOr<const Maildrop::Message*> found = state.maildrop.Find(number);
  if (!found.ok()) return ErrorReply(found.status());
  Pop3Reply reply;
  reply.retrieval.emplace();
  reply.retrieval->index = number - 1;
  reply.retrieval->uid = (*found)->uid;
  reply.retrieval->size = (*found)->size;
  reply.retrieval->body_lines = body_lines;
  return reply;
}

}  // namespace

Pop3Reply HandleStat(const Pop3State& state) {
  return OkReply(std::to_string(state.maildrop.count()) + " " +
                 std::to_string(state.maildrop.octets()));
}

Pop3Reply HandleList(const pop3::ListCommand& command, const Pop3State& state) {
  if (!command.message) {
    Pop3Reply reply = OkReply(std::to_string(state.maildrop.count()) + " messages (" +
                              std::to_string(state.maildrop.octets()) + " octets)");
    reply.listing = Pop3Reply::Listing::kSizes;
    return reply;
  }
  const absl::StatusOr<const Maildrop::Message*> found = state.maildrop.Find(*command.message);
  if (!found.ok()) return ErrorReply(found.status());
  return OkReply(std::to_string(*command.message) + " " + std::to_string((*found)->size));
}

Pop3Reply HandleUidl(const pop3::UidlCommand& command, const Pop3State& state) {
  if (!command.message) {
    Pop3Reply reply = OkReply("Unique identifiers follow");
    reply.listing = Pop3Reply::Listing::kUniqueIds;
    return reply;
  }
  const absl::StatusOr<const Maildrop::Message*> found = state.maildrop.Find(*command.message);
  if (!found.ok()) return ErrorReply(found.status());
  return OkReply(std::to_string(*command.message) + " " + state.maildrop.UniqueId(**found));
}

Pop3Reply HandleRetr(const pop3::RetrCommand& command, const Pop3State& state) {
  return Retrieve(command.message, std::nullopt, state);
}

Pop3Reply HandleTop(const pop3::TopCommand& command, const Pop3State& state) {
  return Retrieve(command.message, command.lines, state);
}

Pop3Reply HandleDele(const pop3::DeleCommand& command, Pop3State& state) {
  const absl::Status deleted = state.maildrop.Delete(command.message);
  if (!deleted.ok()) return ErrorReply(deleted);
  return OkReply("Marked as deleted");
}

Pop3Reply HandleRset(Pop3State& state) {
  state.maildrop.Reset();
  return HandleStat(state);
}

}  // namespace posthorn::gateway
