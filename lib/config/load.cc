#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/config/applier.h"
#include "lib/config/check.h"
#include "lib/config/config.h"

namespace posthorn::config {
namespace {

constexpr char kPrefix[] = "POSTHORN_";

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot read the configuration file: ", strerror(errno)));
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot read the configuration file: it is a directory"));
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot read the configuration file: ", strerror(errno)));
  }
  return text.str();
}

absl::Status ApplyFile(const std::string& path, Origins& origins, v1::Config& config) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(*text);
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": has more than one YAML document (a line \"---\")"));
    }
    if (documents.empty()) return absl::OkStatus();
    return Applier(path, true, origins).ApplyMap(documents[0], config, "");
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", e.mark.line + 1, ": is not valid YAML: ", e.msg));
  }
}

// "gateway.smtp_listeners[0].port"
absl::StatusOr<std::vector<Step>> ParseKey(std::string_view key) {
  std::vector<Step> steps;
  while (true) {
    std::size_t end = 0;
    while (end < key.size() && (absl::ascii_isalnum(key[end]) || key[end] == '_')) ++end;
    if (end == 0) return absl::InvalidArgumentError("is not a key such as gateway.api_port");
    steps.emplace_back(std::string(key.substr(0, end)));
    key.remove_prefix(end);
    while (!key.empty() && key.front() == '[') {
      const std::size_t close = key.find(']');
      int index = -1;
      if (close == std::string_view::npos ||
          !absl::SimpleAtoi(std::string(key.substr(1, close - 1)), &index) || index < 0) {
        return absl::InvalidArgumentError("is not a key such as delivery.routes[0].pattern");
      }
      steps.emplace_back(index);
      key.remove_prefix(close + 1);
    }
    if (key.empty()) return steps;
    if (key.front() != '.') return absl::InvalidArgumentError("is not a key such as log.level");
    key.remove_prefix(1);
  }
}

absl::Status ApplyEnvironment(const std::vector<std::string>& environment, Origins& origins,
                              v1::Config& config) {
  for (const std::string& entry : environment) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || !absl::StartsWith(entry, kPrefix)) continue;
    const std::string name = entry.substr(0, equals);
    const std::string key = absl::AsciiStrToLower(name.substr(strlen(kPrefix)));
    const auto* top = v1::Config::descriptor()->FindFieldByName(key);
    const bool is_value = top != nullptr && top->message_type() == nullptr;
    if (!absl::StrContains(key, "__") && !is_value) continue;
    std::vector<Step> steps;
    const std::vector<std::string> parts = absl::StrSplit(key, "__");
    for (const std::string& part : parts) {
      int index = -1;
      if (!steps.empty() && absl::SimpleAtoi(part, &index) && index >= 0) {
        steps.emplace_back(index);
      } else {
        steps.emplace_back(part);
      }
    }
    Applier applier(absl::StrCat("environment variable ", name), false, origins);
    absl::Status applied = applier.ApplyOverride(steps, entry.substr(equals + 1), config);
    if (!applied.ok()) return applied;
  }
  return absl::OkStatus();
}

absl::Status ApplyOverrides(const std::vector<std::string>& overrides, Origins& origins,
                            v1::Config& config) {
  for (const std::string& entry : overrides) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("--set ", entry, ": write --set key=value"));
    }
    const std::string key = entry.substr(0, equals);
    absl::StatusOr<std::vector<Step>> steps = ParseKey(key);
    if (!steps.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", key, ": ", std::string(steps.status().message())));
    }
    Applier applier("--set", false, origins);
    absl::Status applied = applier.ApplyOverride(*steps, entry.substr(equals + 1), config);
    if (!applied.ok()) return applied;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Config> Load(const Source& source) {
  v1::Config config;
  ApplyDefaults(config);
  Origins origins;
  if (!source.file.empty()) {
    if (absl::Status s = ApplyFile(source.file, origins, config); !s.ok()) return s;
  }
  if (absl::Status s = ApplyEnvironment(source.environment, origins, config); !s.ok()) return s;
  if (absl::Status s = ApplyOverrides(source.overrides, origins, config); !s.ok()) return s;
  if (absl::Status s = Check(config, origins); !s.ok()) return s;
  return config;
}

std::vector<std::string> ProcessEnvironment() {
  std::vector<std::string> entries;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    entries.emplace_back(*entry);
  }
  return entries;
}

}  // namespace posthorn::config
