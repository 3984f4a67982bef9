#ifndef POSTHORN_SERVICES_MAILBOX_MESSAGE_READER_H_
#define POSTHORN_SERVICES_MAILBOX_MESSAGE_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/postgres/body_store.h"
#include "lib/postgres/database.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

struct FetchItems {
  bool envelope = false;
  bool structure = false;
  bool header = false;
  bool body = false;
  bool saved_at = false;
  bool ids = false;
  bool preview = false;
  bool make_previews = false;  // those that are not there yet, and keep them
};

struct FetchedMessage {
  Uid uid = 0;
  std::uint64_t size = 0;
  absl::Time received_at;
  std::uint32_t prefix_size = 0;
  std::string envelope;
  std::string structure;
  std::string header;
  std::string body;  // all of BODY[] if body_complete, else empty
  bool body_complete = false;
  std::optional<absl::Time> saved_at;  // when it came into this mailbox, if asked for
  std::int64_t email_id = 0;
  std::int64_t thread_id = 0;
  std::optional<std::string> preview;  // none: not made yet
};

// Reads messages of one mailbox in UID order, a batch at a time, so that memory stays bounded
// whatever is asked for. Each batch sees the mailbox as it is then. For one coroutine at a time.
class FetchCursor {
 public:
  // `uids` must be Normalised. `bodies` outlives the cursor.
  FetchCursor(postgres::BodyStore& bodies, Account account, MailboxId mailbox,
              std::vector<UidRange> uids, FetchItems items);

  // From now on the next batch is read while the caller works on the last one, and what a batch has
  // comes in pieces, so that the two take turns on the way to the client. No longer may the cursor go
  // before Stop has returned.
  void ReadAhead() { reads_ahead_ = true; }
  // Waits for what is under way.
  Task<void> Stop();

  // Empty: the end. kNotFound: the account has no such mailbox.
  Task<absl::StatusOr<std::vector<FetchedMessage>>> Next();

 private:
  // A query that a coroutine of its own waits for.
  struct Query {
    std::vector<UidRange> ranges;
    OneShot<absl::StatusOr<postgres::Result>> rows;
  };
  // `query` outlives the task.
  static Task<void> Run(postgres::Database& database, TenantId tenant, std::string sql,
                        postgres::Params params, Query& query);
  void Start();
  // Waits for the query under way and begins with its rows.
  Task<absl::Status> Receive();
  absl::StatusOr<FetchedMessage> MessageOf(int row);
  // The ranges of the next query, and whether it is one that may have many messages.
  std::vector<UidRange> NextRanges(bool& is_large) const;
  void DropUpTo(Uid uid);
  Task<absl::Status> AddHeaderOfLargeBody(std::string sha256, FetchedMessage& message);

  postgres::BodyStore& bodies_;
  const Account account_;
  const MailboxId mailbox_;
  std::vector<UidRange> left_;
  std::size_t position_ = 0;  // of the first range in left_ that is not done
  const FetchItems items_;
  std::unique_ptr<Query> under_way_;
  postgres::Result rows_;
  int row_ = 0;  // the first of rows_ that was not given out
  bool reads_ahead_ = false;
  bool found_any_ = false;
  bool threads_assigned_ = false;
};

// Octets [offset, offset + length) of BODY[] of a message, to `sink` in pieces of at most 256 KiB;
// length 0: to the end. `sink` returns false to stop. kNotFound.
Task<absl::Status> ReadMessage(postgres::BodyStore& bodies, Account account, MailboxId mailbox,
                               Uid uid, std::uint64_t offset, std::uint64_t length,
                               std::function<Task<bool>(std::string)> sink);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MESSAGE_READER_H_
