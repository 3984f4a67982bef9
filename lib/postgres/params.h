#ifndef POSTHORN_LIB_POSTGRES_PARAMS_H_
#define POSTHORN_LIB_POSTGRES_PARAMS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/ids.h"

namespace posthorn::postgres {

// Marks octets (bytea) apart from text.
struct Bytes {
  explicit Bytes(std::string_view data_in) : data(data_in) {}
  std::string_view data;
};

// The arguments $1, $2, ... of a statement, in binary format. Integers travel as bigint, so cast in
// SQL where a function or column wants less ($1::int). Text is sanitised (text.h). Bytes are not
// copied: what they point at must outlive the Exec.
class Params {
 public:
  Params() = default;
  // One argument each: integers, bool, strings, Bytes, absl::Time, Id, std::optional of these.
  template <typename... T>
  static Params Of(const T&... values) {
    Params params;
    (params.Add(values), ...);
    return params;
  }

  template <typename T>
    requires std::is_integral_v<T> && (!std::is_same_v<T, bool>)
  Params& Add(T value) {
    return AddInt(static_cast<std::int64_t>(value));
  }
  template <typename T>
    requires std::is_same_v<T, bool>
  Params& Add(T value) {
    return AddBool(value);
  }
  template <typename Tag>
  Params& Add(Id<Tag> id) {
    return AddInt(id.value());
  }
  Params& Add(std::string_view text);
  Params& Add(const std::string& text) { return Add(std::string_view(text)); }
  Params& Add(const char* text) { return Add(std::string_view(text)); }
  Params& Add(Bytes bytes);
  Params& Add(absl::Time time);  // timestamptz
  template <typename T>
  Params& Add(const std::optional<T>& value) {
    if (value.has_value()) return Add(*value);
    if constexpr (std::is_same_v<T, Bytes>) return AddNull(kBytea);
    if constexpr (std::is_same_v<T, absl::Time>) return AddNull(kTimestampTz);
    if constexpr (std::is_convertible_v<T, std::string_view>) return AddNull(kText);
    return AddNull(kInt8);
  }

  // Arrays: bigint[], text[], bytea[], timestamptz[]. nullopt elements are NULL.
  Params& AddInts(absl::Span<const std::int64_t> values);
  Params& AddTexts(absl::Span<const std::string> values);
  Params& AddBytesArray(absl::Span<const std::optional<std::string_view>> values);
  Params& AddTimes(absl::Span<const absl::Time> values);

  std::size_t size() const { return values_.size(); }

 private:
  friend class Connection;
  enum Type : std::uint32_t {
    kBool = 16, kBytea = 17, kInt8 = 20, kText = 25, kTimestampTz = 1184,
    kByteaArray = 1001, kTextArray = 1009, kInt8Array = 1016, kTimestampTzArray = 1185,
  };
  struct Value {
    Type type;
    bool null;
    std::string owned;
    std::string_view borrowed;  // used when data() is not null
    std::string_view view() const { return borrowed.data() != nullptr ? borrowed : owned; }
  };
  Params& AddInt(std::int64_t value);
  Params& AddBool(bool value);
  Params& AddNull(Type type);
  Params& AddOwned(Type type, std::string data);

  std::vector<Value> values_;
};

// "{1,2}" for the setting app.t.
std::string TenantArray(absl::Span<const TenantId> tenants);

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_PARAMS_H_
