#include "lib/mime/envelope.h"

#include "absl/status/status.h"
#include "lib/mime/wire.h"

namespace posthorn::mime {
namespace {

void WriteAddresses(const AddressList& list, WireWriter& writer) {
  writer.Number(list.size());
  for (const Address& address : list) {
    writer.OptionalText(address.name);
    writer.OptionalText(address.route);
    writer.OptionalText(address.mailbox);
    writer.OptionalText(address.host);
  }
}

void ReadAddresses(WireReader& reader, AddressList* list) {
  const std::size_t count = reader.Count();
  list->reserve(count / 4);  // each takes at least four octets
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Address& address = list->emplace_back();
    address.name = reader.OptionalText();
    address.route = reader.OptionalText();
    address.mailbox = reader.OptionalText();
    address.host = reader.OptionalText();
  }
}

}  // namespace

void WriteEnvelope(const Envelope& envelope, WireWriter& writer) {
  writer.OptionalText(envelope.date);
  writer.OptionalText(envelope.subject);
  WriteAddresses(envelope.from, writer);
  WriteAddresses(envelope.sender, writer);
  WriteAddresses(envelope.reply_to, writer);
  WriteAddresses(envelope.to, writer);
  WriteAddresses(envelope.cc, writer);
  WriteAddresses(envelope.bcc, writer);
  writer.OptionalText(envelope.in_reply_to);
  writer.OptionalText(envelope.message_id);
}

void ReadEnvelope(WireReader& reader, Envelope* envelope) {
  envelope->date = reader.OptionalText();
  envelope->subject = reader.OptionalText();
  ReadAddresses(reader, &envelope->from);
  ReadAddresses(reader, &envelope->sender);
  ReadAddresses(reader, &envelope->reply_to);
  ReadAddresses(reader, &envelope->to);
  ReadAddresses(reader, &envelope->cc);
  ReadAddresses(reader, &envelope->bcc);
  envelope->in_reply_to = reader.OptionalText();
  envelope->message_id = reader.OptionalText();
}

std::string ShortReferences(std::string_view value) {
  if (value.size() <= kMaxReferencesOctets) return std::string(value);
  const std::size_t end = value.find('>');
  std::string first;
  if (end < kMaxReferencesOctets / 2) first = std::string(value.substr(0, end + 1));
  const std::string_view tail = value.substr(value.size() - (kMaxReferencesOctets - first.size()));
  const std::size_t start = tail.find('<');
  return start == std::string_view::npos ? first : first + std::string(tail.substr(start));
}

std::string SerialiseEnvelope(const Envelope& envelope) {
  std::string bytes;
  bytes.reserve(256);
  WireWriter writer(&bytes);
  writer.Byte(kEnvelopeVersion);
  WriteEnvelope(envelope, writer);
  writer.OptionalText(envelope.references);
  return bytes;
}

absl::StatusOr<Envelope> ParseEnvelope(std::string_view bytes) {
  WireReader reader(bytes);
  if (reader.Byte() != kEnvelopeVersion) return absl::DataLossError("envelope version");
  Envelope envelope;
  ReadEnvelope(reader, &envelope);
  envelope.references = reader.OptionalText();
  if (!reader.ok() || reader.remaining() != 0) return absl::DataLossError("envelope");
  return envelope;
}

}  // namespace posthorn::mime
