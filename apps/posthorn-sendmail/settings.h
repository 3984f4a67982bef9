#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_SETTINGS_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_SETTINGS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace posthorn::sendmail {

inline constexpr char kSettingsFile[] = "/etc/posthorn/sendmail.conf";

// Where the platform of this machine is found.
struct Settings {
  std::string socket = "/var/lib/posthorn/sendmail.sock";
  std::string maildrop = "/var/lib/posthorn/maildrop";
};

// From the variables POSTHORN_SENDMAIL_SOCKET and POSTHORN_SENDMAIL_MAILDROP, else from the file,
// which may be missing: lines "socket = /path", "maildrop = /path", "# comment". The error is one
// line that names the file.
absl::StatusOr<Settings> LoadSettings(const std::string& file,
                                      const std::map<std::string, std::string>& environment);

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_SETTINGS_H_
