#ifndef POSTHORN_LIB_POSTGRES_WRITE_GROUP_H_
#define POSTHORN_LIB_POSTGRES_WRITE_GROUP_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/postgres/connection.h"
#include "lib/postgres/status.h"

namespace posthorn::postgres {

struct WriteGroupOptions {
  ConnectionOptions connection;
  // Connections (and threads) that commit groups; two keep one group in preparation while the
  // other waits for the disk.
  int connections = 2;
  std::size_t max_group = 64;
  // How long submissions are collected while another group commits.
  absl::Duration max_wait = absl::Milliseconds(2);
  // From the start of a group to that of the next, at least: where nobody waits for the commit, larger
  // groups cost less. Zero: the next starts at once.
  absl::Duration pace = absl::ZeroDuration();
  // Rows that stay busy this long answer kConflict.
  absl::Duration busy_timeout = absl::Seconds(5);
  std::size_t max_waiting = 20000;
  // What `commit` does is idempotent: after a connection lost in COMMIT the group is run again on a
  // new one. Without it such rows answer with a status that IsInDoubt.
  bool idempotent = false;
};

namespace internal {

// The part of a write group that knows no types. Thread-safe.
class GroupCore {
 public:
  // One submission. The core calls back exactly once, from one of its threads.
  class Item {
   public:
    virtual ~Item() = default;
    virtual void Fail(absl::Status status) = 0;

   private:
    friend class GroupCore;
    absl::Time first_tried_ = absl::InfinitePast();
  };
  // Runs `items` as one transaction. OK: every item was answered, except those for which `busy` was
  // set. An error: nothing was committed (or, if in doubt, it is unknown) and nobody answered.
  using Commit = std::function<absl::Status(Connection&, absl::Span<Item* const> items,
                                            std::vector<bool>& busy)>;

  GroupCore(WriteGroupOptions options, Commit commit);
  ~GroupCore();
  void Submit(std::unique_ptr<Item> item);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace internal

// Collects submissions while the previous group commits and runs one function per group on a
// dedicated connection, so that many writes share a round trip and a disk flush. On an SQL error
// each row of the group runs alone, so that one bad row fails by itself. Thread-safe; destroy it
// only when nobody awaits a Submit.
template <typename Request, typename Response>
class WriteGroup {
 public:
  // Runs one group as one transaction: commits and returns one result a request, in their order. An
  // element that is nullopt was busy and goes to the next group; its own error is a value. May be
  // called again for the same requests after it returned an error.
  using Commit = std::function<absl::StatusOr<std::vector<std::optional<absl::StatusOr<Response>>>>(
      Connection&, absl::Span<Request* const>)>;

  WriteGroup(WriteGroupOptions options, Commit commit)
      : core_(std::move(options),
              [commit = std::move(commit)](Connection& connection,
                                           absl::Span<internal::GroupCore::Item* const> items,
                                           std::vector<bool>& busy) -> absl::Status {
                std::vector<Request*> requests;
                requests.reserve(items.size());
                for (internal::GroupCore::Item* item : items) {
                  requests.push_back(&static_cast<Submission*>(item)->request);
                }
                auto results = commit(connection, requests);
                if (!results.ok()) return results.status();
                for (std::size_t i = 0; i < items.size(); ++i) {
                  if (i >= results->size() || !(*results)[i].has_value()) {
                    busy[i] = true;
                  } else {
                    static_cast<Submission*>(items[i])->done->Set(*std::move((*results)[i]));
                  }
                }
                return absl::OkStatus();
              }) {}

  Task<absl::StatusOr<Response>> Submit(Request request) {
    OneShot<absl::StatusOr<Response>> done;
    auto submission = std::make_unique<Submission>(std::move(request), &done);
    core_.Submit(std::move(submission));
    co_return co_await done;
  }

 private:
  struct Submission final : internal::GroupCore::Item {
    Submission(Request request_in, OneShot<absl::StatusOr<Response>>* done_in)
        : request(std::move(request_in)), done(done_in) {}
    void Fail(absl::Status status) override { done->Set(std::move(status)); }
    Request request;
    OneShot<absl::StatusOr<Response>>* done;
  };

  internal::GroupCore core_;
};

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_WRITE_GROUP_H_
