#include "lib/postgres/params.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/postgres/text.h"

namespace posthorn::postgres {
namespace {

void Put32(std::string& out, std::uint32_t value) {
  char bytes[4];
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(value >> (24 - 8 * i));
  out.append(bytes, 4);
}

void Put64(std::string& out, std::int64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (56 - 8 * i));
  }
  out.append(bytes, 8);
}

// Microseconds since 2000-01-01 (PostgreSQL's timestamp format).
std::int64_t ToPostgres(absl::Time time) {
  constexpr std::int64_t kEpoch = 946684800;
  if (time == absl::InfiniteFuture()) return std::numeric_limits<std::int64_t>::max();
  if (time == absl::InfinitePast()) return std::numeric_limits<std::int64_t>::min();
  return absl::ToUnixMicros(time) - kEpoch * 1000000;
}

// The header of a one-dimensional array: dimensions, has nulls, element type, size, lower bound.
std::string ArrayHeader(std::size_t size, bool nulls, std::uint32_t element_type,
                        std::size_t reserve) {
  std::string out;
  out.reserve(20 + reserve);
  Put32(out, size == 0 ? 0 : 1);
  Put32(out, nulls ? 1 : 0);
  Put32(out, element_type);
  if (size == 0) return out;
  Put32(out, static_cast<std::uint32_t>(size));
  Put32(out, 1);
  return out;
}

}  // namespace

Params& Params::AddOwned(Type type, std::string data) {
  values_.push_back(Value{type, false, std::move(data), {}});
  return *this;
}

Params& Params::AddNull(Type type) {
  values_.push_back(Value{type, true, {}, {}});
  return *this;
}

Params& Params::AddInt(std::int64_t value) {
  std::string data;
  Put64(data, value);
  return AddOwned(kInt8, std::move(data));
}

Params& Params::AddBool(bool value) { return AddOwned(kBool, std::string(1, value ? 1 : 0)); }

Params& Params::Add(std::string_view text) {
  if (IsStorableText(text)) return AddOwned(kText, std::string(text));
  return AddOwned(kText, SanitizeText(text));
}

Params& Params::Add(Bytes bytes) {
  const std::string_view data = bytes.data.data() == nullptr ? std::string_view("") : bytes.data;
  values_.push_back(Value{kBytea, false, {}, data});
  return *this;
}

Params& Params::Add(absl::Time time) {
  std::string data;
  Put64(data, ToPostgres(time));
  return AddOwned(kTimestampTz, std::move(data));
}

Params& Params::AddInts(absl::Span<const std::int64_t> values) {
  std::string out = ArrayHeader(values.size(), false, kInt8, values.size() * 12);
  for (const std::int64_t value : values) {
    Put32(out, 8);
    Put64(out, value);
  }
  return AddOwned(kInt8Array, std::move(out));
}

Params& Params::AddTimes(absl::Span<const absl::Time> values) {
  std::string out = ArrayHeader(values.size(), false, kTimestampTz, values.size() * 12);
  for (const absl::Time value : values) {
    Put32(out, 8);
    Put64(out, ToPostgres(value));
  }
  return AddOwned(kTimestampTzArray, std::move(out));
}

Params& Params::AddTexts(absl::Span<const std::string> values) {
  std::string out = ArrayHeader(values.size(), false, kText, 0);
  for (const std::string& value : values) {
    const std::string clean = IsStorableText(value) ? value : SanitizeText(value);
    Put32(out, static_cast<std::uint32_t>(clean.size()));
    out += clean;
  }
  return AddOwned(kTextArray, std::move(out));
}

Params& Params::AddBytesArray(absl::Span<const std::optional<std::string_view>> values) {
  std::size_t total = values.size() * 4;
  bool nulls = false;
  for (const auto& value : values) {
    total += value.has_value() ? value->size() : 0;
    nulls = nulls || !value.has_value();
  }
  std::string out = ArrayHeader(values.size(), nulls, kBytea, total);
  for (const auto& value : values) {
    Put32(out, value.has_value() ? static_cast<std::uint32_t>(value->size())
                                 : std::numeric_limits<std::uint32_t>::max());
    if (value.has_value()) out += *value;
  }
  return AddOwned(kByteaArray, std::move(out));
}

std::string TenantArray(absl::Span<const TenantId> tenants) {
  return absl::StrCat("{",
                      absl::StrJoin(tenants, ",",
                                    [](std::string* out, TenantId tenant) {
                                      absl::StrAppend(out, tenant.value());
                                    }),
                      "}");
}

}  // namespace posthorn::postgres
