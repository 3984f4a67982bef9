#ifndef POSTHORN_APPS_POSTHORN_PROCESS_H_
#define POSTHORN_APPS_POSTHORN_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Starting other programs from a process without threads.
namespace posthorn::app {

struct Program {
  Program() = default;
  explicit Program(std::vector<std::string> arguments_in) : arguments(std::move(arguments_in)) {}
  std::vector<std::string> arguments;  // the first is the path, unless `executable_fd` is given
  int executable_fd = -1;              // runs this open file instead
  std::vector<int> inherited;          // descriptors to leave open
  std::string output_file;             // standard output and error are appended; empty: as ours
  std::string directory;               // to run in; empty: ours
  std::vector<std::string> environment;  // "NAME=value", added to ours
  int death_signal = 0;                // what it gets when this process dies; 0: nothing
};

// Starts a program in a process group of its own (so that Ctrl-C on a terminal reaches only us),
// without blocked signals and with /dev/null as its input.
absl::StatusOr<pid_t> StartProgram(const Program& program);

// Runs a program to its end. An error, with the last line of its output, unless its status is 0.
// `input` becomes its standard input.
absl::Status RunToEnd(std::vector<std::string> arguments, const std::string& input = {});

// "exited with status 1", "was killed by signal 9 (Killed)".
std::string DescribeExit(int wait_status);

// When the process was started, in ticks since the system's start, and the system's start's id:
// together with the pid this names a process for good. Empty if there is none.
std::string ProcessIdentity(pid_t pid);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_PROCESS_H_
