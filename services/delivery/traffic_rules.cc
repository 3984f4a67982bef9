#include "services/delivery/traffic_rules.h"

#include <libpsl.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace posthorn::delivery {
namespace {

// Whether names are registered below it by anybody, as Mozilla's list has it. Names that only one
// company gives to its customers (the list's private part) are that company's: it takes the mail.
bool IsPublicSuffix(const std::string& name) {
  static const psl_ctx_t* const list = psl_latest(nullptr);  // never freed; read by any thread
  if (list == nullptr) return !absl::StrContains(name, '.');
  return psl_is_public_suffix2(list, name.c_str(), PSL_TYPE_ICANN) != 0;
}

bool IsAddress(absl::string_view name) {
  return absl::StrContains(name, ':') ||
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c == '.' || absl::ascii_isdigit(c); });
}

std::string Registered(const Host& host) {
  std::string name = absl::AsciiStrToLower(host.name);
  while (!name.empty() && name.back() == '.') name.pop_back();
  if (absl::StartsWith(name, "/")) return host.name;  // a unix socket
  if (IsAddress(name)) return host.port == 25 ? name : absl::StrCat(name, ":", host.port);
  std::string registered = name;
  for (std::string above = name; !above.empty() && !IsPublicSuffix(above);) {
    registered = above;
    const std::size_t dot = above.find('.');
    above = dot == std::string::npos ? "" : above.substr(dot + 1);
  }
  return registered;
}

ReplyRule Built(const char* code, const char* status, const char* text, ReplyRule::Action action,
                absl::Duration duration = absl::Minutes(10)) {
  ReplyRule rule;
  rule.code = code;
  rule.status = status;
  rule.text = text;
  rule.action = action;
  rule.duration = duration;
  return rule;
}

}  // namespace

bool FitsPattern(std::string_view pattern, std::string_view name) {
  if (pattern == "*") return true;
  if (!pattern.starts_with("*.")) return name == pattern;
  pattern.remove_prefix(1);
  return name.size() > pattern.size() && name.ends_with(pattern);
}

bool IsPattern(std::string_view text) {
  if (text == "*") return true;
  if (text.starts_with("*.")) text.remove_prefix(2);
  return !text.empty() && text.find_first_of("* \t") == std::string_view::npos;
}

std::vector<const Host*> BestOf(const std::vector<Host>& hosts) {
  std::vector<const Host*> best;
  for (const Host& host : hosts) {
    if (host.preference == hosts.front().preference) best.push_back(&host);
  }
  return best;
}

std::string SiteOf(const std::vector<Host>& hosts) {
  std::set<std::string> names;
  for (const Host* host : BestOf(hosts)) names.insert(Registered(*host));
  return absl::StrJoin(names, "+");
}

std::string TrafficRule::name() const {
  if (mx == "*") return domain;
  return domain == "*" ? absl::StrCat("mx ", mx) : absl::StrCat(domain, " mx ", mx);
}

absl::Status TrafficRules::Add(TrafficRule rule) {
  rule.domain = absl::AsciiStrToLower(rule.domain);
  rule.mx = absl::AsciiStrToLower(rule.mx);
  for (const std::string* pattern : {&rule.domain, &rule.mx}) {
    if (!IsPattern(*pattern)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", *pattern, "\" is neither a name nor \"*.name\" nor \"*\""));
    }
  }
  rules_.push_back(std::move(rule));
  return absl::OkStatus();
}

const TrafficRule& TrafficRules::For(std::string_view domain,
                                     const std::vector<Host>& hosts) const {
  for (const TrafficRule& rule : rules_) {
    if (!FitsPattern(rule.domain, domain)) continue;
    if (rule.mx == "*") return rule;
    for (const Host* host : BestOf(hosts)) {
      if (FitsPattern(rule.mx, absl::AsciiStrToLower(host->name))) return rule;
    }
  }
  return none_;
}

ReplyRules::ReplyRules() {
  using Action = ReplyRule::Action;
  rules_ = {
      // What concerns one mailbox, or one sender and recipient, is no reason to slow down.
      Built("", "4.1.", "", Action::kNone),
      Built("", "4.2.", "", Action::kNone),
      Built("4", "", "greylist", Action::kNone),
      Built("4", "", "graylist", Action::kNone),
      Built("4", "", "temporarily deferred", Action::kPause, absl::Minutes(5)),
      Built("4", "", "rate limit", Action::kSlowDown),
      Built("4", "", "too many connections", Action::kSlowDown),
      Built("4", "", "too many messages", Action::kSlowDown),
      Built("4", "", "too fast", Action::kSlowDown),
      Built("4", "", "throttl", Action::kSlowDown),
      Built("4", "", "try again later", Action::kSlowDown),
      Built("421", "", "", Action::kSlowDown),
      Built("4", "4.7.", "", Action::kSlowDown),
  };
}

absl::Status ReplyRules::Add(ReplyRule rule) {
  rule.text = absl::AsciiStrToLower(rule.text);
  rule.mx = absl::AsciiStrToLower(rule.mx);
  const bool digits = rule.code.size() <= 3 &&
                      std::all_of(rule.code.begin(), rule.code.end(), absl::ascii_isdigit);
  if (!digits) return absl::InvalidArgumentError("code: the first digits of a reply's code");
  if (!IsPattern(rule.mx)) {
    return absl::InvalidArgumentError("mx: neither a name nor \"*.name\" nor \"*\"");
  }
  rules_.insert(rules_.begin() + static_cast<std::ptrdiff_t>(added_++), std::move(rule));
  return absl::OkStatus();
}

const ReplyRule* ReplyRules::Find(int code, std::string_view status, std::string_view text,
                                  std::string_view host) const {
  const std::string digits = absl::StrCat(code);
  const std::string words = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  const std::string name = absl::AsciiStrToLower(absl::string_view(host.data(), host.size()));
  for (const ReplyRule& rule : rules_) {
    const bool fits = std::string_view(digits).starts_with(rule.code) &&
                      status.starts_with(rule.status) && absl::StrContains(words, rule.text) &&
                      FitsPattern(rule.mx, name);
    if (fits) return rule.action == ReplyRule::Action::kNone ? nullptr : &rule;
  }
  return nullptr;
}

}  // namespace posthorn::delivery
