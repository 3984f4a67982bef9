#include "lib/mime/structure.h"

#include <utility>

#include "absl/status/status.h"
#include "lib/mime/ascii.h"
#include "lib/mime/wire.h"

namespace posthorn::mime {
namespace {

// Deeper than any structure the scanner makes (a nested message is two levels).
constexpr int kMaxReadDepth = 256;

// Which optional values of a part follow; most parts have none.
enum : std::uint8_t {
  kHasId = 1,
  kHasDescription = 2,
  kHasMd5 = 4,
  kHasDisposition = 8,
  kHasLanguage = 16,
  kHasLocation = 32,
};

void WriteParams(const std::vector<Parameter>& params, WireWriter& writer) {
  writer.Number(params.size());
  for (const Parameter& param : params) {
    writer.Text(param.name);
    writer.Text(param.value);
  }
}

void ReadParams(WireReader& reader, std::vector<Parameter>* params) {
  const std::size_t count = reader.Count();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Parameter& param = params->emplace_back();
    param.name = reader.Text();
    param.value = reader.Text();
  }
}

void WritePart(const Part& part, WireWriter& writer) {
  writer.Byte(static_cast<std::uint8_t>(part.kind));
  writer.Byte(static_cast<std::uint8_t>(
      (part.id ? kHasId : 0) | (part.description ? kHasDescription : 0) |
      (part.md5 ? kHasMd5 : 0) | (part.disposition ? kHasDisposition : 0) |
      (part.language.empty() ? 0 : kHasLanguage) | (part.location ? kHasLocation : 0)));
  writer.Text(part.type);
  writer.Text(part.subtype);
  WriteParams(part.params, writer);
  writer.Text(part.encoding);
  if (part.id) writer.Text(*part.id);
  if (part.description) writer.Text(*part.description);
  if (part.md5) writer.Text(*part.md5);
  if (part.disposition) {
    writer.Text(*part.disposition);
    WriteParams(part.disposition_params, writer);
  }
  if (!part.language.empty()) {
    writer.Number(part.language.size());
    for (const std::string& language : part.language) writer.Text(language);
  }
  if (part.location) writer.Text(*part.location);
  // The body follows the header.
  writer.Number(part.header_offset);
  writer.Number(part.header_size);
  writer.Number(part.body_size);
  writer.Number(part.header_lines);
  writer.Number(part.body_lines);
  if (part.kind == Part::Kind::kMessage) WriteEnvelope(*part.envelope, writer);
  if (part.kind != Part::Kind::kLeaf) {
    writer.Number(part.parts.size());
    for (const Part& child : part.parts) WritePart(child, writer);
  }
}

bool ReadPart(WireReader& reader, int depth, Part* part) {
  const std::uint8_t kind = reader.Byte();
  if (kind > static_cast<std::uint8_t>(Part::Kind::kMessage) || depth > kMaxReadDepth) return false;
  part->kind = static_cast<Part::Kind>(kind);
  const std::uint8_t has = reader.Byte();
  part->type = reader.Text();
  part->subtype = reader.Text();
  ReadParams(reader, &part->params);
  part->encoding = reader.Text();
  if ((has & kHasId) != 0) part->id = reader.Text();
  if ((has & kHasDescription) != 0) part->description = reader.Text();
  if ((has & kHasMd5) != 0) part->md5 = reader.Text();
  if ((has & kHasDisposition) != 0) {
    part->disposition = reader.Text();
    ReadParams(reader, &part->disposition_params);
  }
  if ((has & kHasLanguage) != 0) {
    const std::size_t count = reader.Count();
    for (std::size_t i = 0; i < count && reader.ok(); ++i) part->language.push_back(reader.Text());
  }
  if ((has & kHasLocation) != 0) part->location = reader.Text();
  part->header_offset = reader.Number();
  part->header_size = reader.Number();
  part->body_offset = part->header_offset + part->header_size;
  part->body_size = reader.Number();
  part->header_lines = static_cast<std::uint32_t>(reader.Number());
  part->body_lines = static_cast<std::uint32_t>(reader.Number());
  if (part->kind == Part::Kind::kMessage) {
    part->envelope = std::make_unique<Envelope>();
    ReadEnvelope(reader, part->envelope.get());
  }
  if (part->kind != Part::Kind::kLeaf) {
    const std::size_t count = reader.Count();
    if (part->kind == Part::Kind::kMessage && count != 1) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (!ReadPart(reader, depth + 1, &part->parts.emplace_back())) return false;
    }
  }
  return reader.ok();
}

bool SameEnvelope(const Part& a, const Part& b) {
  if (a.envelope == nullptr || b.envelope == nullptr) return a.envelope == b.envelope;
  return *a.envelope == *b.envelope;
}

}  // namespace

bool Part::IsType(std::string_view type_in) const { return EqualsIgnoreCase(type, type_in); }

bool Part::IsType(std::string_view type_in, std::string_view subtype_in) const {
  return IsType(type_in) && EqualsIgnoreCase(subtype, subtype_in);
}

const std::string* Part::Param(std::string_view name) const {
  for (const Parameter& param : params) {
    if (EqualsIgnoreCase(param.name, name)) return &param.value;
  }
  return nullptr;
}

bool operator==(const Part& a, const Part& b) {
  return a.kind == b.kind && a.type == b.type && a.subtype == b.subtype && a.params == b.params &&
         a.id == b.id && a.description == b.description && a.encoding == b.encoding &&
         a.md5 == b.md5 && a.disposition == b.disposition &&
         a.disposition_params == b.disposition_params && a.language == b.language &&
         a.location == b.location && a.header_offset == b.header_offset &&
         a.header_size == b.header_size && a.body_offset == b.body_offset &&
         a.body_size == b.body_size && a.header_lines == b.header_lines &&
         a.body_lines == b.body_lines && SameEnvelope(a, b) && a.parts == b.parts;
}

const Part* FindPart(const Structure& structure, const std::vector<std::uint32_t>& numbers) {
  const Part* part = &structure.root;
  bool is_message = true;  // `part` is the root of a message
  for (const std::uint32_t number : numbers) {
    if (part->kind == Part::Kind::kMessage && !is_message) {
      part = &part->parts.front();
      is_message = true;
    }
    if (part->kind == Part::Kind::kMultipart) {
      if (number == 0 || number > part->parts.size()) return nullptr;
      part = &part->parts[number - 1];
    } else if (number != 1 || !is_message) {
      return nullptr;
    }
    is_message = false;
  }
  return part;
}

std::string SerialiseStructure(const Structure& structure) {
  std::string bytes;
  bytes.reserve(128);
  WireWriter writer(&bytes);
  writer.Byte(kStructureVersion);
  writer.Byte(structure.lacks_final_line_end ? 1 : 0);
  WritePart(structure.root, writer);
  return bytes;
}

absl::StatusOr<Structure> ParseStructure(std::string_view bytes) {
  WireReader reader(bytes);
  if (reader.Byte() != kStructureVersion) return absl::DataLossError("structure version");
  Structure structure;
  structure.lacks_final_line_end = reader.Byte() != 0;
  if (!ReadPart(reader, 0, &structure.root) || reader.remaining() != 0) {
    return absl::DataLossError("structure");
  }
  return structure;
}

}  // namespace posthorn::mime
