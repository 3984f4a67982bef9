#include "lib/telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::log {
namespace {

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

std::atomic<int> minimum_level{static_cast<int>(Level::kInfo)};
std::atomic<Format> line_format{Format::kText};

// Never destroyed: threads may log while the process exits.
spdlog::logger& Sink() {
  static spdlog::logger* const logger = [] {
    auto* made =
        new spdlog::logger("posthorn", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);
    made->set_pattern(kTextPattern, spdlog::pattern_time_type::utc);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kTrace: return spdlog::level::trace;
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarn: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

// A peer's bytes must not be able to start a new line or end a string.
void AppendQuoted(std::string& line, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  line.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (byte < 0x20 || byte >= 0x7f) {
      line.append("\\u00");
      line.push_back(kHex[byte >> 4]);
      line.push_back(kHex[byte & 15]);
    } else {
      line.push_back(c);
    }
  }
  line.push_back('"');
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') return true;
  }
  return false;
}

void AppendText(std::string& line, std::string_view text, Format format) {
  if (format == Format::kJson || NeedsQuotes(text)) {
    AppendQuoted(line, text);
  } else {
    line.append(text);
  }
}

std::string Describe(const absl::Status& status) {
  if (status.ok()) return "ok";
  const Failure failure = FailureOf(status);
  const absl::string_view message = status.message();
  if (failure != Failure::kUnknown) {
    const std::string_view name = RowOf(failure).name;
    return absl::StrCat(absl::string_view(name.data(), name.size()), ": ", message);
  }
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", message);
}

}  // namespace

void Value::AppendTo(std::string& line, Format format) const {
  switch (kind_) {
    case Kind::kText: return AppendText(line, text_, format);
    case Kind::kStatus: return AppendText(line, Describe(*status_), format);
    case Kind::kInteger: return absl::StrAppend(&line, number_);
    case Kind::kUnsigned: return absl::StrAppend(&line, static_cast<std::uint64_t>(number_));
    case Kind::kReal: return absl::StrAppend(&line, real_);
    case Kind::kBool: return absl::StrAppend(&line, number_ != 0 ? "true" : "false");
  }
}

std::string FormatLine(std::string_view component, std::string_view message, Fields fields,
                       Format format) {
  std::string line;
  line.reserve(64 + fields.size() * 32);
  if (format == Format::kJson) {
    line.append("\"component\":");
    AppendQuoted(line, component);
    line.append(",\"message\":");
    AppendQuoted(line, message);
    for (const Field& field : fields) {
      line.push_back(',');
      AppendQuoted(line, field.key);
      line.push_back(':');
      field.value.AppendTo(line, format);
    }
    return line;
  }
  line.append(component).append(": ").append(message);
  for (const Field& field : fields) {
    line.push_back(' ');
    line.append(field.key).push_back('=');
    field.value.AppendTo(line, format);
  }
  return line;
}

void Configure(Level level, Format format) {
  minimum_level.store(static_cast<int>(level), std::memory_order_relaxed);
  line_format.store(format, std::memory_order_relaxed);
  Sink().set_pattern(format == Format::kJson ? kJsonPattern : kTextPattern,
                     spdlog::pattern_time_type::utc);
}

absl::Status ParseLevel(std::string_view name, Level& level) {
  constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error"};
  for (int i = 0; i < 5; ++i) {
    if (kNames[i] == name) {
      level = static_cast<Level>(i);
      return absl::OkStatus();
    }
  }
  return MakeFailure(Failure::kInvalidArgument,
                     "a log level is trace, debug, info, warn or error");
}

bool Enabled(Level level) {
  return static_cast<int>(level) >= minimum_level.load(std::memory_order_relaxed);
}

void Write(Level level, std::string_view component, std::string_view message, Fields fields) {
  const Format format = line_format.load(std::memory_order_relaxed);
  const std::string line = FormatLine(component, message, fields, format);
  Sink().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void Flush() { Sink().flush(); }

}  // namespace posthorn::log
