#ifndef POSTHORN_LIB_IMAP_PARSE_PARSE_H_
#define POSTHORN_LIB_IMAP_PARSE_PARSE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/imap/command.h"
#include "lib/imap/cursor.h"

namespace posthorn::imap {

// A command's name and arguments, without tag and line end, literals as the receiver collected
// them. kSyntax and kUnknownCommand are answered with BAD, other failures with NO. APPEND and
// REPLACE are the receiver's (ParseAppend). `utf8`: names and strings are UTF-8 (RFC 6855).
absl::StatusOr<CommandBody> ParseCommand(std::string_view text, bool utf8 = false);

// One function a command, in the file of its name: the arguments, from the space before them. None
// reads on to the end of the line: ParseCommand checks that nothing follows.
absl::StatusOr<CommandBody> ParseId(Cursor& in);
absl::StatusOr<CommandBody> ParseEnable(Cursor& in);
absl::StatusOr<CommandBody> ParseLogin(Cursor& in);
absl::StatusOr<CommandBody> ParseAuthenticate(Cursor& in);
absl::StatusOr<CommandBody> ParseSelect(Cursor& in, bool read_only);
absl::StatusOr<CommandBody> ParseCreate(Cursor& in);
absl::StatusOr<CommandBody> ParseDelete(Cursor& in);
absl::StatusOr<CommandBody> ParseRename(Cursor& in);
absl::StatusOr<CommandBody> ParseSubscribe(Cursor& in, bool subscribe);
absl::StatusOr<CommandBody> ParseList(Cursor& in, bool lsub);
absl::StatusOr<CommandBody> ParseStatus(Cursor& in);
absl::StatusOr<CommandBody> ParseExpunge(Cursor& in, bool uid);
absl::StatusOr<CommandBody> ParseStore(Cursor& in, bool uid);
absl::StatusOr<CommandBody> ParseCopy(Cursor& in, bool uid, bool move);
absl::StatusOr<CommandBody> ParseFetch(Cursor& in, bool uid);
absl::StatusOr<CommandBody> ParseSearch(Cursor& in, bool uid);
absl::StatusOr<CommandBody> ParseSort(Cursor& in, bool uid);
absl::StatusOr<CommandBody> ParseThread(Cursor& in, bool uid);
absl::StatusOr<CommandBody> ParseGetQuota(Cursor& in);
absl::StatusOr<CommandBody> ParseGetQuotaRoot(Cursor& in);
absl::StatusOr<CommandBody> ParseSetQuota(Cursor& in);
absl::StatusOr<CommandBody> ParseCompress(Cursor& in);

// APPEND, REPLACE or UID REPLACE, from its name up to the message's literal, whose announcement is
// not part of the text: it has been read already. `size` and `synchronising` are left for the
// receiver to fill in. kSyntax if the literal cannot be the message.
absl::StatusOr<AppendCommand> ParseAppend(Cursor& in);
// The same for what stands between two messages: flags and date. `mailbox` stays empty.
absl::StatusOr<AppendCommand> ParseNextAppend(Cursor& in);
// Whether `text` begins one of these commands, and whether it ends before the mailbox, so that a
// literal there is a name.
bool IsAppend(std::string_view text);
bool AppendWantsMailbox(std::string_view text);

// What several of them share (shared.cc).
absl::Status ExpectSpace(Cursor& in);
absl::StatusOr<std::string> ParseMailbox(Cursor& in);  // after ExpectSpace; UTF-8
absl::StatusOr<SequenceSet> ParseSequenceSet(Cursor& in);
// "(" status-att *(SP status-att) ")", each once (status.cc).
absl::StatusOr<std::vector<StatusItem>> ParseStatusItems(Cursor& in);
// flag-list with parentheses. \Recent, unknown system flags and bad keywords are kSyntax.
absl::StatusOr<FlagList> ParseFlagList(Cursor& in);
// mod-sequence-valzer of RFC 7162: 0 to 2^63 - 1.
absl::StatusOr<std::int64_t> ParseModSequence(Cursor& in);
// The same without 0.
absl::StatusOr<std::int64_t> ParsePositiveModSequence(Cursor& in);
// partial-range of RFC 9394: "2:5" or "-1:-100".
absl::StatusOr<PartialRange> ParsePartialRange(Cursor& in);
// "(" [search-return-opt *(SP search-return-opt)] ")" (search.cc)
absl::StatusOr<SearchReturn> ParseSearchReturn(Cursor& in);
absl::StatusOr<std::string> ParseCharset(Cursor& in);  // not empty; its name is not checked
// 1*(SP search-key) without the first space, texts in `charset` (empty: UTF-8), as one kAnd
// (search.cc). kBadCharset.
absl::StatusOr<SearchKey> ParseSearchProgram(Cursor& in, std::string charset);
// One flag into `flags`.
absl::Status ParseFlag(Cursor& in, FlagList& flags);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_PARSE_PARSE_H_
