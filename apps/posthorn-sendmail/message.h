#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_MESSAGE_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::sendmail {

// Octets that are written once and then read any number of times: in memory up to 128 KiB, beyond
// that in a file without a name.
class Store {
 public:
  static constexpr std::size_t kMemoryOctets = 128 * 1024;
  Store() = default;
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  absl::Status Append(std::string_view bytes);
  std::uint64_t size() const { return size_; }
  // Shorter at the end.
  absl::StatusOr<std::string> Read(std::uint64_t offset, std::size_t length) const;
  // Calls fn with every piece in order, until it fails.
  absl::Status ForEach(const std::function<absl::Status(std::string_view)>& fn) const;

 private:
  std::string memory_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

// What becomes of standard input, piece by piece: lines end in CRLF, whatever ended them, and "From "
// lines of a mailbox file in front are left out. A line with a lone dot ends the message, unless that
// is text.
class InputLines {
 public:
  explicit InputLines(bool dot_is_text) : dot_is_text_(dot_is_text) {}
  // Appends to `out`. False: the message has ended.
  bool Feed(std::string_view bytes, std::string& out);
  void Finish(std::string& out);

 private:
  bool EndLine(std::string& out);

  const bool dot_is_text_;
  std::string line_;       // the beginning of the current one, until it is known not to be special
  bool passing_ = false;   // the rest of the line goes out as it comes
  bool held_cr_ = false;
  bool first_ = true;
  bool done_ = false;
};

// What completes a message, where it lacks it.
struct Author {
  std::string date;        // value of Date
  std::string message_id;  // value, with angle brackets
  std::string from;        // value of From; empty: left to the platform
};

// What a message's header says, and the message as it leaves.
struct Prepared {
  std::vector<std::string> recipients;  // -t: of To, Cc, Bcc, or of Resent-*, where there are any
  bool is_8bit = false;
  Store body;
};

// Writes `input` into `prepared.body`, completed by `author` and without Bcc.
absl::Status Prepare(const Store& input, const Author& author, bool recipients_from_header,
                     Prepared& prepared);

// The addresses of a list as a header or a command line has them, each fit for SMTP; names without a
// domain stay so. kInvalidArgument: one of them is no address.
absl::StatusOr<std::vector<std::string>> Addresses(std::string_view list);

// "Alice Example <alice>": a From whose name is quoted or encoded where it must be.
std::string FromField(const std::string& full_name, const std::string& address);

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_MESSAGE_H_
