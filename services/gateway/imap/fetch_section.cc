#include "services/gateway/imap/fetch_section.h"

#include <algorithm>

#include "lib/mime/header_fields.h"

namespace posthorn::gateway {
namespace {

using imap::FetchItem;
using imap::Section;
using Text = imap::Section::Text;

bool IsHeader(Text text) {
  return text == Text::kHeader || text == Text::kHeaderFields || text == Text::kHeaderFieldsNot;
}

Octets Clamp(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  offset = std::min(offset, size);
  return Octets{offset, std::min(length, size - offset)};
}

}  // namespace

std::optional<Section> SectionOf(const FetchItem& item) {
  Section section;
  switch (item.kind) {
    case FetchItem::Kind::kBodySection:
      return item.section;
    case FetchItem::Kind::kRfc822:
      return section;
    case FetchItem::Kind::kRfc822Header:
      section.text = Text::kHeader;
      return section;
    case FetchItem::Kind::kRfc822Text:
      section.text = Text::kText;
      return section;
    default:
      return std::nullopt;
  }
}

bool SetsSeen(const FetchItem& item) {
  const bool section =
      item.kind == FetchItem::Kind::kBodySection || item.kind == FetchItem::Kind::kBinary;
  return (section && !item.peek) || item.kind == FetchItem::Kind::kRfc822 ||
         item.kind == FetchItem::Kind::kRfc822Text;
}

FetchParts PartsFor(const std::vector<FetchItem>& items) {
  FetchParts parts;
  for (const FetchItem& item : items) {
    if (item.kind == FetchItem::Kind::kEnvelope) parts.envelope = true;
    if (item.kind == FetchItem::Kind::kBody || item.kind == FetchItem::Kind::kBodyStructure) {
      parts.structure = true;
    }
    if (item.kind == FetchItem::Kind::kSaveDate) parts.saved_at = true;
    if (item.kind == FetchItem::Kind::kEmailId || item.kind == FetchItem::Kind::kThreadId) {
      parts.ids = true;
    }
    if (item.kind == FetchItem::Kind::kPreview && parts.preview != FetchParts::Preview::kYes) {
      parts.preview = item.lazy ? FetchParts::Preview::kLazy : FetchParts::Preview::kYes;
    }
    if (item.kind == FetchItem::Kind::kBinary || item.kind == FetchItem::Kind::kBinarySize) {
      parts.body = true;
      parts.structure = true;
    }
    const std::optional<Section> section = SectionOf(item);
    if (!section) continue;
    if (section->part.empty() && IsHeader(section->text)) {
      parts.header = true;
    } else {
      parts.body = true;
      if (!section->part.empty() || section->text != Text::kAll) parts.structure = true;
    }
  }
  return parts;
}

std::optional<Octets> Locate(const Section& section, const mime::Structure& structure,
                             std::uint32_t prefix_size, std::uint64_t size) {
  const mime::Part* part = mime::FindPart(structure, section.part);
  if (part == nullptr) return std::nullopt;
  // The header of the message itself begins with the prefix.
  const auto header_of = [&](const mime::Part& of) {
    if (&of == &structure.root) return Clamp(0, prefix_size + of.header_size, size);
    return Clamp(prefix_size + of.header_offset, of.header_size, size);
  };
  const auto body_of = [&](const mime::Part& of) {
    return Clamp(prefix_size + of.body_offset, of.body_size, size);
  };
  if (section.part.empty()) {
    if (section.text == Text::kAll) return Octets{0, size};
    if (section.text == Text::kText) return body_of(*part);
    return header_of(*part);
  }
  if (section.text == Text::kAll) return body_of(*part);
  if (section.text == Text::kMime) return header_of(*part);
  // HEADER and TEXT of a part: only of a message/rfc822.
  if (part->kind != mime::Part::Kind::kMessage || part->parts.empty()) return std::nullopt;
  const mime::Part& nested = part->parts.front();
  return section.text == Text::kText ? body_of(nested) : header_of(nested);
}

std::string FilterHeader(std::string_view header, const Section& section) {
  const bool keep_named = section.text == Text::kHeaderFields;
  std::string result;
  mime::HeaderReader reader(header);
  while (const std::optional<mime::HeaderField> field = reader.Next()) {
    const bool named =
        std::any_of(section.fields.begin(), section.fields.end(),
                    [&](const std::string& name) { return mime::NameIs(*field, name); });
    if (named == keep_named) result += header.substr(field->offset, field->size);
  }
  // The last field may have come without a line end.
  if (!result.empty() && result.back() != '\n') result += "\r\n";
  result += "\r\n";
  return result;
}

}  // namespace posthorn::gateway
