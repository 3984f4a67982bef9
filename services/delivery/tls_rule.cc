#include "services/delivery/tls_rule.h"

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace posthorn::delivery {
namespace {

constexpr char kPayload[] = "posthorn.delivery.tls_result";
constexpr char kSender[] = "posthorn.delivery.tls_sending_ip";

std::string Noted(const absl::Status& status, absl::string_view what) {
  const absl::optional<absl::Cord> payload = status.GetPayload(what);
  return payload.has_value() ? std::string(*payload) : std::string();
}

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

absl::Status WithTlsResult(absl::Status status, std::string_view result,
                           std::string_view sending_ip) {
  status.SetPayload(kPayload, absl::Cord(absl::string_view(result.data(), result.size())));
  if (!sending_ip.empty()) {
    status.SetPayload(kSender,
                      absl::Cord(absl::string_view(sending_ip.data(), sending_ip.size())));
  }
  return status;
}

std::string TlsResultOf(const absl::Status& status) { return Noted(status, kPayload); }

std::string TlsSendingIpOf(const absl::Status& status) { return Noted(status, kSender); }

}  // namespace posthorn::delivery
