#ifndef POSTHORN_APPS_POSTHORNCTL_OUTPUT_H_
#define POSTHORN_APPS_POSTHORNCTL_OUTPUT_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthorn::ctl {

// Columns as wide as their widest cell, for people.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// For programs: keys as in the .proto, all fields, integers as numbers, times as RFC 3339 (fields
// named *_at too), 16-octet ids as UUIDs and other bytes in hexadecimal.
std::string ToJson(const google::protobuf::Message& message);

// "2024-05-01 12:00:00 UTC"; "-" for 0.
std::string FormatTime(std::int64_t seconds);
// "512 B", "1.5 MiB"
std::string FormatOctets(std::uint64_t octets);
// A UUID from its 16 octets; hexadecimal of anything else.
std::string FormatId(std::string_view bytes);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_OUTPUT_H_
