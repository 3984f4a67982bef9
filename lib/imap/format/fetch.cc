#include "lib/imap/format/format.h"

namespace posthorn::imap {

void AppendSectionName(const FetchItem& item, std::string& out) {
  const Section& section = item.section;
  out += item.kind == FetchItem::Kind::kBinary       ? "BINARY["
         : item.kind == FetchItem::Kind::kBinarySize ? "BINARY.SIZE["
                                                     : "BODY[";
  for (std::size_t i = 0; i < section.part.size(); ++i) {
    if (i > 0) out += '.';
    AppendNumber(section.part[i], out);
  }
  if (section.text != Section::Text::kAll && !section.part.empty()) out += '.';
  switch (section.text) {
    case Section::Text::kAll:
      break;
    case Section::Text::kHeader:
      out += "HEADER";
      break;
    case Section::Text::kHeaderFields:
      out += "HEADER.FIELDS";
      break;
    case Section::Text::kHeaderFieldsNot:
      out += "HEADER.FIELDS.NOT";
      break;
    case Section::Text::kText:
      out += "TEXT";
      break;
    case Section::Text::kMime:
      out += "MIME";
      break;
  }
  if (!section.fields.empty()) {
    out += " (";
    for (std::size_t i = 0; i < section.fields.size(); ++i) {
      if (i > 0) out += ' ';
      AppendAString(section.fields[i], out);
    }
    out += ')';
  }
  out += ']';
  if (item.partial) {
    out += '<';
    AppendNumber(item.partial->offset, out);
    out += '>';
  }
}

}  // namespace posthorn::imap
