#ifndef POSTHORN_LIB_TELEMETRY_LOG_H_
#define POSTHORN_LIB_TELEMETRY_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Structured logging to standard error, one line an event:
//   log::Info("smtp", "accepted", {{"id", id.ToString()}, {"from", sender}, {"octets", size}});
// The message is a constant; what varies goes into fields. Never a secret, a password or a message
// body. Thread-safe. Below the level a call costs one comparison, if its arguments are cheap.
namespace posthorn::log {

enum class Level : int { kTrace = 0, kDebug = 1, kInfo = 2, kWarn = 3, kError = 4 };
enum class Format { kText, kJson };

// The value of a field. Refers to its argument, so it lives no longer than the call.
class Value {
 public:
  Value(std::string_view text) : kind_(Kind::kText), text_(text) {}
  Value(const std::string& text) : kind_(Kind::kText), text_(text) {}
  Value(const char* text) : kind_(Kind::kText), text_(text) {}
  Value(absl::string_view text) : kind_(Kind::kText), text_(text.data(), text.size()) {}
  Value(const absl::Status& status) : kind_(Kind::kStatus), status_(&status) {}
  Value(bool value) : kind_(Kind::kBool), number_(value) {}
  template <typename Number>
    requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>)
  Value(Number number) {
    if constexpr (std::is_floating_point_v<Number>) {
      kind_ = Kind::kReal;
      real_ = number;
    } else if constexpr (std::is_signed_v<Number>) {
      kind_ = Kind::kInteger;
      number_ = number;
    } else {
      kind_ = Kind::kUnsigned;
      number_ = static_cast<std::int64_t>(number);
    }
  }

  // Appends the value, quoted and escaped as `format` needs it.
  void AppendTo(std::string& line, Format format) const;

 private:
  enum class Kind { kText, kStatus, kInteger, kUnsigned, kReal, kBool };
  Kind kind_ = Kind::kText;
  std::string_view text_;
  const absl::Status* status_ = nullptr;
  std::int64_t number_ = 0;
  double real_ = 0;
};

struct Field {
  std::string_view key;
  Value value;
};
using Fields = std::initializer_list<Field>;

// Once at the start of the process; before that: kInfo, text.
void Configure(Level level, Format format);
// "trace", "debug", "info", "warn", "error"; anything else: kInvalidArgument.
absl::Status ParseLevel(std::string_view name, Level& level);

bool Enabled(Level level);
void Write(Level level, std::string_view component, std::string_view message, Fields fields);
// Before the process ends on its own.
void Flush();

inline void Debug(std::string_view component, std::string_view message, Fields fields = {}) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, component, message, fields);
}
inline void Info(std::string_view component, std::string_view message, Fields fields = {}) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, component, message, fields);
}
inline void Warn(std::string_view component, std::string_view message, Fields fields = {}) {
  if (Enabled(Level::kWarn)) Write(Level::kWarn, component, message, fields);
}
inline void Error(std::string_view component, std::string_view message, Fields fields = {}) {
  if (Enabled(Level::kError)) Write(Level::kError, component, message, fields);
}

// The line that Write gives to the sink, without time and level; for tests.
std::string FormatLine(std::string_view component, std::string_view message, Fields fields,
                       Format format);

}  // namespace posthorn::log

#endif  // POSTHORN_LIB_TELEMETRY_LOG_H_
