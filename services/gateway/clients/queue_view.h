#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_VIEW_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"

namespace posthorn::gateway {

struct WaitingRecipient {
  WaitingRecipient() = default;
  std::string address;
  std::string state;  // "queued", "leased", "deferred", "held"
  absl::Time next_attempt_at = absl::InfinitePast();  // not known
  std::string last_reply;                             // empty: none yet
};

// A message in the queue, with the recipients that it still waits for.
struct WaitingMessage {
  WaitingMessage() = default;
  MessageId id;
  std::string reverse_path;  // empty: null
  std::uint64_t octets = 0;
  absl::Time received_at;
  std::vector<WaitingRecipient> recipients;
};

// The queue, as who asks for the own mail sees it. Thread-safe; a call continues on its own executor
// and ends within its deadline.
class QueueView {
 public:
  virtual ~QueueView() = default;
  // The tenant's messages behind `after` in the order of their ids, at most `limit` of them.
  // `reverse_path`: only those; none: all. Fewer than `limit`: there are no more.
  virtual Task<absl::StatusOr<std::vector<WaitingMessage>>> List(
      TenantId tenant, std::optional<std::string> reverse_path, std::optional<MessageId> after,
      int limit) = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_VIEW_H_
