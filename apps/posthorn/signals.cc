#include "apps/posthorn/signals.h"

#include <signal.h>

namespace posthorn::app {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A shell starts background jobs with SIGINT ignored, and what is ignored never arrives.
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
}

void WaitForStop(const std::function<void()>& reload) {
  const sigset_t set = StopSignals();
  while (true) {
    int number = 0;
    if (sigwait(&set, &number) != 0) continue;
    if (number != SIGHUP) break;
    reload();
  }
  sigset_t second = set;
  sigdelset(&second, SIGHUP);
  pthread_sigmask(SIG_UNBLOCK, &second, nullptr);
}

}  // namespace posthorn::app
