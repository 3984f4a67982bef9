#ifndef POSTHORN_SERVICES_DELIVERY_TRAFFIC_PORT_H_
#define POSTHORN_SERVICES_DELIVERY_TRAFFIC_PORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"

namespace posthorn::delivery {

// Over all workers; 0: no limit.
struct TrafficLimits {
  int connections = 0;
  int per_second = 0;
  int per_minute = 0;
  int per_hour = 0;
  bool rated() const { return per_second > 0 || per_minute > 0 || per_hour > 0; }
};

// What the queue service counts for all workers together; see queue.proto. May be called from any
// executor and resumes there; outlives the tasks it returns.
class TrafficPort {
 public:
  virtual ~TrafficPort() = default;

  struct SourceOffer {
    std::string name;
    std::int64_t per_day = 0;
  };
  struct Question {
    TenantId tenant;
    std::string site;
    std::string rule;
    std::string domain;
    TrafficLimits limits;
    std::vector<SourceOffer> sources;
  };
  struct Answer {
    bool granted = true;
    absl::Duration wait;
    std::string reason;
    bool whole_site = false;
    int source = 0;
    absl::Duration free_for;
    bool probe = false;
  };
  virtual Task<absl::StatusOr<Answer>> Admit(Question question) = 0;

  struct Slot {
    std::string site;
    std::string rule;
    std::string token;
  };
  struct SlotAnswer {
    bool granted = true;
    absl::Duration wait;
  };
  virtual Task<absl::StatusOr<SlotAnswer>> TakeConnection(TenantId tenant, Slot slot,
                                                          int limit) = 0;
  virtual Task<absl::Status> HoldConnections(std::vector<Slot> keep, std::vector<Slot> drop) = 0;

  enum class Action { kSlowDown = 1, kPause = 2, kAvoidSource = 3, kDead = 4, kAlive = 5, kUnused = 6 };
  struct Notice {
    std::string site;
    std::string domain;
    Action action = Action::kSlowDown;
    absl::Duration duration;
    std::string source;
    std::string reason;
    bool probe = false;
  };
  virtual Task<absl::Status> Note(Notice notice) = 0;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TRAFFIC_PORT_H_
