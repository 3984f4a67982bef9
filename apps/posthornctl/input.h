#ifndef POSTHORN_APPS_POSTHORNCTL_INPUT_H_
#define POSTHORN_APPS_POSTHORNCTL_INPUT_H_

#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace posthorn::ctl {

// A password from standard input: its first line; on a terminal asked for without echo, a new one
// `twice`.
absl::StatusOr<std::string> ReadPassword(const std::string& what, bool twice = true);

// "2024-05-01", "2024-05-01 12:00", "2024-05-01T12:00:00Z" (UTC), or how long ago: "90s", "15m", "3h",
// "2d". InvalidArgument for anything else.
absl::StatusOr<absl::Time> ParseTime(const std::string& text, absl::Time now);

// One row of an import.
struct CsvAccount {
  std::string address;
  std::string password;
  std::string password_hash;  // of another system; one of the two is set
  int line = 0;
};

// "address,password" or "address,password,password_hash" with one of the two empty, with quotes as in
// RFC 4180. Empty lines and one header line of these names are skipped. An error names the line.
absl::StatusOr<std::vector<CsvAccount>> ReadAccounts(std::istream& stream);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_INPUT_H_
