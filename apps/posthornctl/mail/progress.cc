#include "apps/posthornctl/mail/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "apps/posthornctl/output.h"

namespace posthorn::ctl {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr std::size_t kBar = 24;

}  // namespace

Progress::Progress() : enabled_(isatty(STDERR_FILENO) == 1) {}
Progress::~Progress() { Clear(); }

void Progress::Start(const std::string& mailbox, std::uint64_t total) {
  mailbox_ = mailbox;
  total_ = total;
  messages_ = 0;
  Draw(true);
}

void Progress::Advance(std::uint64_t messages, std::uint64_t octets) {
  messages_ += messages;
  octets_ += octets;
  Draw(messages_ >= total_);
}

void Progress::Draw(bool now) {
  if (!enabled_) return;
  const absl::Time time = absl::Now();
  if (!now && time - drawn_ < kInterval) return;
  drawn_ = time;
  shown_ = true;
  std::string line = absl::StrCat("\r\x1b[K", mailbox_, "  ");
  if (total_ > 0) {
    const std::size_t done = std::min<std::uint64_t>(messages_ * kBar / total_, kBar);
    absl::StrAppend(&line, "[", std::string(done, '#'), std::string(kBar - done, '.'), "] ",
                    messages_, "/", total_);
  } else {
    absl::StrAppend(&line, messages_);
  }
  absl::StrAppend(&line, " messages, ", FormatOctets(octets_));
  std::cerr << line << std::flush;
}

void Progress::Clear() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace posthorn::ctl
