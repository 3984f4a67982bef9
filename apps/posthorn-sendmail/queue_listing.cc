#include "apps/posthorn-sendmail/queue_listing.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/posthorn-sendmail/connection.h"
#include "lib/base/failure.h"
#include "lib/maildrop/directory.h"
#include "lib/smtp/xtext.h"

namespace posthorn::sendmail {
namespace {

constexpr absl::Duration kAnswer = absl::Minutes(1);
constexpr std::size_t kMaxAnswer = 16 * 1024 * 1024;

absl::Status Malformed() {
  return MakeFailure(Failure::kInvalidArgument, "the platform's answer is not understood");
}

// Takes a word from the front.
std::string_view TakeWord(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

// "<xtext>".
bool TakeAddress(std::string_view& line, std::string& address) {
  const std::string_view word = TakeWord(line);
  if (word.size() < 2 || word.front() != '<' || word.back() != '>') return false;
  std::optional<std::string> decoded = smtp::DecodeXtext(word.substr(1, word.size() - 2));
  if (!decoded.has_value()) return false;
  address = *std::move(decoded);
  return true;
}

template <typename Number>
bool TakeNumber(std::string_view& line, Number& number) {
  const std::string_view word = TakeWord(line);
  return absl::SimpleAtoi(absl::string_view(word.data(), word.size()), &number);
}

// What is printed is one line, whatever somebody put into it.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return text;
}

std::string UserName(uid_t uid) {
  const passwd* const entry = getpwuid(uid);
  return entry != nullptr ? entry->pw_name : absl::StrCat("uid ", uid);
}

// Says a command and reads the lines of the answer; an error if that is no 2yz.
absl::StatusOr<std::vector<std::string>> Ask(Connection& connection, std::string_view command,
                                             std::string& unread) {
  if (!command.empty()) {
    if (absl::Status s = connection.Write(command, kAnswer); !s.ok()) return s;
  }
  std::vector<std::string> lines;
  std::size_t octets = 0;
  for (;;) {
    const std::size_t end = unread.find("\r\n");
    if (end == std::string::npos) {
      const absl::StatusOr<std::string> bytes = connection.Read(kAnswer);
      if (!bytes.ok()) return bytes.status();
      if (bytes->empty()) return absl::UnavailableError("the platform has hung up");
      octets += bytes->size();
      if (octets > kMaxAnswer) return Malformed();
      unread += *bytes;
      continue;
    }
    const std::string line = unread.substr(0, end);
    unread.erase(0, end + 2);
    if (line.size() < 4) return Malformed();
    if (line.front() != '2') return absl::UnavailableError(line);
    std::string_view text = std::string_view(line).substr(4);
    if (text.starts_with("2.0.0 ")) text.remove_prefix(6);
    lines.emplace_back(text);
    if (line[3] == ' ') return lines;
  }
}

absl::Status AskPlatform(const Settings& settings, std::vector<ListedMessage>& messages) {
  absl::StatusOr<Connection> connection = Connection::Open(settings.socket);
  if (!connection.ok()) return connection.status();
  std::string unread;
  for (const std::string_view command : {"", "EHLO localhost\r\n"}) {
    const absl::StatusOr<std::vector<std::string>> answer = Ask(*connection, command, unread);
    if (!answer.ok()) return answer.status();
  }
  for (std::string after;;) {
    const absl::StatusOr<std::vector<std::string>> answer =
        Ask(*connection, absl::StrCat("XQUEUE", after.empty() ? "" : " ", after, "\r\n"), unread);
    if (!answer.ok()) return answer.status();
    absl::StatusOr<QueuePage> page = ParseQueuePage(*answer);
    if (!page.ok()) return page.status();
    for (ListedMessage& message : page->messages) messages.push_back(std::move(message));
    if (!page->more || page->messages.empty()) break;
    after = messages.back().id;
  }
  return connection->Write("QUIT\r\n", kAnswer);
}

// Of others only what can be read.
absl::Status AddMaildrop(const Settings& settings, std::vector<ListedMessage>& messages) {
  const absl::StatusOr<std::vector<maildrop::Entry>> entries = maildrop::List(settings.maildrop);
  if (!entries.ok()) return absl::IsNotFound(entries.status()) ? absl::OkStatus() : entries.status();
  for (const maildrop::Entry& entry : *entries) {
    if (entry.owner != getuid() && getuid() != 0) continue;
    const absl::StatusOr<maildrop::Reader> file =
        maildrop::Reader::Open(settings.maildrop, entry.name);
    if (!file.ok()) continue;
    ListedMessage message;
    message.id = entry.name;
    message.mark = '#';
    message.octets = file->message_octets();
    message.arrival = entry.spooled_at;
    message.sender = file->envelope().reverse_path.value_or(UserName(entry.owner));
    for (const std::string& address : file->envelope().recipients) {
      message.recipients.push_back({address, ""});
    }
    messages.push_back(std::move(message));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QueuePage> ParseQueuePage(const std::vector<std::string>& lines) {
  QueuePage page;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    const std::string_view kind = TakeWord(line);
    if (i + 1 == lines.size()) {
      page.more = kind == "MORE";
      if (!page.more && kind != "END") return Malformed();
      return page;
    }
    if (kind == "MESSAGE") {
      ListedMessage message;
      message.id = TakeWord(line);
      std::int64_t seconds = 0;
      if (message.id.empty() || !TakeNumber(line, message.octets) || !TakeNumber(line, seconds) ||
          !TakeAddress(line, message.sender)) {
        return Malformed();
      }
      message.arrival = absl::FromUnixSeconds(seconds);
      page.messages.push_back(std::move(message));
    } else if (page.messages.empty()) {
      return Malformed();
    } else if (kind == "RECIPIENT") {
      ListedMessage& message = page.messages.back();
      const std::string_view state = TakeWord(line);
      TakeWord(line);  // the next attempt
      ListedMessage::Recipient recipient;
      if (!TakeAddress(line, recipient.address)) return Malformed();
      recipient.reply = line;
      message.recipients.push_back(std::move(recipient));
      if (state == "leased") message.mark = '*';
      if (state == "held" && message.mark == ' ') message.mark = '!';
    } else if (kind == "RECIPIENTS") {
      if (!TakeNumber(line, page.messages.back().more_recipients)) return Malformed();
    }
    // Other kinds are a newer platform's.
  }
  return Malformed();
}

std::string FormatListing(const std::vector<ListedMessage>& messages, absl::TimeZone zone) {
  if (messages.empty()) return "Mail queue is empty\n";
  std::string out = absl::StrFormat("%-37s %8s %s\n", "-Queue ID-", "--Size--",
                                    "----Arrival Time---- -Sender/Recipient-------");
  std::uint64_t octets = 0;
  const std::string indent(68, ' ');
  for (const ListedMessage& message : messages) {
    octets += message.octets;
    absl::StrAppendFormat(&out, "%-37s %8d %s  %s\n", message.id + std::string(1, message.mark),
                          message.octets,
                          absl::FormatTime("%a %b %e %H:%M:%S", message.arrival, zone),
                          message.sender.empty() ? "MAILER-DAEMON" : Printable(message.sender));
    std::string reply;
    for (const ListedMessage::Recipient& recipient : message.recipients) {
      if (recipient.reply != reply && !recipient.reply.empty()) {
        absl::StrAppendFormat(&out, "%67s\n", "(" + Printable(recipient.reply) + ")");
      }
      reply = recipient.reply;
      absl::StrAppend(&out, indent, Printable(recipient.address), "\n");
    }
    if (message.more_recipients > 0) {
      absl::StrAppend(&out, indent, "and ", message.more_recipients, " more\n");
    }
    out += '\n';
  }
  absl::StrAppendFormat(&out, "-- %d Kbytes in %d Request%s.\n", (octets + 1023) / 1024,
                        messages.size(), messages.size() == 1 ? "" : "s");
  return out;
}

ExitCode ShowQueue(const Settings& settings) {
  std::vector<ListedMessage> messages;
  if (const absl::Status s = AskPlatform(settings, messages); !s.ok()) {
    std::cerr << "posthorn-sendmail: " << std::string(s.message())
              << "; only what waits on this machine is shown\n";
  }
  if (const absl::Status s = AddMaildrop(settings, messages); !s.ok()) {
    std::cerr << "posthorn-sendmail: " << std::string(s.message()) << "\n";
  }
  std::cout << FormatListing(messages, absl::LocalTimeZone()) << std::flush;
  return std::cout.good() ? kOk : kUnavailable;
}

}  // namespace posthorn::sendmail
