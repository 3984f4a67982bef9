#ifndef POSTHORN_LIB_IMAP_COMMAND_H_
#define POSTHORN_LIB_IMAP_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "lib/imap/sequence_set.h"

namespace posthorn::imap {

// The commands of RFC 3501 section 6 and of the extensions in docs/protocols/imap.md, one struct a
// command, as the parser hands them to a session. Mailbox names are UTF-8 (modified UTF-7 is
// already decoded), with INBOX in upper case.

// System flags; the bits of posthorn.mailbox.v1.Flags.
inline constexpr std::uint32_t kSeen = 1;
inline constexpr std::uint32_t kAnswered = 2;
inline constexpr std::uint32_t kFlagged = 4;
inline constexpr std::uint32_t kDeleted = 8;
inline constexpr std::uint32_t kDraft = 16;
// Never stored: a session's own.
inline constexpr std::uint32_t kRecent = 32;

struct FlagList {
  std::uint32_t system = 0;
  std::vector<std::string> keywords;  // without duplicates, ignoring case
  friend bool operator==(const FlagList&, const FlagList&) = default;
};

// Commands without arguments.
struct CapabilityCommand {};
struct NoopCommand {};
struct LogoutCommand {};
struct StartTlsCommand {};
struct NamespaceCommand {};
struct CheckCommand {};
struct CloseCommand {};
struct UnselectCommand {};
struct IdleCommand {};
struct UnauthenticateCommand {};  // RFC 8437

// RFC 5161: the names as sent, in upper case. What the server does not know is left alone.
struct EnableCommand {
  std::vector<std::string> capabilities;
};
struct IdCommand {
  std::vector<std::pair<std::string, std::string>> fields;  // NIL values are left out
};
struct LoginCommand {
  std::string user;
  std::string password;
};
struct AuthenticateCommand {
  std::string mechanism;                // upper case
  std::optional<std::string> response;  // SASL-IR: base64 as sent; "=" is empty
};
struct SelectCommand {
  std::string mailbox;
  bool read_only = false;  // EXAMINE
  bool condstore = false;  // RFC 7162
  // What the client knows (QRESYNC). Of its guess which numbers go with which UIDs only that there
  // was one.
  struct Resync {
    std::uint32_t uid_validity = 0;
    std::int64_t modseq = 0;
    std::optional<SequenceSet> known_uids;
    bool match_data = false;
  };
  std::optional<Resync> resync;
};
struct CreateCommand {
  std::string mailbox;
  std::string special_use;         // RFC 6154 section 3: "\\Sent"; empty: none
  bool use_not_supported = false;  // an unknown use, or several
};
struct DeleteCommand {
  std::string mailbox;
};
struct RenameCommand {
  std::string from;
  std::string to;
};
struct SubscribeCommand {
  std::string mailbox;
  bool subscribe = true;
};
enum class StatusItem {
  kMessages,
  kRecent,
  kUidNext,
  kUidValidity,
  kUnseen,
  kSize,
  kAppendLimit,
  kHighestModSeq,
  kMailboxId,       // RFC 8474
  kDeleted,         // RFC 9208
  kDeletedStorage,  // RFC 9208
};
// The options are those of RFC 5258 and RFC 6154. REMOTE selects nothing here, and \HasChildren and
// special uses are returned always: nothing of these is kept.
struct ListCommand {
  bool lsub = false;
  bool extended = false;  // with options or several patterns
  std::string reference;
  std::vector<std::string> patterns;  // UTF-8, with % and *
  bool select_subscribed = false;
  bool select_special_use = false;
  bool recursive_match = false;  // also parents of what is selected but does not match
  bool return_subscribed = false;
  std::vector<StatusItem> return_status;  // RFC 5819; empty: not asked for
};
struct StatusCommand {
  std::string mailbox;
  std::vector<StatusItem> items;
};
// Everything before the message, whose octets the receiver hands out afterwards. For the second
// and later messages of a MULTIAPPEND (RFC 3502) the mailbox is empty. REPLACE (RFC 8508) is an
// APPEND that removes another message.
struct AppendCommand {
  struct Replaced {
    bool uid = false;          // UID REPLACE
    std::uint32_t number = 0;  // sequence number or UID; kStar: the last
  };
  std::string mailbox;
  std::optional<Replaced> replaced;
  bool utf8 = false;  // UTF8 (~{n}) of RFC 6855
  FlagList flags;
  std::optional<absl::Time> received_at;
  std::uint64_t size = 0;
  bool synchronising = true;  // the client waits for a continuation before it sends
};
struct ExpungeCommand {
  std::optional<SequenceSet> uids;  // UID EXPUNGE
};
struct StoreCommand {
  enum class Mode { kSet, kAdd, kRemove };
  bool uid = false;
  SequenceSet set;
  Mode mode = Mode::kSet;
  bool silent = false;
  std::optional<std::int64_t> unchanged_since;  // RFC 7162
  FlagList flags;
};
struct CopyCommand {
  bool uid = false;
  bool move = false;
  SequenceSet set;
  std::string mailbox;
};

// What is between the brackets of BODY[...].
struct Section {
  enum class Text { kAll, kHeader, kHeaderFields, kHeaderFieldsNot, kText, kMime };
  std::vector<std::uint32_t> part;  // 1.2.3; empty: the message itself
  Text text = Text::kAll;
  std::vector<std::string> fields;
};
struct FetchItem {
  enum class Kind {
    kEnvelope,
    kFlags,
    kInternalDate,
    kRfc822,
    kRfc822Header,
    kRfc822Size,
    kRfc822Text,
    kBody,
    kBodyStructure,
    kBodySection,
    kUid,
    kModSeq,      // RFC 7162
    kSaveDate,    // RFC 8514
    kEmailId,     // RFC 8474
    kThreadId,    // RFC 8474
    kPreview,     // RFC 8970
    kBinary,      // RFC 3516: `section` is a part's number
    kBinarySize,  // RFC 3516
  };
  Kind kind = Kind::kFlags;
  bool peek = false;
  bool lazy = false;  // kPreview: only if it is there already
  Section section;
  struct Partial {
    std::uint64_t offset = 0;
    std::uint64_t count = 0;
  };
  std::optional<Partial> partial;
};
// RFC 9394: positions in a list, from 1; from_end: 1 is the last. first <= last.
struct PartialRange {
  bool from_end = false;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};
struct FetchCommand {
  bool uid = false;
  SequenceSet set;
  std::vector<FetchItem> items;
  std::optional<PartialRange> partial;
  std::optional<std::int64_t> changed_since;  // RFC 7162
  bool vanished = false;                      // and expunged since; only with both of these
};

struct SearchKey {
  enum class Kind {
    kAll,
    kAnd,  // children
    kOr,   // two children
    kNot,  // one child
    kSequence,
    kUid,
    kFlag,     // system flag in number; \Recent too
    kKeyword,  // text
    kNew,      // recent and unseen
    kLarger,   // number
    kSmaller,
    kBefore,  // days
    kOn,
    kSince,
    kOlder,  // number: seconds (RFC 5032)
    kYounger,
    kUidAfter,  // number: a UID (RFC 9738)
    kUidBefore,
    kModSeq,       // modseq (RFC 7162)
    kSavedBefore,  // days (RFC 8514)
    kSavedOn,
    kSavedSince,
    kEmailId,  // text (RFC 8474)
    kThreadId,
    kSentBefore,
    kSentOn,
    kSentSince,
    kHeader,  // name, text
    kBody,    // text
    kText,
  };
  SearchKey() = default;
  explicit SearchKey(Kind kind_in) : kind(kind_in) {}

