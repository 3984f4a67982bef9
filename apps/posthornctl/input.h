#ifndef POSTHORN_APPS_POSTHORNCTL_INPUT_H_
#define POSTHORN_APPS_POSTHORNCTL_INPUT_H_

#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::ctl {

// A password from standard input: its first line; on a terminal asked for twice, without echo.
absl::StatusOr<std::string> ReadPassword(const std::string& what);

// One row of an import.
struct CsvAccount {
  std::string address;
  std::string password;
  int line = 0;
};

// "address,password", with quotes as in RFC 4180. Empty lines and one header line
// "address,password" are skipped. An error names the line.
absl::StatusOr<std::vector<CsvAccount>> ReadAccounts(std::istream& stream);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_INPUT_H_
