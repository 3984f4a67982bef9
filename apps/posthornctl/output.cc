#include "apps/posthornctl/output.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace posthorn::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// Display width: octets that begin a character. Wide characters are rare in what is shown here.
std::size_t WidthOf(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

std::string ScalarToJson(const Message& message, const FieldDescriptor& field, int index) {
  const google::protobuf::Reflection& r = *message.GetReflection();
  const bool list = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const Message& child = list ? r.GetRepeatedMessage(message, &field, index)
                                  : r.GetMessage(message, &field);
      if (!list && !r.HasField(message, &field)) return "null";
      if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&child)) {
        return Quote(absl::FormatTime(absl::RFC3339_sec, absl::FromUnixSeconds(time->seconds()),
                                      absl::UTCTimeZone()));
      }
      return ToJson(child);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = list ? r.GetRepeatedString(message, &field, index)
                                    : r.GetString(message, &field);
      return Quote(field.type() == FieldDescriptor::TYPE_BYTES ? FormatId(text) : text);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return (list ? r.GetRepeatedBool(message, &field, index) : r.GetBool(message, &field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(list ? r.GetRepeatedInt32(message, &field, index)
                               : r.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64: {
      const std::int64_t value = list ? r.GetRepeatedInt64(message, &field, index)
                                      : r.GetInt64(message, &field);
      if (absl::EndsWith(field.name(), "_at")) {
        return Quote(absl::FormatTime(absl::RFC3339_sec, absl::FromUnixSeconds(value),
                                      absl::UTCTimeZone()));
      }
      return absl::StrCat(value);
    }
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(list ? r.GetRepeatedUInt64(message, &field, index)
                               : r.GetUInt64(message, &field));
    default:
      return "null";
  }
}

}  // namespace

std::string ToJson(const Message& message) {
  std::string out = "{";
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    absl::StrAppend(&out, i == 0 ? "" : ", ", Quote(field.name()), ": ");
    if (!field.is_repeated()) {
      out += ScalarToJson(message, field, 0);
      continue;
    }
    out += "[";
    for (int n = 0; n < message.GetReflection()->FieldSize(message, &field); ++n) {
      absl::StrAppend(&out, n == 0 ? "" : ", ", ScalarToJson(message, field, n));
    }
    out += "]";
  }
  return out + "}";
}

std::string Table::ToString() const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const std::vector<std::string>& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::string out;
  for (const std::vector<std::string>& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - WidthOf(row[i]) + 2, ' ');
    }
    out += "\n";
  }
  return out;
}

std::string FormatTime(std::int64_t seconds) {
  if (seconds == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

std::string FormatOctets(std::uint64_t octets) {
  if (octets < 1024) return absl::StrCat(octets, " B");
  double value = static_cast<double>(octets);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return absl::StrFormat("%.1f %s", value, unit);
}

std::string FormatId(std::string_view bytes) {
  std::string hex = absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
  if (hex.size() != 32) return hex;
  for (const std::size_t at : {20, 16, 12, 8}) hex.insert(at, "-");
  return hex;
}

}  // namespace posthorn::ctl
