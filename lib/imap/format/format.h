#ifndef POSTHORN_LIB_IMAP_FORMAT_FORMAT_H_
#define POSTHORN_LIB_IMAP_FORMAT_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/imap/command.h"
#include "lib/mime/envelope.h"
#include "lib/mime/structure.h"

// The only producer of what an IMAP server writes. Every function appends to `out`; strings that
// are not plain ASCII, or hold CR, LF or NUL, leave as literals.
namespace posthorn::imap {

// string.cc
void AppendNumber(std::uint64_t number, std::string& out);
void AppendString(std::string_view text, std::string& out);   // quoted or literal
void AppendAString(std::string_view text, std::string& out);  // atom where possible
void AppendNString(const std::optional<std::string>& text, std::string& out);
// "{n}" CRLF; the caller appends the n octets.
void AppendLiteralMark(std::uint64_t size, std::string& out);
// A mailbox name (UTF-8) in modified UTF-7, as an astring; `utf8`: as it is (RFC 6855).
void AppendMailbox(std::string_view name, bool utf8, std::string& out);

// response.cc: whole lines.
enum class Condition { kOk, kNo, kBad, kBye, kPreauth };
// `tag` empty: untagged. `code` without brackets; empty: none. `text` is made one line.
void AppendStatusResponse(std::string_view tag, Condition condition, std::string_view code,
                          std::string_view text, std::string& out);
void AppendContinuation(std::string_view text, std::string& out);
void AppendCount(std::uint32_t number, std::string_view what, std::string& out);  // "* 3 EXISTS"
// The tagged answer to a failed command: BAD for syntax, else NO with the failure's code.
void AppendFailure(std::string_view tag, const absl::Status& status, std::string& out);
// Whether `status` is the client's error, answered with BAD.
bool IsBad(const absl::Status& status);

// flags.cc: "(\Seen $Label)"; system bits as in command.h, kRecent too.
void AppendFlags(std::uint32_t system, const std::vector<std::string>& keywords, std::string& out);

// mailbox.cc
struct ListEntry {
  std::vector<std::string> attributes;  // "\\HasNoChildren"
  std::string name;                     // UTF-8
  // RFC 5258 section 3.5: selection options that mailboxes below meet; empty: no CHILDINFO.
  std::vector<std::string> child_info;
};
void AppendList(std::string_view command, const ListEntry& entry, bool utf8, std::string& out);
struct StatusValues {
  std::uint32_t messages = 0;
  std::uint32_t recent = 0;
  std::uint32_t uid_next = 0;
  std::uint32_t uid_validity = 0;
  std::uint32_t unseen = 0;
  std::uint64_t size = 0;          // octets of all messages
  std::uint64_t append_limit = 0;  // octets of a message in APPEND
  std::int64_t highest_modseq = 0;
  std::string mailbox_id;
  std::uint32_t deleted = 0;
  std::uint64_t deleted_size = 0;
};
void AppendStatus(std::string_view mailbox, const std::vector<StatusItem>& items,
                  const StatusValues& values, bool utf8, std::string& out);

// "* VANISHED (EARLIER) 1:3,7" (RFC 7162 section 3.2.10) of UIDs, ascending; nothing for none.
void AppendVanished(bool earlier, const std::vector<SequenceRange>& uids, std::string& out);

// search.cc: an ESEARCH response (RFC 4731) without its line end, and what it returns.
void AppendEsearch(std::string_view tag, bool uid, std::string& out);  // "* ESEARCH (TAG "a") UID"
void AppendEsearchNumber(std::string_view name, std::uint64_t number, std::string& out);
void AppendRange(const SequenceRange& range, std::string& out);        // "3" or "3:7"
void AppendPartialRange(const PartialRange& range, std::string& out);  // "1:10" or "-1:-10"

// fetch.cc: the parts of a FETCH response.
// The name of a section in a response: "BODY[1.HEADER.FIELDS (From)]<0>", "BINARY[1]",
// "BINARY.SIZE[1]".
void AppendSectionName(const FetchItem& item, std::string& out);

// envelope.cc, body_structure.cc (RFC 3501 section 7.4.2)
void AppendEnvelope(const mime::Envelope& envelope, std::string& out);
// `extended`: BODYSTRUCTURE, else BODY.
void AppendBodyStructure(const mime::Part& part, bool extended, std::string& out);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_FORMAT_FORMAT_H_
