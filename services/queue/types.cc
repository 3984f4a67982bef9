#include "services/queue/types.h"

#include "absl/strings/ascii.h"

namespace posthorn::queue {

std::string DestinationOf(const Recipient& recipient) {
  if (recipient.account) return kLocalDestination;
  const std::size_t at = recipient.address.rfind('@');
  if (at == std::string::npos) return "";
  return absl::AsciiStrToLower(recipient.address.substr(at + 1));
}

// FNV-1a, 31 bits of it.
int HashOf(const std::string& destination) {
  std::uint32_t hash = 2166136261u;
  for (const char c : destination) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  return static_cast<int>((hash ^ (hash >> 16)) & 0x7fffffff);
}

}  // namespace posthorn::queue
