#ifndef POSTHORN_SERVICES_DELIVERY_TRAFFIC_GATE_H_
#define POSTHORN_SERVICES_DELIVERY_TRAFFIC_GATE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/smtp/client/reply.h"
#include "services/delivery/connection_pool.h"
#include "services/delivery/sources.h"
#include "services/delivery/traffic_port.h"
#include "services/delivery/traffic_rules.h"
#include "services/delivery/types.h"

namespace posthorn::delivery {

enum class IpPreference { kIpv4First, kIpv6First, kIpv4Only, kIpv6Only };

struct TrafficSettings {
  TrafficRules rules;
  ReplyRules replies;
  Sources sources;
  IpPreference preference = IpPreference::kIpv4First;
  // A number below its argument; tests make it known.
  std::function<std::size_t(std::size_t)> random;
};

// Stands between a job and the servers of its site: asks the queue service whether a message may go
// now and from which source, holds the places of connections, and tells what replies mean. Where
// nothing is limited it asks once in a while only. Belongs to one executor; `port`, `clock` and the
// executor outlive it, and it outlives the pool whose connections have places.
class TrafficGate final : public PlaceGiver {
 public:
  TrafficGate(TrafficSettings settings, Executor& executor, TrafficPort& port, const Clock& clock);
  ~TrafficGate() override;

  // How one job goes.
  struct Passage {
    TenantId tenant;
    std::string site;
    std::string domain;
    const TrafficRule* rule = nullptr;
    const SourcePool* pool = nullptr;  // nullptr: the system chooses the source
    bool ipv4 = false, ipv6 = false;   // what its servers have
  };
  Passage PassageFor(const Job& job, const std::vector<Host>& hosts) const;
  // Without those that are not wanted, and each server's addresses in the order that is.
  std::vector<Host> Arrange(std::vector<Host> hosts) const;

  struct Pass {
    bool granted = false;
    absl::Time until;      // else: when to try again
    std::string reason;    // else
    const Source* source = nullptr;
    bool warming_up = false;  // the source counts the messages of the day
    bool probe = false;
  };
  // For one message. Without an answer of the queue service what has limits waits.
  Task<Pass> Admit(Passage passage);

  // What a server that refused meant for the rest.
  void OnReply(const Passage& passage, const Pass& pass, const Host& host,
               const smtp::client::Reply& reply);
  // None of the servers answered; one of them has (after a probe).
  void OnDead(const Passage& passage, const Pass& pass, const std::string& reason);
  void OnAlive(const Passage& passage, const Pass& pass);

  // Nothing was sent with it.
  void OnUnused(const Passage& passage, const Pass& pass);

  // How a connection for the passage is to be opened.
  ConnectionShape ShapeFor(const Passage& passage, const Pass& pass, const Host& host);
  Task<absl::StatusOr<std::unique_ptr<ConnectionPlace>>> Take(ConnectionShape& shape) override;

  // Nothing is under way.
  bool idle() const { return tasks_ == 0; }
  // Places are given back no more: they end by themselves.
  void Close() { closed_ = true; }

 private:
  class Place;

  absl::Duration Spread(absl::Duration wait) const;
  void Note(TrafficPort::Notice notice);
  Task<void> Send(TrafficPort::Notice notice);
  void Forget(const std::string& site);
  void Drop(const Place& place);
  Task<void> Hold();
  void ScheduleHold(absl::Duration after);

  const TrafficSettings settings_;
  Executor& executor_;
  TrafficPort& port_;
  const Clock& clock_;
  // Until when nothing is limited, by site, and site and domain.
  absl::flat_hash_map<std::string, absl::Time> known_;
  absl::flat_hash_map<std::string, absl::Time> noted_;  // the last time, by site and action
  absl::flat_hash_set<const Place*> places_;
  std::vector<TrafficPort::Slot> dropped_;
  absl::Time held_at_ = absl::InfinitePast();
  bool hold_scheduled_ = false;
  int tasks_ = 0;
  bool closed_ = false;
  std::shared_ptr<TrafficGate*> self_;  // cleared when destroyed, for timers
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TRAFFIC_GATE_H_
