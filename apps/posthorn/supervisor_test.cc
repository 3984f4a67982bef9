#include "apps/posthorn/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "apps/posthorn/files.h"

namespace posthorn::app {
namespace {

// Runs a supervisor in a child process, over small shell programs that write what happens to them
// into a file.
class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() {
    char name[] = "/tmp/posthorn-supervisor-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~SupervisorTest() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  std::string Path(const std::string& name) const { return absl::StrCat(directory_, "/", name); }
  std::string Note(const std::string& text) const {
    return absl::StrCat("echo ", text, " >> ", Path("events"), "; ");
  }
  std::vector<std::string> Events() const {
    return absl::StrSplit(ReadFile(Path("events")).value_or(""), '\n', absl::SkipEmpty());
  }
  bool WaitForEvents(std::size_t count) const {
    for (int i = 0; i < 1000 && Events().size() < count; ++i) absl::SleepFor(absl::Milliseconds(10));
    return Events().size() >= count;
  }

  Component Shell(const std::string& name, const std::string& script) const {
    Component component;
    component.name = name;
    component.program.arguments = {"/bin/sh", "-c", script};
    component.program.death_signal = SIGTERM;
    return component;
  }
  // Notes its start and its orderly end.
  Component Server(const std::string& name) const {
    return Shell(name, absl::StrCat("trap '", Note("stop-" + name), "exit 0' TERM; ",
                                    Note("start-" + name), "while :; do sleep 0.02; done"));
  }

  pid_t Supervise(std::vector<Component> components) {
    const pid_t child = fork();
    if (child != 0) return child;
    Supervisor::BlockSignals();
    Supervisor supervisor(std::move(components), ProcessTable(Path("processes")), {"b"});
    _exit(supervisor.Run());
  }
  static int Wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
  }

  std::string directory_;
};

TEST_F(SupervisorTest, StartsInOrderAndStopsInReverseOrder) {
  Component first = Server("a");
  first.ready = [this] { return Events().size() >= 1; };
  const pid_t pid = Supervise({first, Server("b")});
  ASSERT_TRUE(WaitForEvents(2));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_THAT(Events(), ::testing::ElementsAre("start-a", "start-b", "stop-b", "stop-a"));
}

TEST_F(SupervisorTest, StartsAgainWhatDies) {
  const pid_t pid = Supervise({Shell("a", Note("run") + "exit 3")});
  ASSERT_TRUE(WaitForEvents(3));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
}

TEST_F(SupervisorTest, RunsAStepOnceAndAgainUntilItSucceeds) {
  Component step = Shell("step", Note("step") + "test $(wc -l < " + Path("events") + ") -ge 2");
  step.once = true;
  const pid_t pid = Supervise({step, Server("b")});
  ASSERT_TRUE(WaitForEvents(3));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_THAT(Events(), ::testing::ElementsAre("step", "step", "start-b", "stop-b"));
}

TEST_F(SupervisorTest, GoesOnWhenPatienceIsOver) {
  Component never = Shell("never", "exit 1");
  never.once = true;
  never.patience = absl::Milliseconds(100);
  const pid_t pid = Supervise({never, Server("b")});
  ASSERT_TRUE(WaitForEvents(1));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
}

TEST_F(SupervisorTest, EndsWhenAStartAgainCannotHelp) {
  const pid_t pid = Supervise({Server("a"), Shell("b", "sleep 0.2; exit 78")});
  EXPECT_EQ(Wait(pid), 1);
  EXPECT_THAT(Events(), ::testing::ElementsAre("start-a", "stop-a"));
}

TEST_F(SupervisorTest, KillsWhatDoesNotStop) {
  Component stubborn = Shell("a", "trap '' TERM; " + Note("start") + "while :; do sleep 1; done");
  stubborn.stop_limit = absl::Milliseconds(200);
  const pid_t pid = Supervise({stubborn});
  ASSERT_TRUE(WaitForEvents(1));
  kill(pid, SIGINT);
  EXPECT_EQ(Wait(pid), 0);
}

TEST_F(SupervisorTest, PassesHangupOn) {
  Component b = Shell("b", absl::StrCat("trap '", Note("reload"), "' HUP; ", Note("start"),
                                        "while :; do sleep 0.02; done"));
  const pid_t pid = Supervise({b});
  ASSERT_TRUE(WaitForEvents(1));
  kill(pid, SIGHUP);
  EXPECT_TRUE(WaitForEvents(2));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_EQ(Events().back(), "reload");
}

TEST_F(SupervisorTest, LeavesNothingRunningWhenKilled) {
  const pid_t pid = Supervise({Server("a")});
  ASSERT_TRUE(WaitForEvents(1));
  kill(pid, SIGKILL);
  Wait(pid);
  EXPECT_TRUE(WaitForEvents(2));
  EXPECT_EQ(Events().back(), "stop-a");
}

TEST_F(SupervisorTest, StopsWhatAnEarlierRunLeftBehind) {
  Program program({"/bin/sh", "-c", "while :; do sleep 1; done"});
  const absl::StatusOr<pid_t> left = StartProgram(program);
  ASSERT_TRUE(left.ok());
  const ProcessTable table(Path("processes"));
  ASSERT_TRUE(table.Write({{"left", *left, SIGTERM}}).ok());
  ASSERT_TRUE(table.StopLeftovers().ok());
  EXPECT_EQ(Wait(*left), 256 + SIGTERM);
}

TEST_F(SupervisorTest, DoesNotTouchAProcessThatOnlyHasThePid) {
  Program program({"/bin/sh", "-c", "while :; do sleep 1; done"});
  const absl::StatusOr<pid_t> other = StartProgram(program);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(WriteFile(Path("processes"), absl::StrCat("left ", *other, " another-boot/12 15\n"),
                        0600).ok());
  ASSERT_TRUE(ProcessTable(Path("processes")).StopLeftovers().ok());
  EXPECT_EQ(kill(*other, 0), 0);
  kill(*other, SIGKILL);
  Wait(*other);
}

}  // namespace
}  // namespace posthorn::app
