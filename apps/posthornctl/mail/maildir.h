#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_MAILDIR_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_MAILDIR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthorn::ctl {

// System flags as bits, as in posthorn.mailbox.v1.Flags.
inline constexpr std::uint32_t kSeen = 1;
inline constexpr std::uint32_t kAnswered = 2;
inline constexpr std::uint32_t kFlagged = 4;
inline constexpr std::uint32_t kDeleted = 8;
inline constexpr std::uint32_t kDraft = 16;

// Names of folders and files in a Maildir++ (the Maildir of Courier and Dovecot). Pure.

// "a/b.c" is ".a.b&AC4-c": modified UTF-7 (RFC 3501 section 5.1.3), and a period in a name encoded
// too. INBOX is "", the Maildir itself.
std::string FolderOf(std::string_view mailbox);
// nullopt: not the name of a folder.
std::optional<std::string> MailboxOf(std::string_view folder);

// What the name of a message's file says: "unique,S=size,W=size:2,flags".
struct FileName {
  std::string base;  // up to the colon: it stays when flags change
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  std::optional<std::uint64_t> size;          // S: octets of the file
  std::optional<std::uint64_t> virtual_size;  // W: octets with CRLF line ends
};
// `keywords` are those of the folder's dovecot-keywords: index 0 is letter a.
FileName ParseFileName(std::string_view name, const std::vector<std::string>& keywords);

// "DFPRSTab"; `keywords` gains what is not in it yet, up to 26. What does not fit is in
// `left_over`.
std::string FlagLetters(std::uint32_t flags, const std::vector<std::string>& of_message,
                        std::vector<std::string>& keywords, std::vector<std::string>& left_over);

// "0 $Work\n1 blue\n"
std::vector<std::string> ParseKeywords(std::string_view file);
std::string FormatKeywords(const std::vector<std::string>& keywords);

// How mail is ordered: by the number the name begins with, then by the rest.
bool ComesBefore(std::string_view a, std::string_view b);

// Makes CRLF of bare LF, piece by piece.
class CrlfMaker {
 public:
  std::string Feed(std::string_view piece);

 private:
  bool after_cr_ = false;
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_MAILDIR_H_
