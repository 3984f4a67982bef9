#include "lib/rpc/tls_files.h"

namespace posthorn::rpc::internal {

std::shared_ptr<grpc::experimental::CertificateProviderInterface> WatchFiles(const TlsFiles& tls) {
  using grpc::experimental::FileWatcherCertificateProvider;
  constexpr unsigned kRefreshSeconds = 1;
  if (tls.empty()) return nullptr;
  if (tls.certificate_file.empty()) {
    return std::make_shared<FileWatcherCertificateProvider>(tls.ca_file, kRefreshSeconds);
  }
  if (tls.ca_file.empty()) {
    return std::make_shared<FileWatcherCertificateProvider>(tls.key_file, tls.certificate_file,
                                                            kRefreshSeconds);
  }
  return std::make_shared<FileWatcherCertificateProvider>(tls.key_file, tls.certificate_file,
                                                          tls.ca_file, kRefreshSeconds);
}

}  // namespace posthorn::rpc::internal
