#ifndef POSTHORN_LIB_REDIS_LOCKOUTS_H_
#define POSTHORN_LIB_REDIS_LOCKOUTS_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"

namespace posthorn::redis {

class Client;

// After `failures` a subject is locked for `lockout`; each further failure once that is over locks
// it again, for twice as long up to `max_lockout`. Without a failure for `window` all is forgotten.
struct LockoutPolicy {
  std::int64_t failures = 10;
  absl::Duration window = absl::Minutes(15);
  absl::Duration lockout = absl::Minutes(15);
  absl::Duration max_lockout = absl::Hours(24);
};

struct LockoutState {
  std::int64_t failures = 0;
  absl::Duration locked_for = absl::ZeroDuration();  // what is left; zero: not locked
  bool just_locked = false;                          // by this very failure
};

struct Lockout {
  std::string subject;
  LockoutState state;
};

struct LockoutsOptions {
  std::string prefix = "posthorn:lockout:";
  // How many processes count together: without Redis each locks after its part of the failures.
  int replicas = 1;
  std::size_t max_local_subjects = 100000;
};

// Counts failures by subject (whatever the caller wants to lock: an address, an account) and locks
// it, over all replicas. It fails closed: a lock that this process has seen holds when Redis goes away,
// and while Redis is away failures are counted here, with the number divided by `replicas`. Marks remember something good about a subject for a time in the same way.
//
// Thread-safe; calls may be awaited on any executor, which they continue on. Client and clock
// outlive the object, the object its calls. Subjects are short printable text.
class Lockouts {
 public:
  // `client` null: this process only.
  Lockouts(Client* client, const Clock& clock, LockoutsOptions options);

  // The state of each subject, in one round trip, and whether `mark` is set.
  struct View {
    std::vector<LockoutState> states;
    bool marked = false;
  };
  Task<View> Look(std::vector<std::string> subjects, std::string mark);

  // One more failure; while the subject is locked it is not counted.
  Task<LockoutState> Fail(std::string subject, LockoutPolicy policy);
  // Forgets the failures and locks of a subject, here and in Redis. Other processes that have seen
  // the lock learn of it at their next Look, while Redis answers.
  Task<void> Clear(std::string subject);
  Task<void> Mark(std::string mark, absl::Duration time);

  // All subjects that are locked now, in no order; at most `limit`. kUnavailable while Redis is
  // away: then only what this process knows would be there.
  Task<absl::StatusOr<std::vector<Lockout>>> List(std::size_t limit);

 private:
  struct Entry {
    std::int64_t failures = 0;
    int level = 0;
    absl::Time locked_until = absl::InfinitePast();
    absl::Time forget_at = absl::InfinitePast();
  };

  LockoutState LookLocally(const std::string& subject);
  LockoutState FailLocally(const std::string& subject, LockoutPolicy policy);
  // What Redis said of a subject; it is the truth while it answers.
  void Learn(const std::string& subject, const LockoutState& state);
  void MakeRoom();  // with mutex_ held
  std::string KeyOf(const std::string& subject) const;
  std::string MarkKeyOf(const std::string& mark) const;

  Client* const client_;
  const Clock& clock_;
  const LockoutsOptions options_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Entry> local_;       // guarded by mutex_
  absl::flat_hash_map<std::string, absl::Time> marks_;  // until when; guarded by mutex_
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_LOCKOUTS_H_
