#ifndef POSTHORN_SERVICES_DELIVERY_SOURCES_H_
#define POSTHORN_SERVICES_DELIVERY_SOURCES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"

namespace posthorn::delivery {

// An address, or one of each kind, that mail leaves from, and the name it leaves under.
struct Source {
  std::string ipv4;
  std::string ipv6;
  std::string hostname;  // in EHLO; empty: the platform's
  int weight = 1;
  std::optional<absl::CivilDay> warm_up_start;  // UTC; nullopt: it is warm
  std::vector<std::int64_t> warm_up;            // messages on its first, second, ... day

  // As it is counted and shown.
  const std::string& name() const { return ipv4.empty() ? ipv6 : ipv4; }
  // The one of the kind of `ip`; empty: it has none.
  const std::string& AddressFor(std::string_view ip) const;
  // Messages on the day of `now`; 0: no limit; nullopt: it has not begun.
  std::optional<std::int64_t> Allowed(absl::Time now) const;
};

struct SourcePool {
  std::string name;
  std::vector<Source> sources;
  std::string overflow;  // a pool; empty: none
};

enum class MessageClass { kNormal, kNotification, kBulk, kUrgent };

struct SourceRule {
  TenantId tenant;  // none: of all
  std::string sender_domain = "*";
  std::optional<MessageClass> message_class;  // nullopt: any
  std::string pool;
};

// Which address mail leaves from. Immutable.
class Sources {
 public:
  Sources() = default;
  // An error names what refers to nothing or is given twice.
  static absl::StatusOr<Sources> Create(std::vector<SourcePool> pools,
                                        std::vector<SourceRule> rules);

  bool empty() const { return pools_.empty(); }
  const std::vector<SourcePool>& pools() const { return pools_; }

  // The pool for a message: of the first rule that fits, else `fallback`, else the first pool.
  const SourcePool& PoolFor(TenantId tenant, std::string_view sender_domain,
                            MessageClass message_class, std::string_view fallback) const;
  // Its sources in the order to offer them, by weight and chance, then those it overflows into.
  // Those that have no address of a kind that is wanted, or have not begun, are left out.
  // `random` gives a number below its argument.
  std::vector<const Source*> Candidates(
      const SourcePool& pool, bool ipv4, bool ipv6, absl::Time now,
      const std::function<std::size_t(std::size_t)>& random) const;

 private:
  const SourcePool* Find(std::string_view name) const;

  std::vector<SourcePool> pools_;
  std::vector<SourceRule> rules_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_SOURCES_H_
