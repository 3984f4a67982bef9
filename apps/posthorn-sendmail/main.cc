// posthorn-sendmail: sendmail(1) for the users and programs of a machine that runs Posthorn. Not
// set-uid: who calls it is seen by the kernel, which tells the platform. docs/operations/sendmail.md.
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "apps/posthorn-sendmail/arguments.h"
#include "apps/posthorn-sendmail/connection.h"
#include "apps/posthorn-sendmail/message.h"
#include "apps/posthorn-sendmail/queue_listing.h"
#include "apps/posthorn-sendmail/settings.h"
#include "apps/posthorn-sendmail/submit.h"
#include "lib/base/ids.h"
#include "lib/smtp/address.h"

extern char** environ;

namespace posthorn::sendmail {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

ExitCode Fail(ExitCode code, std::string_view text) {
  std::cerr << "posthorn-sendmail: " << text << "\n";
  return code;
}

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return environment;
}

struct Caller {
  std::string name;
  std::string full_name;
};

Caller WhoCalls() {
  Caller caller;
  const passwd* const entry = getpwuid(getuid());
  if (entry == nullptr) {
    caller.name = absl::StrCat("uid ", getuid());
    return caller;
  }
  caller.name = entry->pw_name;
  // The first field of GECOS; & stands for the name.
  for (const char c : std::string(entry->pw_gecos == nullptr ? "" : entry->pw_gecos)) {
    if (c == ',') break;
    if (c == '&') {
      caller.full_name += caller.name;
    } else {
      caller.full_name += c;
    }
  }
  return caller;
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

absl::Status ReadInput(bool dot_is_text, Store& input) {
  InputLines lines(dot_is_text);
  std::vector<char> buffer(kPiece);
  std::string out;
  for (bool more = true; more;) {
    const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::UnavailableError(absl::StrCat("standard input: ", std::strerror(errno)));
    out.clear();
    if (got == 0) lines.Finish(out);
    more = got > 0 &&
           lines.Feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)), out);
    if (absl::Status s = input.Append(out); !s.ok()) return s;
  }
  return absl::OkStatus();
}

ExitCode SubmitMessage(const Options& options, const Settings& settings) {
  const Caller caller = WhoCalls();
  const std::string own_name = smtp::Mailbox(caller.name, "").ToString();
  maildrop::Envelope envelope;
  if (options.sender.has_value() && !options.sender->empty()) {
    const absl::StatusOr<std::vector<std::string>> sender = Addresses(*options.sender);
    if (!sender.ok() || sender->size() != 1) {
      return Fail(kDataError, absl::StrCat("-f ", *options.sender, ": is no address"));
    }
    envelope.reverse_path = sender->front();
  } else if (options.sender.has_value()) {
    envelope.reverse_path = "";
  }
  std::vector<std::string> recipients;
  for (const std::string& argument : options.recipients) {
    const absl::StatusOr<std::vector<std::string>> addresses = Addresses(argument);
    if (!addresses.ok()) return Fail(kDataError, std::string(addresses.status().message()));
    recipients.insert(recipients.end(), addresses->begin(), addresses->end());
  }

  Store input;
  if (absl::Status s = ReadInput(options.dot_is_text, input); !s.ok()) {
    return Fail(kTryAgain, std::string(s.message()));
  }
  const absl::Time now = absl::Now();
  Author author;
  author.date = absl::FormatTime("%a, %d %b %Y %H:%M:%S %z", now, absl::LocalTimeZone());
  // By which the platform knows it again, should its answer be lost.
  author.message_id = absl::StrCat("<", MessageId::Generate(now).ToString(), "@", HostName(), ">");
  const std::string from = envelope.reverse_path.value_or(own_name);
  if (!from.empty()) {
    author.from =
        FromField(options.full_name.empty() ? caller.full_name : options.full_name, from);
  }
  Prepared prepared;
  if (absl::Status s = Prepare(input, author, options.recipients_from_header, prepared); !s.ok()) {
    return Fail(absl::IsInvalidArgument(s) ? kDataError : kTryAgain, std::string(s.message()));
  }
  recipients.insert(recipients.end(), prepared.recipients.begin(), prepared.recipients.end());
  if (recipients.empty()) return Fail(kDataError, "the message names no recipients");

  envelope.envelope_id = options.envelope_id;
  envelope.ret = options.ret;
  envelope.notify = options.notify;
  envelope.verp_delimiters = options.verp_delimiters;
  envelope.body_is_8bit = prepared.is_8bit;
  ExitCode result = kOk;
  for (std::size_t begin = 0; begin < recipients.size(); begin += maildrop::kMaxRecipients) {
    const std::size_t end = std::min(begin + maildrop::kMaxRecipients, recipients.size());
    envelope.recipients.assign(recipients.begin() + static_cast<std::ptrdiff_t>(begin),
                               recipients.begin() + static_cast<std::ptrdiff_t>(end));
    const ExitCode code = Submit(envelope, own_name, prepared.body, settings, options.verbose);
    if (result == kOk) result = code;
  }
  return result;
}

ExitCode Dialogue(const Settings& settings) {
  absl::StatusOr<Connection> connection = Connection::Open(settings.socket);
  if (!connection.ok()) {
    std::cout << "421 4.3.2 The platform is away\r\n" << std::flush;
    return Fail(kTryAgain, std::string(connection.status().message()));
  }
  const absl::Status status = connection->Relay(STDIN_FILENO, STDOUT_FILENO);
  return status.ok() ? kOk : Fail(kTryAgain, std::string(status.message()));
}

ExitCode Main(const std::vector<std::string>& arguments) {
  signal(SIGPIPE, SIG_IGN);
  const absl::StatusOr<Options> options = ParseArguments(arguments);
  if (!options.ok()) return Fail(kUsage, std::string(options.status().message()));
  if (options->mode == Mode::kDoNothing) return kOk;
  const absl::StatusOr<Settings> settings = LoadSettings(kSettingsFile, Environment());
  if (!settings.ok()) return Fail(kConfiguration, std::string(settings.status().message()));
  switch (options->mode) {
    case Mode::kSubmit: return SubmitMessage(*options, *settings);
    case Mode::kDialogue: return Dialogue(*settings);
    case Mode::kShowQueue: return ShowQueue(*settings);
    case Mode::kDoNothing: break;
  }
  return kOk;
}

}  // namespace
}  // namespace posthorn::sendmail

int main(int argc, char** argv) {
  return posthorn::sendmail::Main(std::vector<std::string>(argv, argv + argc));
}
