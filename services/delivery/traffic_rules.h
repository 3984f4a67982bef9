#ifndef POSTHORN_SERVICES_DELIVERY_TRAFFIC_RULES_H_
#define POSTHORN_SERVICES_DELIVERY_TRAFFIC_RULES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/delivery/mail_router.h"
#include "services/delivery/traffic_port.h"

namespace posthorn::delivery {

// "*", "example.net", or "*.example.net" (all below it, not itself). Both in lower case.
bool FitsPattern(std::string_view pattern, std::string_view name);
// Whether it is one of those.
bool IsPattern(std::string_view text);

// The servers that are tried first, of those in `hosts`.
std::vector<const Host*> BestOf(const std::vector<Host>& hosts);

// What takes the mail of a domain, as the names of its best servers tell: the domain that each is
// registered under, one label below a suffix of the Public Suffix List. All domains at one provider
// have the same site, whether they share its MX records or each has a name of its own there. Several:
// "a.net+b.net".
// A server without a name is its address, with a port other than 25.
std::string SiteOf(const std::vector<Host>& hosts);

// Limits for the mail to some destinations. 0: no limit.
struct TrafficRule {
  std::string domain = "*";
  std::string mx = "*";
  TrafficLimits limits;
  int messages_per_connection = 0;
  std::size_t recipients_per_transaction = 0;
  std::string source_pool;
  // As it is known to the queue and to operators.
  std::string name() const;
};

// The first rule that fits counts: `domain` the recipients', and `mx` one of the best servers.
class TrafficRules {
 public:
  absl::Status Add(TrafficRule rule);
  const TrafficRule& For(std::string_view domain, const std::vector<Host>& hosts) const;

 private:
  std::vector<TrafficRule> rules_;
  const TrafficRule none_;
};

// What a reply means for the rest of the mail to the same site.
struct ReplyRule {
  enum class Action { kNone, kSlowDown, kPause, kSwitch };
  std::string code;    // its first digits; empty: any, here and below
  std::string status;  // how the enhanced status begins
  std::string text;    // words in it, lower case
  std::string mx = "*";
  Action action = Action::kSlowDown;
  absl::Duration duration = absl::Minutes(10);
};

// The first rule that fits counts; those built in come last.
class ReplyRules {
 public:
  ReplyRules();
  absl::Status Add(ReplyRule rule);  // before those built in, after those added before
  // nullptr: it means nothing.
  const ReplyRule* Find(int code, std::string_view status, std::string_view text,
                        std::string_view host) const;

 private:
  std::vector<ReplyRule> rules_;
  std::size_t added_ = 0;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TRAFFIC_RULES_H_
