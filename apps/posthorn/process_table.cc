#include "apps/posthorn/process_table.h"

#include <signal.h>
#include <time.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/process.h"
#include "lib/telemetry/log.h"

namespace posthorn::app {
namespace {

constexpr absl::Duration kPolite = absl::Seconds(10);
constexpr absl::Duration kLimit = absl::Seconds(20);

struct Leftover {
  std::string name;
  pid_t pid;
  std::string identity;
  int stop_signal;

  bool Runs() const { return ProcessIdentity(pid) == identity; }
};

std::vector<Leftover> Parse(const std::string& content) {
  std::vector<Leftover> found;
  const std::vector<std::string> lines = absl::StrSplit(content, '\n', absl::SkipEmpty());
  for (const std::string& line : lines) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    Leftover leftover;
    if (fields.size() != 4 || !absl::SimpleAtoi(fields[1], &leftover.pid) ||
        !absl::SimpleAtoi(fields[3], &leftover.stop_signal) || leftover.pid <= 1) {
      continue;
    }
    leftover.name = fields[0];
    leftover.identity = fields[2];
    if (leftover.Runs()) found.push_back(leftover);
  }
  return found;
}

}  // namespace

absl::Status ProcessTable::Write(const std::vector<Entry>& entries) const {
  std::string content;
  for (const Entry& entry : entries) {
    const std::string identity = ProcessIdentity(entry.pid);
    if (identity.empty()) continue;
    absl::StrAppend(&content, entry.name, " ", entry.pid, " ", identity, " ", entry.stop_signal,
                    "\n");
  }
  return WriteFile(file_, content, 0600);
}

absl::Status ProcessTable::StopLeftovers() const {
  const absl::StatusOr<std::string> content = ReadFile(file_);
  if (!content.ok()) return absl::OkStatus();  // a first start
  const std::vector<Leftover> leftovers = Parse(*content);
  for (const Leftover& leftover : leftovers) {
    log::Warn("serve", "stopping what an earlier run left behind",
              {{"name", leftover.name}, {"pid", leftover.pid}});
    kill(leftover.pid, leftover.stop_signal);
  }
  const absl::Time start = absl::Now();
  for (const Leftover& leftover : leftovers) {
    bool killed = false;
    while (leftover.Runs()) {
      const absl::Duration waited = absl::Now() - start;
      if (waited > kPolite && !killed) {
        kill(leftover.pid, SIGKILL);
        killed = true;
      }
      if (waited > kLimit) {
        return absl::FailedPreconditionError(
            absl::StrCat("an earlier run's process ", leftover.pid, " (", leftover.name,
                         ") cannot be stopped"));
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  return absl::OkStatus();
}

}  // namespace posthorn::app
