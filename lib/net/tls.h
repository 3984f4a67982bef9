#ifndef POSTHORN_LIB_NET_TLS_H_
#define POSTHORN_LIB_NET_TLS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::net {

// A certificate with its chain, and the key to it: PEM files.
struct CertificateFiles {
  CertificateFiles() = default;
  CertificateFiles(std::string certificate_file_in, std::string key_file_in,
                   std::vector<std::string> names_in = {})
      : certificate_file(std::move(certificate_file_in)),
        key_file(std::move(key_file_in)),
        names(std::move(names_in)) {}
  std::string certificate_file;
  std::string key_file;
  // The server names it is for, "*.example.org" for all of one label before it. Empty: those the
  // certificate has (its DNS names, or without any its common name).
  std::vector<std::string> names;
};

// See stream.h. TLS 1.2 at least.
class TlsContext {
 public:
  // An error names the file. `others` are chosen by the name a client asks for (RFC 6066 section
  // 3), the first that has it, a wildcard after all others; whoever asks for no name or for an
  // unknown one gets the first certificate.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Server(
      CertificateFiles first, std::vector<CertificateFiles> others = {});
  // `ca_file` empty: peers are not verified (opportunistic TLS, RFC 7435).
  static absl::StatusOr<std::unique_ptr<TlsContext>> Client(const std::string& ca_file);
  // The same, with a certificate for servers that ask for one.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Client(const std::string& ca_file,
                                                            CertificateFiles certificate);
  ~TlsContext();

  // Reads the files again; on an error the old certificates stay, all of them.
  absl::Status Reload();

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_TLS_H_
