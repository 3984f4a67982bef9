#ifndef POSTHORN_SERVICES_DELIVERY_STS_POLICY_H_
#define POSTHORN_SERVICES_DELIVERY_STS_POLICY_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace posthorn::delivery {

// An MTA-STS policy (RFC 8461 section 3.2).
struct StsPolicy {
  enum class Mode { kNone, kTesting, kEnforce };
  Mode mode = Mode::kNone;
  std::vector<std::string> mx;  // "mx.example.net", "*.example.net"; lower case
  absl::Duration max_age;       // at most a year
};

// The id in the TXT records of "_mta-sts.<domain>" (section 3.1): exactly one record of version
// STSv1, else there is no policy.
std::optional<std::string> ParseStsRecord(const std::vector<std::string>& records);

// The text at "https://mta-sts.<domain>/.well-known/mta-sts.txt". kInvalidArgument says what is
// wrong. Lines may end in CRLF or LF; unknown fields are skipped.
absl::StatusOr<StsPolicy> ParseStsPolicy(std::string_view text);

// Whether the policy lets mail go to the host (section 4.1): "*." stands for one label.
bool StsAllows(const StsPolicy& policy, std::string_view host);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_STS_POLICY_H_
