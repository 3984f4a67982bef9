#ifndef POSTHORN_APPS_POSTHORN_SUPERVISOR_H_
#define POSTHORN_APPS_POSTHORN_SUPERVISOR_H_

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "apps/posthorn/process.h"
#include "apps/posthorn/process_table.h"

namespace posthorn::app {

// One process that serve looks after.
struct Component {
  std::string name;
  Program program;
  // Called before each start; an error counts as a start that failed.
  std::function<absl::Status()> prepare;
  // Whether it answers; called often while it starts. Empty: as soon as it runs.
  std::function<bool()> ready;
  // How long the components after it wait for it, at most.
  absl::Duration patience = absl::Seconds(30);
  // Runs to its end with status 0, then is done.
  bool once = false;
  // Ends by itself in order after this signal, and at once after the second.
  int stop_signal = SIGTERM;
  int kill_signal = SIGKILL;
  absl::Duration stop_limit = absl::Seconds(15);
};

// Exit status of a component whose start again cannot help (sysexits.h EX_CONFIG): it has said why.
inline constexpr int kExitConfiguration = 78;
// Exit status of a component that should be tried again (EX_TEMPFAIL).
inline constexpr int kExitTryAgain = 75;

// Starts components in order, each when the one before is ready (or its patience is over), starts
// again with backoff what dies, and stops all in reverse order on SIGINT and SIGTERM; a later such
// signal makes it short. SIGHUP goes on to the components named. For a process without threads.
class Supervisor {
 public:
  // `table` records what runs, for a start after a crash of this process.
  Supervisor(std::vector<Component> components, ProcessTable table,
             std::vector<std::string> reloadable);
  ~Supervisor();

  // Blocks the signals it handles; before anything is started that should not get them.
  static void BlockSignals();

  // Until stopped. 0 after a signal; 1 if a component ended with kExitConfiguration.
  int Run();

 private:
  struct State;

  void StartDue(absl::Time now);
  void Start(State& state, absl::Time now);
  void Reap(absl::Time now);
  void Ended(State& state, int wait_status, absl::Time now);
  void WaitForSignal(absl::Duration limit);
  void StopAll();
  void Stop(State& state);
  void Record();

  std::vector<std::unique_ptr<State>> states_;
  ProcessTable table_;
  const std::vector<std::string> reloadable_;
  int stop_requests_ = 0;
  absl::Time first_stop_request_ = absl::InfinitePast();
  bool failed_ = false;
};

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_SUPERVISOR_H_
