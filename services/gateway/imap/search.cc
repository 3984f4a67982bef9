// SEARCH (RFC 3501 section 6.4.4) and its answers: "* SEARCH", or ESEARCH (RFC 4731).
#include <algorithm>
#include <utility>

#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/search_messages.h"

namespace posthorn::gateway {
namespace {

// Sequence numbers or UIDs, as the client wants them.
std::vector<std::uint32_t> NumbersOf(const SelectedMailbox& mailbox,
                                     const std::vector<std::size_t>& indexes, bool uid) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(indexes.size());
  for (const std::size_t index : indexes) {
    numbers.push_back(uid ? mailbox.messages()[index].uid : static_cast<std::uint32_t>(index + 1));
  }
  return numbers;
}

// What an answer names, ascending: of MIN, MAX and PARTIAL only those messages, unless all are
// asked for too (RFC 5182 section 2.4, RFC 4731 section 3.2).
std::vector<std::size_t> Named(const imap::SearchReturn& returns,
                               const std::vector<std::size_t>& found) {
  std::vector<std::size_t> some;
  if (found.empty() || returns.all || returns.count || !returns.IsAnswered()) {
    some = found;
  } else {
    if (returns.partial) some = PartOf(found, *returns.partial);
    if (returns.min) some.push_back(found.front());
    if (returns.max) some.push_back(found.back());
  }
  std::sort(some.begin(), some.end());
  some.erase(std::unique(some.begin(), some.end()), some.end());
  return some;
}

void AppendHighest(const SelectedMailbox& mailbox, const std::vector<std::size_t>& indexes,
                   std::string& out) {
  ModSeq highest = 0;
  for (const std::size_t index : indexes) {
    highest = std::max(highest, mailbox.messages()[index].modseq);
  }
  imap::AppendNumber(static_cast<std::uint64_t>(highest), out);
}

// `numbers` outlives the task.
Task<absl::Status> AppendSet(ImapState& state, const std::vector<std::uint32_t>& numbers) {
  bool first = true;
  for (const imap::SequenceRange& range : imap::ToRanges(numbers)) {
    if (!std::exchange(first, false)) state.out += ',';
    imap::AppendRange(range, state.out);
    if (!state.flush_due()) continue;
    absl::Status written = co_await state.Flush();
    if (!written.ok()) co_return written;
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::Status> AppendFound(ImapState& state, const char* response,
                               std::vector<std::size_t> found, bool uid, bool modseq) {
  state.out += "* ";
  state.out += response;
  for (const std::uint32_t number : NumbersOf(*state.selected, found, uid)) {
    state.out += ' ';
    imap::AppendNumber(number, state.out);
    if (!state.flush_due()) continue;
    absl::Status written = co_await state.Flush();
    if (!written.ok()) co_return written;
  }
  if (modseq && !found.empty()) {
    state.out += " (MODSEQ ";
    AppendHighest(*state.selected, found, state.out);
    state.out += ')';
  }
  state.out += "\r\n";
  co_return absl::OkStatus();
}

Task<absl::Status> AppendExtendedFound(ImapState& state, const imap::SearchReturn& returns,
                                       std::vector<std::size_t> found, bool uid, bool modseq) {
  const std::vector<std::uint32_t> numbers = NumbersOf(*state.selected, found, uid);
  imap::AppendEsearch(state.tag, uid, state.out);
  if (!numbers.empty()) {
    if (returns.min) imap::AppendEsearchNumber("MIN", numbers.front(), state.out);
    if (returns.max) imap::AppendEsearchNumber("MAX", numbers.back(), state.out);
  }
  if (returns.count) imap::AppendEsearchNumber("COUNT", numbers.size(), state.out);
  if (returns.all && !numbers.empty()) {
    state.out += " ALL ";
    absl::Status written = co_await AppendSet(state, numbers);
    if (!written.ok()) co_return written;
  }
  if (returns.partial) {
    state.out += " PARTIAL (";
    imap::AppendPartialRange(*returns.partial, state.out);
    state.out += ' ';
    const std::vector<std::uint32_t> part = PartOf(numbers, *returns.partial);
    if (part.empty()) state.out += "NIL";
    absl::Status written = co_await AppendSet(state, part);
    if (!written.ok()) co_return written;
    state.out += ')';
  }
  const std::vector<std::size_t> named = Named(returns, found);
  if (modseq && !named.empty()) {
    state.out += " MODSEQ ";
    AppendHighest(*state.selected, named, state.out);
  }
  state.out += "\r\n";
  co_return absl::OkStatus();
}

void SaveFound(SelectedMailbox& mailbox, const imap::SearchReturn& returns,
               const std::vector<std::size_t>& found) {
  if (returns.save) mailbox.Save(Named(returns, found));
}

Task<ImapReply> HandleSearch(ImapState& state, imap::SearchCommand command) {
  // RFC 6855 section 3: it has become meaningless.
  if (command.charset && state.utf8) co_return ImapReply::Bad("CHARSET after UTF8=ACCEPT");
  if (state.rev2 && !command.returns) {
    // RFC 9051 section 6.4.4.
    command.returns.emplace();
    command.returns->all = true;
  }
  const bool modseq = AsksForModSeq(command.key);
  if (modseq) state.condstore = true;
  Uid lowest = 0;
  absl::StatusOr<std::vector<std::size_t>> found =
      co_await SearchMessages(state, command.key, lowest);
  if (!found.ok()) {
    // RFC 5182 section 2.1: nothing is found then.
    if (command.returns && command.returns->save) state.selected->Save({});
    co_return ImapReply::Failed(found.status());
  }
  ImapReply reply = ImapReply::Ok("Search completed");
  reply.lowest_processed = lowest;
  absl::Status written;
  if (command.returns) {
    SaveFound(*state.selected, *command.returns, *found);
    if (!command.returns->IsAnswered()) co_return reply;
    written = co_await AppendExtendedFound(state, *command.returns, *std::move(found), command.uid,
                                           modseq);
  } else {
    written = co_await AppendFound(state, "SEARCH", *std::move(found), command.uid, modseq);
  }
  if (!written.ok()) co_return ImapReply::Broken();
  co_return reply;
}

}  // namespace posthorn::gateway
