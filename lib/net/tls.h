#ifndef POSTHORN_LIB_NET_TLS_H_
#define POSTHORN_LIB_NET_TLS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::net {

// See stream.h. TLS 1.2 at least.
class TlsContext {
 public:
  // PEM files; an error names the file.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Server(const std::string& certificate_file,
                                                            const std::string& key_file);
  // `ca_file` empty: peers are not verified (opportunistic TLS, RFC 7435).
  static absl::StatusOr<std::unique_ptr<TlsContext>> Client(const std::string& ca_file);
  ~TlsContext();

  // Reads the files again; on an error the old certificate stays.
  absl::Status Reload();

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_TLS_H_
