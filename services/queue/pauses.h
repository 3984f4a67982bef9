#ifndef POSTHORN_SERVICES_QUEUE_PAUSES_H_
#define POSTHORN_SERVICES_QUEUE_PAUSES_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"

namespace posthorn::queue {

// A destination that an operator has paused.
struct Pause {
  std::string pattern;  // a domain, "*.example.net" (all below it) or a site
  absl::Time until;     // InfiniteFuture: until it is taken back
  std::string reason;
};

// The pauses that operators have ordered: in PostgreSQL, since nobody repeats an order when Redis is
// lost. What was read last is kept and goes on counting while PostgreSQL is away. Thread-safe.
class Pauses {
 public:
  Pauses(postgres::Database& database, const Clock& clock)
      : database_(database), clock_(clock) {}

  // The one that keeps mail for `domain` at `site` waiting; nullopt: none.
  std::optional<Pause> Find(std::string_view domain, std::string_view site) const;
  std::vector<Pause> All() const;

  Task<absl::Status> Set(Pause pause);
  // False: there was none.
  Task<absl::StatusOr<bool>> Remove(std::string pattern);
  // Reads what other replicas have changed, and forgets what has ended.
  Task<absl::Status> Load();

 private:
  postgres::Database& database_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  // All guarded by mutex_.
  std::vector<Pause> known_;
  std::uint64_t begun_ = 0;    // loads
  std::uint64_t applied_ = 0;  // the latest begun of those that known_ is from
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_PAUSES_H_
