#include "services/mailbox/message_facts.h"

#include <cstdint>

#include "lib/mime/envelope.h"
#include "lib/mime/scanner.h"
#include "lib/mime/structure.h"

namespace posthorn::mailbox {

MessageFacts FactsOf(const mime::Message& message) {
  return MessageFacts{mime::SerialiseEnvelope(message.envelope),
                      mime::SerialiseStructure(message.structure)};
}

MessageFacts FactsOf(std::string_view body) { return FactsOf(mime::Scan(body)); }

// The envelope's size in four octets, the envelope, the structure.
std::string PackFacts(const MessageFacts& facts) {
  std::string info;
  const auto size = static_cast<std::uint32_t>(facts.envelope.size());
  for (int shift = 24; shift >= 0; shift -= 8) info.push_back(static_cast<char>(size >> shift));
  return info + facts.envelope + facts.structure;
}

absl::StatusOr<MessageFacts> UnpackFacts(std::string_view info) {
  if (info.size() < 4) return absl::DataLossError("damaged body info");
  std::size_t size = 0;
  for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(info[i]);
  info.remove_prefix(4);
  if (size > info.size()) return absl::DataLossError("damaged body info");
  return MessageFacts{std::string(info.substr(0, size)), std::string(info.substr(size))};
}

}  // namespace posthorn::mailbox
