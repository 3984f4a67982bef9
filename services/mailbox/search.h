#ifndef POSTHORN_SERVICES_MAILBOX_SEARCH_H_
#define POSTHORN_SERVICES_MAILBOX_SEARCH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

class TextIndex;

// One condition of a search (RFC 3501 section 6.4.4) that needs the message.
struct SearchKey {
  enum class Kind { kHeader, kBody, kText, kSent, kAll, kAny, kNone, kUids };
  enum class Relation { kBefore, kOn, kSince };

  Kind kind = Kind::kAll;
  std::string header_name;
  std::string value;            // kHeader, kBody, kText: UTF-8
  Relation relation = Relation::kOn;
  int days_since_epoch = 0;     // kSent
  std::vector<SearchKey> keys;  // kAll, kAny; kNone has one
  std::vector<UidRange> uids;   // kUids, Normalised

  int Depth() const;
};

// Keys nested deeper answer kLimitExceeded.
inline constexpr int kMaxSearchDepth = 100;

// The UIDs among `uids` (Normalised) whose message matches, ascending. Exact: substrings are
// compared without regard to case, by Unicode. Reads each message in pieces, and its body only
// where a key needs it. With an `index` it reads only messages that may match by that.
Task<absl::StatusOr<std::vector<Uid>>> Search(postgres::BodyStore& bodies, Account account,
                                              MailboxId mailbox, std::vector<UidRange> uids,
                                              SearchKey key, TextIndex* index = nullptr);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_SEARCH_H_
