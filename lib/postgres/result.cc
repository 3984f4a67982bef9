#include "lib/postgres/result.h"

#include <postgresql/libpq-fe.h>

#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"

namespace posthorn::postgres {
namespace {

std::int64_t BigEndian(std::string_view data) {
  std::uint64_t value = 0;
  for (const char c : data) value = (value << 8) | static_cast<unsigned char>(c);
  switch (data.size()) {
    case 1: return static_cast<std::int8_t>(value);
    case 2: return static_cast<std::int16_t>(value);
    case 4: return static_cast<std::int32_t>(value);
    default: return static_cast<std::int64_t>(value);
  }
}

// Calls `fn` with each element of a one-dimensional array in binary format.
template <typename Fn>
void ForEachElement(std::string_view data, Fn fn) {
  if (data.size() < 20 || BigEndian(data.substr(0, 4)) != 1) return;
  const std::int64_t count = BigEndian(data.substr(12, 4));
  data.remove_prefix(20);
  for (std::int64_t i = 0; i < count && data.size() >= 4; ++i) {
    const std::int64_t size = BigEndian(data.substr(0, 4));
    data.remove_prefix(4);
    if (size < 0) {
      fn(std::string_view());
      continue;
    }
    fn(data.substr(0, static_cast<std::size_t>(size)));
    data.remove_prefix(std::min(data.size(), static_cast<std::size_t>(size)));
  }
}

}  // namespace

Result::Result(Result&& other) noexcept : result_(std::exchange(other.result_, nullptr)) {}

Result& Result::operator=(Result&& other) noexcept {
  if (this != &other) {
    PQclear(result_);
    result_ = std::exchange(other.result_, nullptr);
  }
  return *this;
}

Result::~Result() { PQclear(result_); }

int Result::rows() const { return PQntuples(result_); }

std::int64_t Result::affected() const {
  std::int64_t count = 0;
  if (result_ == nullptr || !absl::SimpleAtoi(PQcmdTuples(result_), &count)) return 0;
  return count;
}

bool Result::IsNull(int row, int column) const {
  return PQgetisnull(result_, row, column) != 0;
}

std::string_view Result::Bytes(int row, int column) const {
  return {PQgetvalue(result_, row, column),
          static_cast<std::size_t>(PQgetlength(result_, row, column))};
}

std::int64_t Result::Int(int row, int column) const { return BigEndian(Bytes(row, column)); }

bool Result::Bool(int row, int column) const { return Int(row, column) != 0; }

double Result::Double(int row, int column) const {
  const std::int64_t bits = Int(row, column);
  double value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

absl::Time Result::Time(int row, int column) const {
  if (IsNull(row, column)) return absl::UnixEpoch();
  const std::int64_t raw = Int(row, column);
  if (raw == std::numeric_limits<std::int64_t>::max()) return absl::InfiniteFuture();
  if (raw == std::numeric_limits<std::int64_t>::min()) return absl::InfinitePast();
  return absl::FromUnixMicros(raw + std::int64_t{946684800} * 1000000);
}

std::vector<std::int64_t> Result::Ints(int row, int column) const {
  std::vector<std::int64_t> values;
  ForEachElement(Bytes(row, column), [&](std::string_view e) { values.push_back(BigEndian(e)); });
  return values;
}

std::vector<std::string> Result::Texts(int row, int column) const {
  std::vector<std::string> values;
  ForEachElement(Bytes(row, column), [&](std::string_view e) { values.emplace_back(e); });
  return values;
}

}  // namespace posthorn::postgres
