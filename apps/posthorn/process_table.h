#ifndef POSTHORN_APPS_POSTHORN_PROCESS_TABLE_H_
#define POSTHORN_APPS_POSTHORN_PROCESS_TABLE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace posthorn::app {

// A file that says what runs for a data directory, so that a start after a kill -9 finds what that
// left behind: a line with name, pid, identity and stop signal for each process.
class ProcessTable {
 public:
  struct Entry {
    std::string name;
    pid_t pid = 0;
    int stop_signal = 0;
  };

  explicit ProcessTable(std::string file) : file_(std::move(file)) {}

  absl::Status Write(const std::vector<Entry>& entries) const;

  // Stops what the file names and still runs, and waits until it is gone: first the stop signal,
  // after some seconds SIGKILL. Never touches a process that only has the same pid.
  absl::Status StopLeftovers() const;

 private:
  const std::string file_;
};

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_PROCESS_TABLE_H_
