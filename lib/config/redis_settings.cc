#include "lib/config/redis_settings.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"
#include "lib/net/tls.h"

namespace posthorn::config {

std::string RedisServers(const v1::Redis& redis) {
  const bool one = redis.topology().empty() || redis.topology() == "standalone";
  return one ? redis.address() : absl::StrJoin(redis.addresses(), ",");
}

absl::StatusOr<redis::Options> RedisOptionsFrom(const v1::Redis& redis) {
  redis::Options options(redis.address(), redis.password());
  options.user = redis.user();
  options.addresses.assign(redis.addresses().begin(), redis.addresses().end());
  if (redis.topology() == "sentinel") options.topology = redis::Topology::kSentinel;
  if (redis.topology() == "cluster") options.topology = redis::Topology::kCluster;
  const bool standalone = options.topology == redis::Topology::kStandalone;
  if (standalone ? options.address.empty() : options.addresses.empty()) {
    return MakeFailure(Failure::kInvalidArgument, standalone ? "redis.address is missing"
                                                             : "redis.addresses is missing");
  }
  options.master_name = redis.sentinel_master();
  options.sentinel_user = redis.sentinel_user();
  options.sentinel_password = redis.sentinel_password();
  if (!redis.tls()) return options;
  net::CertificateFiles certificate(redis.tls_certificate_file(), redis.tls_key_file());
  absl::StatusOr<std::unique_ptr<net::TlsContext>> tls =
      net::TlsContext::Client(redis.tls_ca_file(), std::move(certificate));
  if (!tls.ok()) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("redis.tls: ", tls.status().message()));
  }
  options.tls = *std::move(tls);
  options.tls_server_name = redis.tls_server_name();
  return options;
}

}  // namespace posthorn::config
