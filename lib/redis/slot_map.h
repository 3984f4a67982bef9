#ifndef POSTHORN_LIB_REDIS_SLOT_MAP_H_
#define POSTHORN_LIB_REDIS_SLOT_MAP_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/redis/connect.h"
#include "lib/redis/reply.h"

namespace posthorn::redis {

// Redis Cluster specification, "Key distribution model". Pure.
inline constexpr int kSlots = 16384;

// The slot of a key: of what stands between the first "{" and the next "}", if that is not empty,
// else of all of it.
int SlotOf(std::string_view key);

// The key that decides where a command goes; nullopt: any node will do. Knows the commands that
// this project sends, in which all keys have one slot.
std::optional<std::string_view> KeyOf(const std::vector<std::string>& command);

// Which master serves which slot.
struct SlotMap {
  static constexpr std::uint16_t kNobody = 0xffff;
  std::vector<Endpoint> masters;
  std::array<std::uint16_t, kSlots> owner;  // index into masters, or kNobody
};

// From the answer to CLUSTER SLOTS. A node that does not know its own name is at `asked`'s host.
absl::StatusOr<SlotMap> ParseSlotMap(const Reply& reply, const Endpoint& asked);

// What a server's error says about where to turn.
struct Redirect {
  enum class Kind {
    kNone,     // any other error
    kMoved,    // the slot is `to`'s
    kAsk,      // this once ask `to`
    kLater,    // the slot is moving: the same again in a moment
    kDown,     // the cluster does not serve the slot
  };
  Kind kind = Kind::kNone;
  Endpoint to;
};
// `error` without the prefix "Redis: ". An empty host in it is `asked`'s.
Redirect ParseRedirect(std::string_view error, const Endpoint& asked);

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_SLOT_MAP_H_
