#ifndef POSTHORN_LIB_SMTP_HEADER_SCAN_H_
#define POSTHORN_LIB_SMTP_HEADER_SCAN_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace posthorn::smtp {

// Looks at a message's header while it arrives, for what accepting it needs: how many hops it has
// behind it, the mailboxes it has been in, and its Message-ID. Holds at most one line of 1,024
// octets, the Message-ID and kMaxDeliveredTo addresses.
class HeaderScan {
 public:
  // More are not kept: each comes with a hop, and those are counted.
  static constexpr std::size_t kMaxDeliveredTo = 200;

  HeaderScan() = default;
  HeaderScan(const HeaderScan&) = delete;
  HeaderScan& operator=(const HeaderScan&) = delete;

  // The message's octets in order, cut anywhere. Cheap once the header has ended.
  void Feed(std::string_view bytes);
  // The message is complete: a last line without CRLF counts.
  void Finish();

  int received_headers() const { return received_; }
  // The first Message-ID field's value, unfolded and trimmed; empty if there is none, or if it is
  // longer than a line may be.
  const std::string& message_id() const { return message_id_; }
  // The values of the Delivered-To fields (RFC 9228), unfolded, trimmed and in lower case.
  const std::vector<std::string>& delivered_to() const { return delivered_to_; }
  // An octet above 127 stands in the header: it needs SMTPUTF8 (RFC 6532).
  bool eight_bit() const { return eight_bit_; }
  bool done() const { return done_; }

 private:
  void EndLine();
  void ContinueValue(std::string_view line);

  std::string line_;         // the beginning of the current line
  bool overlong_ = false;    // the current line goes on beyond line_
  std::string* value_ = nullptr;  // where a fold of the current field goes
  bool message_id_seen_ = false;
  bool done_ = false;
  bool eight_bit_ = false;
  int received_ = 0;
  std::string message_id_;
  std::vector<std::string> delivered_to_;
};

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_HEADER_SCAN_H_
