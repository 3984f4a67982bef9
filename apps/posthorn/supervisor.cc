#include "apps/posthorn/supervisor.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "lib/telemetry/log.h"

namespace posthorn::app {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaximumBackoff = absl::Seconds(10);
// A component that ran this long was well: its backoff begins again.
constexpr absl::Duration kHealthyRun = absl::Seconds(30);
// Ctrl-C often comes twice at once: from the terminal, and from a script that passes it on.
constexpr absl::Duration kOneRequest = absl::Seconds(2);
// How often readiness is asked for while something starts.
constexpr absl::Duration kStartTick = absl::Milliseconds(20);
constexpr absl::Duration kSteadyTick = absl::Seconds(5);

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, number);
  return set;
}

}  // namespace

struct Supervisor::State {
  explicit State(Component component_in) : component(std::move(component_in)) {}

  bool Running() const { return pid > 0; }
  // Those after it may start.
  bool LetsOthersStart(absl::Time now) const {
    return up || (asked_since.has_value() && now > *asked_since + component.patience);
  }

  const Component component;
  pid_t pid = -1;
  bool up = false;    // ready, or done
  bool done = false;  // `once`, and ended with 0
  absl::Time started = absl::InfinitePast();
  absl::Time not_before = absl::InfinitePast();
  absl::Duration backoff = kFirstBackoff;
  std::optional<absl::Time> asked_since;  // since when it has been trying to come up
};

Supervisor::Supervisor(std::vector<Component> components, ProcessTable table,
                       std::vector<std::string> reloadable)
    : table_(std::move(table)), reloadable_(std::move(reloadable)) {
  for (Component& component : components) {
    states_.push_back(std::make_unique<State>(std::move(component)));
  }
}

Supervisor::~Supervisor() = default;

void Supervisor::BlockSignals() {
  const sigset_t set = HandledSignals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  // A shell starts background jobs with SIGINT ignored, and what is ignored never arrives.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) signal(number, SIG_DFL);
  // A process that is gone must not take this one along.
  signal(SIGPIPE, SIG_IGN);
}

int Supervisor::Run() {
  while (stop_requests_ == 0 && !failed_) {
    const absl::Time now = absl::Now();
    Reap(now);
    StartDue(now);
    const bool all_up = std::all_of(states_.begin(), states_.end(),
                                    [](const auto& state) { return state->up; });
    if (stop_requests_ == 0 && !failed_) WaitForSignal(all_up ? kSteadyTick : kStartTick);
  }
  StopAll();
  return failed_ ? 1 : 0;
}

void Supervisor::StartDue(absl::Time now) {
  for (const std::unique_ptr<State>& state : states_) {
    if (!state->asked_since.has_value()) state->asked_since = now;
    if (!state->Running() && !state->done && now >= state->not_before) Start(*state, now);
    if (state->Running() && !state->up && !state->component.once &&
        (state->component.ready == nullptr || state->component.ready())) {
      state->up = true;
      log::Info("serve", "up", {{"name", state->component.name}, {"pid", state->pid}});
    }
    if (!state->LetsOthersStart(now)) return;
  }
}

void Supervisor::Start(State& state, absl::Time now) {
  state.started = now;
  absl::Status prepared;
  if (state.component.prepare) prepared = state.component.prepare();
  absl::StatusOr<pid_t> pid = prepared.ok() ? StartProgram(state.component.program) : prepared;
  if (!pid.ok()) {
    log::Error("serve", "cannot start",
               {{"name", state.component.name}, {"reason", pid.status()}});
    state.not_before = now + state.backoff;
    state.backoff = std::min(state.backoff * 2, kMaximumBackoff);
    return;
  }
  state.pid = *pid;
  Record();
}

void Supervisor::Reap(absl::Time now) {
  int wait_status = 0;
  while (true) {
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    for (const std::unique_ptr<State>& state : states_) {
      if (state->pid == pid) Ended(*state, wait_status, now);
    }
  }
}

void Supervisor::Ended(State& state, int wait_status, absl::Time now) {
  state.pid = -1;
  Record();
  const bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
  if (state.component.once && clean) {
    state.done = state.up = true;
    return;
  }
  if (stop_requests_ > 0 || failed_) return;
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kExitConfiguration) {
    failed_ = true;
    return;
  }
  if (now - state.started > kHealthyRun) state.backoff = kFirstBackoff;
  state.not_before = now + state.backoff;
  log::Error("serve", "ended; starting it again",
             {{"name", state.component.name},
              {"how", DescribeExit(wait_status)},
              {"after_ms", absl::ToInt64Milliseconds(state.backoff)}});
  state.backoff = std::min(state.backoff * 2, kMaximumBackoff);
  state.up = false;
  state.asked_since = now;
}

void Supervisor::WaitForSignal(absl::Duration limit) {
  const sigset_t set = HandledSignals();
  const timespec timeout = absl::ToTimespec(limit);
  siginfo_t info;
  const int number = sigtimedwait(&set, &info, &timeout);
  if (number == SIGINT || number == SIGTERM) {
    const absl::Time now = absl::Now();
    if (stop_requests_ == 0) {
      stop_requests_ = 1;
      first_stop_request_ = now;
      log::Info("serve", "stopping");
    } else if (now > first_stop_request_ + kOneRequest) {
      ++stop_requests_;
    }
  }
  if (number == SIGHUP) {
    for (const std::unique_ptr<State>& state : states_) {
      const bool wanted = std::find(reloadable_.begin(), reloadable_.end(),
                                    state->component.name) != reloadable_.end();
      if (wanted && state->Running()) kill(state->pid, SIGHUP);
    }
  }
}

void Supervisor::StopAll() {
  for (auto state = states_.rbegin(); state != states_.rend(); ++state) Stop(**state);
  Record();
}

void Supervisor::Stop(State& state) {
  if (!state.Running()) return;
  kill(state.pid, state.component.stop_signal);
  const absl::Time deadline = absl::Now() + state.component.stop_limit;
  bool killed = false;
  while (true) {
    Reap(absl::Now());
    if (!state.Running()) return;
    if (!killed && (stop_requests_ > 1 || absl::Now() > deadline)) {
      log::Warn("serve", "does not stop; killing it", {{"name", state.component.name}});
      kill(state.pid, state.component.kill_signal);
      killed = true;
    } else if (killed && absl::Now() > deadline + absl::Seconds(5)) {
      kill(state.pid, SIGKILL);
    }
    WaitForSignal(absl::Milliseconds(50));
  }
}

void Supervisor::Record() {
  std::vector<ProcessTable::Entry> entries;
  for (const std::unique_ptr<State>& state : states_) {
    if (state->Running()) {
      entries.push_back({state->component.name, state->pid, state->component.stop_signal});
    }
  }
  const absl::Status written = table_.Write(entries);
  if (!written.ok()) log::Warn("serve", "cannot record what runs", {{"reason", written}});
}

}  // namespace posthorn::app