  Kind kind = Kind::kAll;
  std::uint32_t number = 0;
  std::int32_t days = 0;  // since 1970-01-01
  std::int64_t modseq = 0;
  std::string name;
  std::string text;  // UTF-8
  SequenceSet set;
  std::vector<SearchKey> children;
};
// RETURN of RFC 4731: what the answer tells, and whether "$" stands for it afterwards (RFC 5182).
struct SearchReturn {
  bool min = false;
  bool max = false;
  bool all = false;
  bool count = false;
  bool save = false;
  std::optional<PartialRange> partial;
  bool IsAnswered() const { return min || max || all || count || partial; }
};
struct SearchCommand {
  bool uid = false;
  bool charset = false;                 // one was named
  std::optional<SearchReturn> returns;  // none: the answer of RFC 3501
  SearchKey key;                        // kAnd of all keys given
};

// RFC 5256 and RFC 5957.
struct SortKey {
  enum class Kind {
    kArrival,
    kCc,
    kDate,
    kFrom,
    kSize,
    kSubject,
    kTo,
    kDisplayFrom,
    kDisplayTo,
  };
  SortKey() = default;
  SortKey(Kind kind_in, bool reverse_in) : kind(kind_in), reverse(reverse_in) {}
  Kind kind = Kind::kArrival;
  bool reverse = false;
};
struct SortCommand {
  bool uid = false;
  std::vector<SortKey> order;           // the first counts most
  std::optional<SearchReturn> returns;  // ESORT (RFC 5267)
  SearchKey key;
};

// RFC 9208. Only administrators set quotas, and not here: what SETQUOTA asks for is not kept.
struct GetQuotaCommand {
  std::string root;
};
struct GetQuotaRootCommand {
  std::string mailbox;
};
struct SetQuotaCommand {
  std::string root;
};

// RFC 4978.
struct CompressCommand {
  std::string mechanism;  // upper case
};

struct ThreadCommand {
  enum class Algorithm { kReferences, kOrderedSubject };
  bool uid = false;
  Algorithm algorithm = Algorithm::kReferences;
  SearchKey key;
};

using CommandBody =
    std::variant<CapabilityCommand, NoopCommand, LogoutCommand, StartTlsCommand, NamespaceCommand,
                 CheckCommand, CloseCommand, UnselectCommand, IdleCommand, IdCommand, LoginCommand,
                 AuthenticateCommand, SelectCommand, CreateCommand, DeleteCommand, RenameCommand,
                 SubscribeCommand, ListCommand, StatusCommand, AppendCommand, ExpungeCommand,
                 StoreCommand, CopyCommand, FetchCommand, SearchCommand, EnableCommand,
                 UnauthenticateCommand, SortCommand, ThreadCommand, GetQuotaCommand,
                 GetQuotaRootCommand, SetQuotaCommand, CompressCommand>;

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_COMMAND_H_
