#ifndef POSTHORN_APPS_POSTHORNCTL_OPTIONS_H_
#define POSTHORN_APPS_POSTHORNCTL_OPTIONS_H_

#include <string>

namespace posthorn::ctl {

// What holds for all commands. Empty: found in the data directory of `posthorn serve`.
struct Options {
  std::string target;      // gRPC target of the API, "127.0.0.1:2900"
  std::string token_file;  // the administrator token
  std::string ca_file;     // PEM, what the server's certificate is checked against
  std::string server_name; // the name it must be for, instead of the target's
  std::string data_dir;    // of `posthorn serve`
  bool plaintext = false;  // no TLS
  bool json = false;       // for programs
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_OPTIONS_H_
