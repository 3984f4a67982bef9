#ifndef POSTHORN_SERVICES_QUEUE_TRAFFIC_SCRIPTS_H_
#define POSTHORN_SERVICES_QUEUE_TRAFFIC_SCRIPTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "lib/redis/client.h"

namespace posthorn::queue {

// The keys of Traffic, see there.
inline constexpr char kSitesKey[] = "posthorn:traffic:sites";
std::string SiteKey(absl::string_view site);
std::string SourceKey(absl::string_view source, absl::string_view day);  // "20261126"

// The scripts of Traffic. Times are milliseconds since the epoch. Each touches the keys of one site.
// KEYS[1] is its hash and KEYS[2] the turns of those that wait for a rule.

// ARGV: now, recovery, horizon, chance, tenant, rule, domain, messages a second, minute, hour, the
// rate to slow down from, end of a probe, sources. Answers {granted, when, why, probe, whole site,
// anything known, then for each source until when it is avoided}.
const redis::Script& AdmitScript();
// KEYS[3]: the connections. ARGV: now, recovery, horizon, chance, tenant, token, limit, end of the
// lease, rule. Answers {granted, when}.
const redis::Script& TakeConnectionScript();
// ARGV: now, recovery, action, duration, reason, source, probe, domain, delays between probes.
const redis::Script& NoteScript();
// KEYS[1]: the counter of a day. ARGV: limit. Answers 1 if there was one left.
const redis::Script& TakeOfDayScript();
// The same counter, one less.
const redis::Script& GiveBackOfDayScript();
// KEYS[1]: the hash. ARGV: now. The next message to the site, if it is dead, is a probe.
const redis::Script& ProbeNowScript();
// KEYS[1]: the hash. ARGV: nothing. Forgets all but limits and buckets; answers the domains.
const redis::Script& ClearScript();

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_TRAFFIC_SCRIPTS_H_
