#ifndef POSTHORN_SERVICES_GATEWAY_MAILDROP_PICKUP_H_
#define POSTHORN_SERVICES_GATEWAY_MAILDROP_PICKUP_H_

#include <map>
#include <memory>
#include <mutex>
#include <condition_variable>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/maildrop/directory.h"
#include "lib/net/staged_body.h"
#include "lib/smtp/client/session.h"
#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

struct PickupOptions {
  std::string directory;          // the maildrop
  std::string refused_directory;  // for what can be neither accepted nor returned; made when needed
  std::string hostname;           // in notifications
  absl::Duration interval = absl::Seconds(1);  // between two looks
  // After a temporary refusal a message waits so long, twice as long each further time.
  absl::Duration first_wait = absl::Seconds(2);
  absl::Duration longest_wait = absl::Minutes(5);
  // A recipient that is refused for now holds the others up so long.
  absl::Duration mixed_patience = absl::Hours(1);
  absl::Duration give_up = absl::Hours(24 * 5);
};

// What the parts of a pickup are. All of it outlives the pickup.
struct PickupDependencies {
  SmtpServer* server = nullptr;
  const SmtpListenerOptions* listener = nullptr;  // of the role kLocal
  Directory* directory = nullptr;
  MessageAcceptor* acceptor = nullptr;
  net::StagingArea* staging = nullptr;
  const Clock* clock = nullptr;
};

// Hands mail from the maildrop to the SMTP server, in the name of the user who owns the file: the same
// rules hold as for who comes in person. A file goes when its message is accepted or returned to its
// sender, or, where there is nobody to return it to, into refused_directory. When the process dies in
// between, the message is recognised the next time (resend key), and is not stored twice.
//
// Start and Stop once each; everything else happens on the executor. Stop may be called from
// another thread, and returns when no file is being worked on, or after `limit`.
class Pickup : public std::enable_shared_from_this<Pickup> {
 public:
  Pickup(Executor& executor, PickupDependencies dependencies, PickupOptions options);
  void Start();
  void Stop(absl::Duration limit);

  // One look at the directory; true if a message was taken. For tests, and the coroutine itself.
  Task<bool> RunOnce();

 private:
  enum class Result { kDone, kRetry, kGone };
  struct Waiting {
    absl::Time next;
    absl::Duration wait;
  };
  using Outcomes = std::vector<smtp::client::RecipientOutcome>;

  static Task<void> Run(std::shared_ptr<Pickup> self);
  Task<Result> Take(std::string name);
  // What the server said to each recipient. An error: it could not be asked.
  Task<absl::StatusOr<Outcomes>> HandOver(const maildrop::Reader& file, LocalUser user,
                                          bool patient);
  // OK: the sender is told, or does not want to know.
  Task<absl::Status> Return(const maildrop::Reader& file, const LocalUser& user,
                            const Outcomes& outcomes);
  void Remove(const std::string& name) const;
  void PutAside(const std::string& name, const absl::Status& why) const;
  bool stopping() const;

  Executor& executor_;
  const PickupDependencies deps_;
  const PickupOptions options_;
  std::map<std::string, Waiting> waiting_;  // refused for now, by name
  absl::Time cleaned_at_ = absl::InfinitePast();
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
};

// Everybody in turn: the oldest of each owner, then the second of each.
std::vector<maildrop::Entry> InTurns(std::vector<maildrop::Entry> entries);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_MAILDROP_PICKUP_H_
