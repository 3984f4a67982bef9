// login = "LOGIN" SP userid SP password      (both astring)
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseLogin(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> user = in.AString();
  if (!user.ok()) return user.status();
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> password = in.AString();
  if (!password.ok()) return password.status();
  return CommandBody(LoginCommand{*std::move(user), *std::move(password)});
}

}  // namespace posthorn::imap
