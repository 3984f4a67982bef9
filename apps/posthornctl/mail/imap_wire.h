#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_IMAP_WIRE_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_IMAP_WIRE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

// What an IMAP client needs of a server's responses (RFC 3501 section 7). Pure.
namespace posthorn::ctl {

// A response without its CRLF. Where a literal stood, `text` has kLiteral, and `literals` its
// content in this order; where the literal of BODY[] stood, which is not kept, it has kBody.
struct ImapResponse {
  static constexpr char kLiteral = '\x01';
  static constexpr char kBody = '\x02';
  std::string text;
  std::vector<std::string> literals;
};

// The octets of a literal that a line announces at its end ("{123}", "{123+}"), which is cut off
// it.
std::optional<std::uint64_t> TakeLiteral(std::string& line);
// Whether what comes next in a response is the value of BODY[].
bool ExpectsBody(std::string_view text);

struct ImapList {
  bool selectable = true;
  char delimiter = '/';  // '\0': none
  std::string name;      // as it is on the wire
};
// "* LIST (...) "/" name" or LSUB; nullopt: something else.
std::optional<ImapList> ParseList(const ImapResponse& response, std::string_view verb);
// The mailbox of ours for it: hierarchy by "/", UTF-8.
std::string MailboxOf(const ImapList& list);

struct ImapFetch {
  std::uint32_t uid = 0;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  std::int64_t received_micros = 0;
  bool has_body = false;            // kBody, or `body`
  std::optional<std::string> body;  // where it was a quoted string
};
// nullopt: no FETCH response.
std::optional<ImapFetch> ParseFetch(const ImapResponse& response);

// "* SEARCH 2 3 6"
std::optional<std::vector<std::uint32_t>> ParseSearch(std::string_view text);
// "* OK [UIDVALIDITY 123] ..."
std::optional<std::uint32_t> ParseUidValidity(std::string_view text);
// A quoted string; for what has no CR, LF or NUL.
std::string Quoted(std::string_view text);
// "1:3,7" of ascending numbers.
std::string SetOf(const std::vector<std::uint32_t>& numbers);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_IMAP_WIRE_H_
