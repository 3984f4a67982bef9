#include <iostream>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "apps/posthornctl/command_line.h"
#include "apps/posthornctl/session.h"

namespace {

constexpr int kRefused = 1;
constexpr int kNoAnswer = 3;

int Fail(const std::string& what, const absl::Status& status) {
  // One line, whatever the server said.
  std::string text(status.message());
  absl::StrReplaceAll({{"\r", ""}, {"\n", " "}}, &text);
  std::cerr << "posthornctl: " << what << ": " << text << "\n";
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ? kNoAnswer : kRefused;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_status = 0;
  const std::optional<posthorn::ctl::Invocation> invocation =
      posthorn::ctl::ParseCommandLine(argc, argv, exit_status);
  if (!invocation.has_value()) return exit_status;
  const absl::StatusOr<std::unique_ptr<posthorn::ctl::Session>> session =
      posthorn::ctl::Session::Open(invocation->options);
  if (!session.ok()) return Fail(invocation->what, session.status());
  const absl::Status done = invocation->action(**session);
  return done.ok() ? 0 : Fail(invocation->what, done);
}
