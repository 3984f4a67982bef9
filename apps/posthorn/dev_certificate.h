#ifndef POSTHORN_APPS_POSTHORN_DEV_CERTIFICATE_H_
#define POSTHORN_APPS_POSTHORN_DEV_CERTIFICATE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace posthorn::app {

// Files of the development certificate, all in one directory.
struct DevCertificate {
  std::string ca_file;           // give this to clients to trust
  std::string ca_key_file;       // mode 0600
  std::string certificate_file;  // the server's, signed by the CA
  std::string key_file;          // mode 0600
};
DevCertificate DevCertificateIn(const std::string& directory);

// Makes what is missing: a certification authority of this installation (ten years), and a
// certificate (a year) for `hostname`, localhost and the loopback addresses. The server's is made
// again when it is for another host name or runs out within 30 days; the CA stays. For
// development: production brings its own certificate.
absl::Status EnsureDevCertificate(const DevCertificate& files, const std::string& hostname,
                                  absl::Time now);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_DEV_CERTIFICATE_H_
