#include "lib/smtp/client/capabilities.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace posthorn::smtp::client {

Capabilities ParseCapabilities(const Reply& ehlo) {
  Capabilities result;
  for (std::size_t i = 1; i < ehlo.lines.size(); ++i) {
    const absl::string_view line = ehlo.lines[i];
    // Some old servers write "SIZE=1000".
    const std::size_t end = line.find_first_of(" =");
    const absl::string_view keyword = line.substr(0, end);
    if (absl::EqualsIgnoreCase(keyword, "PIPELINING")) result.pipelining = true;
    if (absl::EqualsIgnoreCase(keyword, "8BITMIME")) result.eight_bit = true;
    if (absl::EqualsIgnoreCase(keyword, "STARTTLS")) result.starttls = true;
    if (absl::EqualsIgnoreCase(keyword, "SMTPUTF8")) result.smtputf8 = true;
    if (absl::EqualsIgnoreCase(keyword, "DSN")) result.dsn = true;
    if (absl::EqualsIgnoreCase(keyword, "CHUNKING")) result.chunking = true;
    if (absl::EqualsIgnoreCase(keyword, "BINARYMIME")) result.binary = true;
    if (absl::EqualsIgnoreCase(keyword, "REQUIRETLS")) result.require_tls = true;
    if (absl::EqualsIgnoreCase(keyword, "MT-PRIORITY")) result.priority = true;
    if (absl::EqualsIgnoreCase(keyword, "XVERP")) result.verp = true;
    // "AUTH=" is what servers wrote before RFC 2554.
    if (absl::EqualsIgnoreCase(keyword, "AUTH") && end != absl::string_view::npos) {
      const std::vector<std::string> names =
          absl::StrSplit(line.substr(end + 1), ' ', absl::SkipEmpty());
      result.auth.insert(result.auth.end(), names.begin(), names.end());
    }
    if (absl::EqualsIgnoreCase(keyword, "DELIVERBY")) {
      result.deliver_by = true;
      int minimum = 0;
      if (end != absl::string_view::npos && absl::SimpleAtoi(line.substr(end + 1), &minimum)) {
        result.min_deliver_by = minimum;
      }
    }
    if (absl::EqualsIgnoreCase(keyword, "SIZE")) {
      result.size = true;
      std::uint64_t limit = 0;
      if (end != absl::string_view::npos && absl::SimpleAtoi(line.substr(end + 1), &limit)) {
        result.max_size = limit;
      }
    }
  }
  return result;
}

}  // namespace posthorn::smtp::client
