#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_PROGRESS_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace posthorn::ctl {

// A line on standard error that says how far a long command is; nothing where that is no terminal.
class Progress {
 public:
  Progress();
  ~Progress();

  // A mailbox begins; `total` messages, 0: unknown.
  void Start(const std::string& mailbox, std::uint64_t total);
  void Advance(std::uint64_t messages, std::uint64_t octets);
  // Takes the line away.
  void Clear();

 private:
  void Draw(bool now);

  const bool enabled_;
  std::string mailbox_;
  std::uint64_t total_ = 0;
  std::uint64_t messages_ = 0;  // of this mailbox
  std::uint64_t octets_ = 0;    // of all
  absl::Time drawn_ = absl::InfinitePast();
  bool shown_ = false;
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_PROGRESS_H_
