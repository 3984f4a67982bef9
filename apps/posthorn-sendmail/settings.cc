#include "apps/posthorn-sendmail/settings.h"

#include <sys/un.h>

#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace posthorn::sendmail {
namespace {

absl::Status ReadSettings(const std::string& file, Settings& settings) {
  std::ifstream input(file);
  std::string line;
  for (int number = 1; std::getline(input, line); ++number) {
    const std::string text(absl::StripAsciiWhitespace(line));
    if (text.empty() || text.front() == '#') continue;
    const std::size_t equals = text.find('=');
    const std::string key(absl::StripAsciiWhitespace(text.substr(0, equals)));
    const std::string value(absl::StripAsciiWhitespace(
        equals == std::string::npos ? std::string() : text.substr(equals + 1)));
    std::string* const setting = key == "socket"     ? &settings.socket
                                 : key == "maildrop" ? &settings.maildrop
                                                     : nullptr;
    if (setting == nullptr || value.empty() || value.front() != '/') {
      return absl::InvalidArgumentError(absl::StrCat(
          file, ": line ", number, ": must be \"socket = /path\" or \"maildrop = /path\""));
    }
    *setting = value;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Settings> LoadSettings(const std::string& file,
                                      const std::map<std::string, std::string>& environment) {
  Settings settings;
  if (absl::Status s = ReadSettings(file, settings); !s.ok()) return s;
  const auto take = [&environment](const char* name, std::string& setting) {
    const auto found = environment.find(name);
    if (found != environment.end() && !found->second.empty()) setting = found->second;
  };
  take("POSTHORN_SENDMAIL_SOCKET", settings.socket);
  take("POSTHORN_SENDMAIL_MAILDROP", settings.maildrop);
  if (settings.socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(settings.socket, ": too long for a unix socket"));
  }
  return settings;
}

}  // namespace posthorn::sendmail
