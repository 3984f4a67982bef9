#include "lib/redis/slot_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace posthorn::redis {
namespace {

// CRC-16/XMODEM: polynomial 0x1021, start 0, nothing reflected.
std::uint16_t Crc16(std::string_view bytes) {
  std::uint16_t crc = 0;
  for (const char byte : bytes) {
    crc = static_cast<std::uint16_t>(crc ^ (static_cast<unsigned char>(byte) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<std::uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc;
}

constexpr absl::string_view kAnywhere[] = {"PING",    "TIME",     "PUBLISH", "SCRIPT", "INFO",
                                           "CLUSTER", "FLUSHALL", "SCAN",    "DBSIZE"};

absl::string_view View(std::string_view text) { return absl::string_view(text.data(), text.size()); }

}  // namespace

int SlotOf(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Crc16(key) % kSlots;
}

std::optional<std::string_view> KeyOf(const std::vector<std::string>& command) {
  if (command.size() < 2) return std::nullopt;
  for (const absl::string_view verb : kAnywhere) {
    if (absl::EqualsIgnoreCase(command[0], verb)) return std::nullopt;
  }
  if (absl::EqualsIgnoreCase(command[0], "EVAL") ||
      absl::EqualsIgnoreCase(command[0], "EVALSHA")) {
    if (command.size() < 4 || command[2] == "0") return std::nullopt;
    return command[3];
  }
  return command[1];
}

absl::StatusOr<SlotMap> ParseSlotMap(const Reply& reply, const Endpoint& asked) {
  SlotMap map;
  map.owner.fill(SlotMap::kNobody);
  if (reply.type != Reply::Type::kArray) return absl::InternalError("unexpected CLUSTER SLOTS");
  for (const Reply& range : reply.elements) {
    // First slot, last slot, master, replicas; a node is address, port, id and more.
    if (range.elements.size() < 3 || range.elements[2].elements.size() < 2) {
      return absl::InternalError("unexpected CLUSTER SLOTS");
    }
    const std::int64_t first = range.elements[0].integer;
    const std::int64_t last = range.elements[1].integer;
    const std::vector<Reply>& node = range.elements[2].elements;
    if (first < 0 || last >= kSlots || first > last || node[1].integer < 1 ||
        node[1].integer > 65535) {
      return absl::InternalError("unexpected CLUSTER SLOTS");
    }
    Endpoint master(node[0].text, static_cast<int>(node[1].integer));
    // "?": a name should be told, but there is none (cluster-preferred-endpoint-type).
    if (master.host.empty() || master.host == "?") master.host = asked.host;
    auto found = std::find(map.masters.begin(), map.masters.end(), master);
    if (found == map.masters.end()) found = map.masters.insert(found, std::move(master));
    const auto index = static_cast<std::uint16_t>(found - map.masters.begin());
    std::fill(map.owner.begin() + first, map.owner.begin() + last + 1, index);
  }
  if (map.masters.empty()) return absl::UnavailableError("no slot is served");
  return map;
}

Redirect ParseRedirect(std::string_view error, const Endpoint& asked) {
  Redirect redirect;
  const absl::string_view text = View(error);
  const bool moved = absl::StartsWith(text, "MOVED ");
  if (moved || absl::StartsWith(text, "ASK ")) {
    // "MOVED 3999 127.0.0.1:6381"; IPv6 addresses stand there without brackets.
    const std::vector<absl::string_view> parts = absl::StrSplit(text, ' ', absl::SkipEmpty());
    if (parts.size() < 3) return redirect;
    const std::size_t colon = parts[2].rfind(':');
    int port = 0;
    if (colon == absl::string_view::npos ||
        !absl::SimpleAtoi(parts[2].substr(colon + 1), &port)) {
      return redirect;
    }
    redirect.to = Endpoint(std::string(parts[2].substr(0, colon)), port);
    if (redirect.to.host.empty() || redirect.to.host == "?") redirect.to.host = asked.host;
    redirect.kind = moved ? Redirect::Kind::kMoved : Redirect::Kind::kAsk;
  } else if (absl::StartsWith(text, "TRYAGAIN") ||
             // In the middle of a script, when a key of a slot that is moving has gone already.
             absl::StrContains(text, "access a non local key in a cluster node")) {
    redirect.kind = Redirect::Kind::kLater;
  } else if (absl::StartsWith(text, "CLUSTERDOWN") || absl::StartsWith(text, "LOADING") ||
             absl::StartsWith(text, "MASTERDOWN") || absl::StartsWith(text, "READONLY")) {
    redirect.kind = Redirect::Kind::kDown;
  }
  return redirect;
}

}  // namespace posthorn::redis
