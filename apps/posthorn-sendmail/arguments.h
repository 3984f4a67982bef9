#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_ARGUMENTS_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_ARGUMENTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::sendmail {

enum class Mode {
  kSubmit,      // -bm: a message from standard input
  kDialogue,    // -bs: SMTP on standard input and output
  kShowQueue,   // -bp, mailq
  kDoNothing,   // newaliases, -bi, -I, -q: the platform does this by itself
};

// What the command line asks for.
struct Options {
  Mode mode = Mode::kSubmit;
  std::vector<std::string> recipients;  // as given: each may be a list of addresses
  bool recipients_from_header = false;  // -t
  bool dot_is_text = false;             // -i, -oi
  std::optional<std::string> sender;    // -f, -r; "" and "<>": null
  std::string full_name;                // -F
  std::string notify;                   // -N, as SMTP writes it; empty: not said
  std::string ret;                      // -R: "FULL", "HDRS"
  std::string envelope_id;              // -V
  std::string verp_delimiters;          // -XV: a reverse-path for each recipient; empty: no
  bool verbose = false;                 // -v
};

// Reads arguments as Postfix's sendmail(1) does; `arguments` begins with the program's name, whose
// last part may be "mailq" or "newaliases". Options that have no meaning here are taken and ignored.
// The error is a usage error in one line.
absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments);

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_ARGUMENTS_H_
