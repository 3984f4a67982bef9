#ifndef POSTHORN_APPS_POSTHORN_SIGNALS_H_
#define POSTHORN_APPS_POSTHORN_SIGNALS_H_

#include <functional>

namespace posthorn::app {

// Blocks SIGINT, SIGTERM and SIGHUP in this thread and all it starts from now on.
void BlockStopSignals();

// Waits for SIGINT or SIGTERM; calls `reload` for every SIGHUP meanwhile. A second SIGINT or
// SIGTERM, after this has returned, ends the process at once.
void WaitForStop(const std::function<void()>& reload);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_SIGNALS_H_
