// RFC 8461:
//   record  = "v=STSv1" *(";" field) [";"]    field "id=" 1*32(ALPHA / DIGIT) is required
//   policy  = lines "key: value": version (STSv1, first), mode, max_age (0..31557600), mx (repeated;
//             at least one unless mode is none)

#include "services/delivery/sts_policy.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/failure.h"

namespace posthorn::delivery {
namespace {

constexpr std::int64_t kMaxAgeSeconds = 31557600;
constexpr std::size_t kMaxPatterns = 200;

absl::Status Malformed(absl::string_view what) {
  return MakeFailure(Failure::kInvalidArgument, absl::StrCat("the policy ", what));
}

bool IsId(absl::string_view text) {
  return !text.empty() && text.size() <= 32 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c));
         });
}

bool IsPattern(absl::string_view text) {
  absl::ConsumePrefix(&text, "*.");
  return !text.empty() && text.size() <= 253 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ||
                  c == '_';
         });
}

}  // namespace

std::optional<std::string> ParseStsRecord(const std::vector<std::string>& records) {
  std::optional<std::string> id;
  int found = 0;
  for (const std::string& record : records) {
    bool first = true;
    for (absl::string_view field : absl::StrSplit(record, ';')) {
      field = absl::StripAsciiWhitespace(field);
      if (first && field != "v=STSv1") break;
      if (first) ++found;
      first = false;
      if (absl::ConsumePrefix(&field, "id=") && IsId(field) && !id.has_value()) {
        id = std::string(field);
      }
    }
  }
  return found == 1 ? id : std::nullopt;
}

absl::StatusOr<StsPolicy> ParseStsPolicy(std::string_view text) {
  StsPolicy policy;
  bool has_version = false, has_mode = false, has_age = false;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    const std::size_t colon = line.find(':');
    if (colon == absl::string_view::npos) return Malformed("has a line without a colon");
    const absl::string_view key = absl::StripAsciiWhitespace(line.substr(0, colon));
    const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    if (!has_version && (key != "version" || value != "STSv1")) {
      return Malformed("does not begin with version STSv1");
    }
    // RFC 8461 section 3.2: of a field that is there twice, the first counts.
    if (key == "version") {
      has_version = true;
    } else if (key == "mode" && !has_mode) {
      has_mode = true;
      if (value == "enforce") {
        policy.mode = StsPolicy::Mode::kEnforce;
      } else if (value == "testing") {
        policy.mode = StsPolicy::Mode::kTesting;
      } else if (value != "none") {
        return Malformed("has an unknown mode");
      }
    } else if (key == "max_age" && !has_age) {
      std::int64_t seconds = 0;
      if (!absl::SimpleAtoi(value, &seconds) || seconds < 0) {
        return Malformed("has a max_age that is no number");
      }
      has_age = true;
      policy.max_age = absl::Seconds(std::min(seconds, kMaxAgeSeconds));
    } else if (key == "mx") {
      if (!IsPattern(value)) return Malformed("has an mx that is no host");
      if (policy.mx.size() < kMaxPatterns) policy.mx.push_back(absl::AsciiStrToLower(value));
    }
  }
  if (!has_version) return Malformed("is empty");
  if (!has_mode) return Malformed("has no mode");
  if (!has_age) return Malformed("has no max_age");
  if (policy.mx.empty() && policy.mode != StsPolicy::Mode::kNone) return Malformed("has no mx");
  return policy;
}

bool StsAllows(const StsPolicy& policy, std::string_view host) {
  const std::string name = absl::AsciiStrToLower(absl::string_view(host.data(), host.size()));
  const std::size_t dot = name.find('.');
  return std::any_of(policy.mx.begin(), policy.mx.end(), [&](const std::string& pattern) {
    if (!pattern.starts_with("*.")) return pattern == name;
    return dot != std::string::npos && pattern.substr(1) == name.substr(dot);
  });
}

}  // namespace posthorn::delivery
