#include "lib/mime/header_fields.h"

#include <cstring>

#include "lib/mime/ascii.h"

namespace posthorn::mime {
namespace {

// Octets of the line that starts at `position`, its line feed included.
std::size_t LineSize(std::string_view block, std::size_t position) {
  const char* start = block.data() + position;
  const std::size_t rest = block.size() - position;
  const void* feed = std::memchr(start, '\n', rest);
  return feed == nullptr ? rest : static_cast<const char*>(feed) - start + 1;
}

std::string_view WithoutLineEnd(std::string_view line) {
  if (!line.empty() && line.back() == '\n') {
    line.remove_suffix(1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  }
  return line;
}

bool IsBlankLine(std::string_view line) { return line == "\n" || line == "\r\n"; }

}  // namespace

std::optional<HeaderField> HeaderReader::Next() {
  if (done_ || position_ >= block_.size()) return std::nullopt;
  const std::size_t start = position_;
  std::size_t size = LineSize(block_, start);
  if (IsBlankLine(block_.substr(start, size))) {
    position_ += size;
    done_ = true;
    return std::nullopt;
  }
  while (start + size < block_.size() && IsBlank(block_[start + size])) {
    size += LineSize(block_, start + size);
  }
  position_ = start + size;

  HeaderField field;
  field.offset = start;
  field.size = size;
  const std::string_view text = WithoutLineEnd(block_.substr(start, size));
  const std::size_t colon = text.find(':');
  const std::size_t first_line = text.find('\n');
  if (colon == std::string_view::npos || colon > first_line || IsBlank(text.front())) {
    field.value = text;
    return field;
  }
  field.name = text.substr(0, colon);
  while (!field.name.empty() && IsBlank(field.name.back())) field.name.remove_suffix(1);
  field.value = text.substr(colon + 1);
  return field;
}

bool NameIs(const HeaderField& field, std::string_view name) {
  return EqualsIgnoreCase(field.name, name);
}

std::string Unfold(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\n' || (c == '\r' && i + 1 < value.size() && value[i + 1] == '\n')) continue;
    if (out.empty() && IsBlank(c)) continue;
    out.push_back(c);
  }
  while (!out.empty() && (IsBlank(out.back()) || out.back() == '\r')) out.pop_back();
  return out;
}

std::optional<std::string> FindHeader(std::string_view block, std::string_view name) {
  HeaderReader reader(block);
  while (std::optional<HeaderField> field = reader.Next()) {
    if (NameIs(*field, name)) return Unfold(field->value);
  }
  return std::nullopt;
}

std::size_t CountHeader(std::string_view block, std::string_view name) {
  std::size_t count = 0;
  HeaderReader reader(block);
  while (std::optional<HeaderField> field = reader.Next()) {
    if (NameIs(*field, name)) ++count;
  }
  return count;
}

std::optional<std::size_t> HeaderSize(std::string_view bytes) {
  for (std::size_t position = 0; position < bytes.size();) {
    const std::size_t size = LineSize(bytes, position);
    if (IsBlankLine(bytes.substr(position, size))) return position + size;
    position += size;
  }
  return std::nullopt;
}

}  // namespace posthorn::mime
