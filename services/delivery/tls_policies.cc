#include "services/delivery/tls_policies.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"
#include "services/delivery/route_table.h"

namespace posthorn::delivery {
namespace {

using Level = TlsPolicyRule::Level;

// RFC 7672 section 3.1 and RFC 6698 section 2.1: what a client of SMTP can make use of. A record
// with a whole certificate or key (matching type 0) is tried by OpenSSL.
bool IsUsable(const dns::TlsaRecord& record) {
  if (record.usage != 2 && record.usage != 3) return false;
  if (record.selector != 0 && record.selector != 1) return false;
  switch (record.matching_type) {
    case 0: return !record.data.empty();
    case 1: return record.data.size() == 32;
    case 2: return record.data.size() == 64;
    default: return false;
  }
}

std::string TextOf(const dns::TlsaRecord& record) {
  return absl::StrCat(record.usage, " ", record.selector, " ", record.matching_type, " ",
                      absl::BytesToHexString(record.data));
}

std::shared_ptr<TlsPolicyNote> NoteOf(const std::string& domain, const char* type) {
  auto note = std::make_shared<TlsPolicyNote>();
  note->domain = domain;
  note->type = type;
  return note;
}

TlsOutcome OutcomeOf(const Host& host, std::string_view result, std::string text) {
  TlsOutcome outcome;
  outcome.host = host.name;
  outcome.ip = host.ip;
  outcome.result = std::string(result);
  outcome.text = std::move(text);
  return outcome;
}

}  // namespace

absl::StatusOr<Level> TlsPolicyLevelFrom(std::string_view text) {
  if (text == "off") return Level::kOff;
  if (text == "opportunistic") return Level::kOpportunistic;
  if (text == "required") return Level::kEncrypted;
  if (text == "verified") return Level::kVerified;
  if (text == "dane") return Level::kDane;
  if (text == "automatic") return Level::kAutomatic;
  return absl::InvalidArgumentError(
      absl::StrCat("no TLS level: ", absl::string_view(text.data(), text.size())));
}

const TlsPolicyRule* TlsPolicies::Find(std::string_view domain) const {
  for (const TlsPolicyRule& rule : options_.rules) {
    if (DomainMatches(rule.pattern, domain)) return &rule;
  }
  return nullptr;
}

absl::Status TlsPolicies::Refuse(const TlsRule& rule, const Host& host, std::string_view result,
                                 std::string text) {
  Metrics().tls_failures.Increment();
  log::Warn("delivery", "the server is left alone",
            {{"host", host.ToString()}, {"error", text}});
  if (options_.observer != nullptr) {
    options_.observer->OnTlsSession(rule, OutcomeOf(host, result, text));
  }
  return WithTlsResult(MakeFailure(Failure::kTlsFailed, text), result);
}

Task<absl::StatusOr<TlsRule>> TlsPolicies::RuleFor(Host host, std::string domain,
                                                   bool require_tls, bool tls_optional) {
  TlsRule rule;
  const bool logs_in = host.access != nullptr && !host.access->username.empty();
  const bool has_own = host.access != nullptr && host.access->tls.has_value();
  if (host.port == 0 && !has_own) {
    rule.level = TlsLevel::kOff;  // a socket of this machine
    co_return rule;
  }
  if (has_own || logs_in) {
    rule.level = has_own ? *host.access->tls : TlsLevel::kVerified;
    rule.must_encrypt = rule.level >= TlsLevel::kEncrypted;
  } else if (!options_.enabled) {
    rule.level = TlsLevel::kOff;
  } else {
    const TlsPolicyRule* const operators = Find(domain);
    const Level level = operators == nullptr ? Level::kAutomatic : operators->level;
    switch (level) {
      case Level::kOff:
        rule.level = TlsLevel::kOff;
        break;
      case Level::kOpportunistic:
        break;
      case Level::kEncrypted:
        rule.level = TlsLevel::kEncrypted;
        rule.must_encrypt = true;
        break;
      case Level::kVerified:
        rule.level = TlsLevel::kVerified;
        rule.must_encrypt = true;
        rule.names = operators->names;
        break;
      case Level::kDane:
      case Level::kAutomatic: {
        if (level == Level::kAutomatic && tls_optional) break;
        const bool dane_only = level == Level::kDane;
        absl::StatusOr<TlsRule> found =
            co_await ByPublication(std::move(host), std::move(domain), dane_only);
        if (!found.ok()) co_return found.status();
        rule = *std::move(found);
        break;
      }
    }
  }
  // RFC 8689 section 4.2.1: the certificate has to be checked, by DANE or by authorities.
  if (require_tls && rule.level < TlsLevel::kVerified) {
    const std::shared_ptr<const TlsPolicyNote> note = rule.note;
    rule = TlsLevel::kVerified;
    rule.note = note;
  }
  co_return rule;
}

Task<absl::StatusOr<TlsRule>> TlsPolicies::ByPublication(Host host, std::string domain,
                                                         bool dane_only) {
  TlsRule rule;
  if (options_.dane) {
    absl::StatusOr<TlsRule> by_dane = co_await ByDane(host, domain);
    if (!by_dane.ok() || by_dane->level != TlsLevel::kOpportunistic) co_return by_dane;
    rule = *std::move(by_dane);
  }
  if (dane_only) {
    rule.note = NoteOf(domain, "tlsa");
    co_return Refuse(rule, host, "dane-required",
                     absl::StrCat(host.ToString(), ": the server has no usable TLSA records"));
  }
  // RFC 8461 section 2: DANE, where it is, comes first. Names that an operator chose have no policy.
  if (options_.sts == nullptr || !host.by_mx) {
    rule.note = NoteOf(domain, "no-policy-found");
    co_return rule;
  }
  absl::StatusOr<TlsRule> by_sts = co_await BySts(std::move(host), std::move(domain));
  co_return by_sts;
}

Task<absl::StatusOr<TlsRule>> TlsPolicies::ByDane(Host host, std::string domain) {
  TlsRule rule;
  // RFC 7672 sections 2.2.1 and 2.2.2: only where the way to the server was validated; and servers of
  // unsigned zones, which often break on unusual questions, are not asked.
  if (!host.secure) co_return rule;
  std::vector<std::string> bases;
  if (!host.canonical_name.empty() && host.canonical_name != host.name) {
    bases.push_back(host.canonical_name);  // section 2.2.3: the end of the aliases first
  }
  bases.push_back(host.name);
  for (const std::string& base : bases) {
    const dns::Answer<dns::TlsaRecord> found =
        co_await resolver_.QueryTlsa(absl::StrCat("_", host.port, "._tcp.", base));
    auto note = NoteOf(domain, "tlsa");
    note->policy_domain = base;  // RFC 8460 section 1.1
    if (found.outcome == dns::Outcome::kTemporary) {
      rule.note = std::move(note);
      co_return Refuse(rule, host, "dnssec-invalid",
                       absl::StrCat(host.ToString(), ": its TLSA records can't be had: ",
                                    found.error));
    }
    if (!found.secure || found.records.empty()) continue;
    bool usable = false;
    for (const dns::TlsaRecord& record : found.records) {
      note->text.push_back(TextOf(record));
      if (!IsUsable(record)) continue;
      usable = true;
      net::DaneRecord& dane = rule.dane.emplace_back();
      dane.usage = record.usage;
      dane.selector = record.selector;
      dane.matching_type = record.matching_type;
      dane.data = record.data;
    }
    rule.must_encrypt = true;
    rule.note = std::move(note);
    // RFC 7672 section 2.2: records that nobody can use still promise TLS.
    rule.level = usable ? TlsLevel::kDane : TlsLevel::kEncrypted;
    if (usable) {
      // Section 3.2.2, for usage 2.
      for (const std::string& name : {base, host.name, domain}) rule.names.push_back(name);
    }
    co_return rule;
  }
  co_return rule;
}

Task<absl::StatusOr<TlsRule>> TlsPolicies::BySts(Host host, std::string domain) {
  TlsRule rule;
  const StsFinding found = co_await options_.sts->For(domain);
  auto note = NoteOf(domain, found.policy.has_value() || !found.problem.empty()
                                 ? "sts"
                                 : "no-policy-found");
  if (found.policy.has_value()) {
    for (absl::string_view line : absl::StrSplit(found.text, '\n', absl::SkipWhitespace())) {
      note->text.emplace_back(absl::StripAsciiWhitespace(line));
    }
    note->mx = found.policy->mx;
  }
  rule.note = note;
  if (!found.problem.empty() && options_.observer != nullptr) {
    options_.observer->OnTlsSession(rule, OutcomeOf(host, found.problem, found.error));
    // What follows is counted as for a domain without a policy.
    rule.note = NoteOf(domain, "no-policy-found");
  }
  if (!found.policy.has_value() || found.policy->mode == StsPolicy::Mode::kNone) co_return rule;
  const bool enforce = found.policy->mode == StsPolicy::Mode::kEnforce;
  if (!StsAllows(*found.policy, host.name)) {
    const std::string text =
        absl::StrCat(host.ToString(), ": the MTA-STS policy of ", domain, " does not name it");
    if (enforce) co_return Refuse(rule, host, "validation-failure", text);
    if (options_.observer != nullptr) {
      options_.observer->OnTlsSession(rule, OutcomeOf(host, "validation-failure", text));
    }
    co_return rule;
  }
  if (enforce) {
    rule.level = TlsLevel::kVerified;
    rule.must_encrypt = true;
  } else {
    rule.observe = true;
  }
  co_return rule;
}

}  // namespace posthorn::delivery
