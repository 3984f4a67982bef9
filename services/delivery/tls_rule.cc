#include "services/delivery/tls_rule.h"

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace posthorn::delivery {
namespace {

constexpr char kPayload[] = "posthorn.delivery.tls_result";

}  // namespace

std::string TlsRule::Key(std::string_view host) const {
  std::string key =
      absl::StrCat(static_cast<int>(level), must_encrypt ? "!" : "", observe ? "?" : "");
  if (level < TlsLevel::kVerified && !observe) return key;
  // The certificate was checked for one name.
  absl::StrAppend(&key, " ", absl::string_view(host.data(), host.size()));
  bool by_name = level == TlsLevel::kVerified;
  for (const net::DaneRecord& record : dane) {
    by_name = by_name || record.usage == 2;
    absl::StrAppend(&key, " ", record.usage, record.selector, record.matching_type,
                    absl::BytesToHexString(record.data));
  }
  if (by_name) absl::StrAppend(&key, " ", absl::StrJoin(names, ","));
  return key;
}

absl::Status WithTlsResult(absl::Status status, std::string_view result) {
  status.SetPayload(kPayload, absl::Cord(absl::string_view(result.data(), result.size())));
  return status;
}

std::string TlsResultOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace posthorn::delivery
