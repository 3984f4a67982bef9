#include "apps/posthorn/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/posthorn/files.h"

namespace posthorn::app {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In the new process: the defaults a program expects.
void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) signal(number, SIG_DFL);
}

// In the new process: replaces it, or ends it with 127.
[[noreturn]] void Execute(const Program& program, std::vector<char*>& arguments,
                          std::vector<char*>& environment, pid_t parent) {
  setpgid(0, 0);
  ResetSignals();
  if (program.death_signal != 0) {
    prctl(PR_SET_PDEATHSIG, program.death_signal);
    if (getppid() != parent) _exit(127);  // it died before it could be watched
  }
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);
  if (!program.output_file.empty()) {
    const int output =
        open(program.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (output < 0) _exit(127);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
  }
  if (!program.directory.empty() && chdir(program.directory.c_str()) != 0) _exit(127);
  for (const int fd : program.inherited) fcntl(fd, F_SETFD, 0);
  if (program.executable_fd >= 0) {
    fexecve(program.executable_fd, arguments.data(), environment.data());
  } else {
    execve(arguments[0], arguments.data(), environment.data());
  }
  const std::string text =
      absl::StrCat(program.arguments[0], ": cannot be run: ", strerror(errno), "\n");
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  _exit(127);
}

std::string LastLine(const std::string& output) {
  std::string last;
  for (const absl::string_view line : absl::StrSplit(output, '\n')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(line);
    if (!stripped.empty()) last = std::string(stripped);
  }
  return last;
}

}  // namespace

absl::StatusOr<pid_t> StartProgram(const Program& program) {
  // Everything that allocates happens before the fork.
  std::vector<std::string> argument_strings = program.arguments;
  std::vector<std::string> environment_strings = program.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment_strings.push_back(*entry);
  std::vector<char*> arguments = Pointers(argument_strings);
  std::vector<char*> environment = Pointers(environment_strings);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return ErrnoError("cannot start a process");
  if (child == 0) Execute(program, arguments, environment, parent);
  return child;
}

absl::Status RunToEnd(std::vector<std::string> arguments, const std::string& input) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return ErrnoError("no pipe");
  std::vector<std::string> strings = arguments;
  std::vector<char*> pointers = Pointers(strings);
  const pid_t child = fork();
  if (child < 0) return ErrnoError("cannot start a process");
  if (child == 0) {
    ResetSignals();
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(out[1], STDERR_FILENO);
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  // What we feed is far smaller than a pipe's buffer.
  [[maybe_unused]] const ssize_t fed = write(in[1], input.data(), input.size());
  close(in[1]);
  std::string output;
  char buffer[4096];
  while (true) {
    const ssize_t got = read(out[0], buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    output.append(buffer, static_cast<std::size_t>(got));
  }
  close(out[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && output.empty()) {
    return absl::NotFoundError(absl::StrCat(arguments[0], " cannot be run"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(arguments[0], " ", DescribeExit(status), ": ", LastLine(output)));
}

std::string DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return absl::StrCat("was killed by signal ", number, " (", strsignal(number), ")");
  }
  return absl::StrCat("exited with status ", WEXITSTATUS(wait_status));
}

std::string ProcessIdentity(pid_t pid) {
  static const std::string boot = [] {
    absl::StatusOr<std::string> id = ReadFile("/proc/sys/kernel/random/boot_id");
    return id.ok() ? std::string(absl::StripAsciiWhitespace(*id)) : std::string("unknown");
  }();
  const absl::StatusOr<std::string> stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return "";
  // The name in parentheses may hold anything; starttime is the 20th field after it.
  const std::vector<std::string> fields =
      absl::StrSplit(stat->substr(stat->rfind(')') + 1), ' ', absl::SkipEmpty());
  if (fields.size() < 20 || fields[0] == "Z") return "";
  return absl::StrCat(boot, "/", fields[19]);
}

}  // namespace posthorn::app
