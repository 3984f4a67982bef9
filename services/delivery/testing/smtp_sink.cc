#include "services/delivery/testing/smtp_sink.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace posthorn::delivery {

struct SmtpSink::Dialogue {
  std::string input;
  std::string output;
  Message message;
  bool in_data = false;
  std::string chunk_line;  // the BDAT whose octets are awaited; empty: none
  std::size_t chunk_size = 0;
  bool hanging = false;
  bool start_tls = false;
  bool tls_active = false;
};

void SmtpSink::Note(const char* who, const std::string& line) {
  if (!keep_data) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  absl::StrAppend(&transcript_, who, ": ", line, "\n");
}

bool SmtpSink::Say(Dialogue& dialogue, const std::string& line, const std::string& usual) {
  std::optional<std::string> reply = script ? script(line) : std::nullopt;
  if (!reply.has_value()) reply = usual;
  if (reply->empty()) return false;
  if (*reply == "hang") {
    dialogue.hanging = true;
    return true;
  }
  for (const absl::string_view part : absl::StrSplit(*reply, '\n')) {
    Note("S", std::string(part));
    absl::StrAppend(&dialogue.output, part, "\r\n");
  }
  return !absl::StartsWith(*reply, "421");
}

bool SmtpSink::TakeData(Dialogue& dialogue) {
  std::string& input = dialogue.input;
  std::size_t end = 0;
  std::string data;
  if (absl::StartsWith(input, ".\r\n")) {
    end = 3;
  } else {
    const std::size_t at = input.find("\r\n.\r\n");
    if (at == std::string::npos) return true;
    data = input.substr(0, at + 2);
    end = at + 5;
  }
  input.erase(0, end);
  dialogue.in_data = false;
  if (keep_data) {
    if (absl::StartsWith(data, ".")) data.erase(0, 1);
    dialogue.message.data = absl::StrReplaceAll(data, {{"\r\n.", "\r\n"}});
  }
  Note("C", ".");
  return Finish(dialogue, ".");
}

bool SmtpSink::TakeChunk(Dialogue& dialogue) {
  if (dialogue.input.size() < dialogue.chunk_size) return true;
  const std::string line = std::exchange(dialogue.chunk_line, std::string());
  if (keep_data) dialogue.message.data.append(dialogue.input, 0, dialogue.chunk_size);
  dialogue.input.erase(0, dialogue.chunk_size);
  ++dialogue.message.chunks;
  if (dialogue.message.recipients.empty()) return Say(dialogue, line, "503 5.5.1 no recipients");
  if (absl::EndsWith(line, " LAST")) return Finish(dialogue, line);
  const std::size_t before = dialogue.output.size();
  const bool go_on = Say(dialogue, line, "250 2.0.0 ok");
  if (dialogue.output.compare(before, 1, "2") != 0) dialogue.message = Message();
  return go_on;
}

bool SmtpSink::Finish(Dialogue& dialogue, const std::string& line) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++message_count_;
    if (keep_data) messages_.push_back(std::move(dialogue.message));
  }
  dialogue.message = Message();
  return Say(dialogue, line, "250 2.0.0 queued");
}

bool SmtpSink::Answer(Dialogue& dialogue, const std::string& line) {
  Note("C", line);
  std::string usual = "250 2.0.0 ok";
  if (absl::StartsWithIgnoreCase(line, "EHLO")) {
    usual = "250-sink.example";
    std::vector<std::string> offered = extensions;
    if ((tls != nullptr || tls_breaks) && !dialogue.tls_active) offered.push_back("STARTTLS");
    for (const std::string& extension : offered) absl::StrAppend(&usual, "\n250-", extension);
    absl::StrAppend(&usual, "\n250 HELP");
  } else if (absl::StartsWithIgnoreCase(line, "MAIL FROM:")) {
    dialogue.message = Message();
    dialogue.message.reverse_path = line.substr(10);
  } else if (absl::StartsWithIgnoreCase(line, "RCPT TO:")) {
    const std::size_t before = dialogue.output.size();
    const bool go_on = Say(dialogue, line, usual);
    if (dialogue.output.compare(before, 1, "2") == 0) {
      dialogue.message.recipients.push_back(line.substr(8));
    }
    return go_on;
  } else if (absl::EqualsIgnoreCase(line, "DATA")) {
    const bool wanted = !dialogue.message.recipients.empty();
    const std::size_t before = dialogue.output.size();
    const bool go_on = Say(dialogue, line, wanted ? "354 go on" : "554 5.5.1 no valid recipients");
    dialogue.in_data = dialogue.output.compare(before, 3, "354") == 0;
    return go_on;
  } else if (absl::StartsWithIgnoreCase(line, "BDAT ")) {
    dialogue.chunk_line = line;
    dialogue.chunk_size = static_cast<std::size_t>(std::atoi(line.c_str() + 5));
    return true;
  } else if (absl::EqualsIgnoreCase(line, "STARTTLS")) {
    dialogue.start_tls = true;
    usual = "220 2.0.0 go";
  } else if (absl::EqualsIgnoreCase(line, "RSET")) {
    dialogue.message = Message();
  } else if (absl::EqualsIgnoreCase(line, "QUIT")) {
    Say(dialogue, line, "221 2.0.0 bye");
    return false;
  }
  return Say(dialogue, line, usual);
}

Task<void> SmtpSink::Serve(std::unique_ptr<net::Stream> stream) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++connections_;
    max_open_ = std::max(max_open_, ++open_);
  }
  Dialogue dialogue;
  bool go_on = Say(dialogue, "greeting", "220 sink.example ESMTP");
  for (;;) {
    while (go_on && !dialogue.hanging && !dialogue.start_tls) {
      if (dialogue.in_data) {
        go_on = TakeData(dialogue);
        if (dialogue.in_data) break;
        continue;
      }
      if (!dialogue.chunk_line.empty()) {
        go_on = TakeChunk(dialogue);
        if (!dialogue.chunk_line.empty()) break;
        continue;
      }
      const std::size_t end = dialogue.input.find("\r\n");
      if (end == std::string::npos) break;
      const std::string line = dialogue.input.substr(0, end);
      dialogue.input.erase(0, end + 2);
      go_on = Answer(dialogue, line);
    }
    if (!dialogue.output.empty()) {
      std::string output = std::exchange(dialogue.output, std::string());
      const absl::Status written =
          co_await stream->WriteAll(std::move(output), absl::Minutes(1));
      if (!written.ok()) break;
    }
    if (!go_on) break;
    if (dialogue.start_tls) {
      if (tls == nullptr) break;
      const absl::Status started = co_await stream->StartTlsServer(*tls, absl::Minutes(1));
      if (!started.ok()) break;
      dialogue.start_tls = false;
      dialogue.tls_active = true;
      dialogue.input.clear();
    }
    const absl::StatusOr<std::string> bytes = co_await stream->ReadSome(absl::Hours(1));
    if (!bytes.ok() || bytes->empty()) break;
    dialogue.input.append(*bytes);
  }
  stream->Close();
  const std::lock_guard<std::mutex> lock(mutex_);
  --open_;
}

std::vector<SmtpSink::Message> SmtpSink::messages() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return messages_;
}
std::size_t SmtpSink::message_count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return message_count_;
}
int SmtpSink::connections() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return connections_;
}
int SmtpSink::max_open() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return max_open_;
}
std::string SmtpSink::transcript() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return transcript_;
}

}  // namespace posthorn::delivery
