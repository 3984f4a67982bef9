#ifndef POSTHORN_LIB_CONFIG_CONFIG_H_
#define POSTHORN_LIB_CONFIG_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::config {

// Where a configuration comes from. Later entries win: the defaults of the schema, the file, the
// environment, the overrides.
struct Source {
  // YAML. Empty: none, the defaults hold.
  std::string file;
  // "NAME=value". POSTHORN_GATEWAY__API_PORT=2900 sets gateway.api_port, and
  // POSTHORN_DELIVERY__ROUTES__0__PATTERN=* sets delivery.routes[0].pattern. A POSTHORN_ variable
  // with "__" that names no key is an error; one without, which is not a key at the top level
  // either, belongs to somebody else (Kubernetes makes POSTHORN_QUEUE_PORT).
  std::vector<std::string> environment;
  // "a.b[0].c=value". An index equal to the length of a list appends to it.
  std::vector<std::string> overrides;
};

// The configuration in force, every field filled in. Checks types, bounds, allowed values and what
// must fit together. An error is one line with the place, the key and the reason:
// "posthorn.yaml:12: gateway.api_port: must be from 0 to 65535, not 99999".
absl::StatusOr<v1::Config> Load(const Source& source);

// The environment of this process, for Source::environment.
std::vector<std::string> ProcessEnvironment();

// The configuration as YAML that Load reads back, except secrets, which are shown as "(hidden)".
std::string Print(const v1::Config& config);

}  // namespace posthorn::config

#endif  // POSTHORN_LIB_CONFIG_CONFIG_H_
