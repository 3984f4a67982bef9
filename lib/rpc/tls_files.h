#ifndef POSTHORN_LIB_RPC_TLS_FILES_H_
#define POSTHORN_LIB_RPC_TLS_FILES_H_

#include <grpcpp/security/tls_certificate_provider.h>

#include <memory>

#include "lib/rpc/channel.h"

namespace posthorn::rpc::internal {

// Reads the files and looks once a second whether they have changed. nullptr if all are empty.
std::shared_ptr<grpc::experimental::CertificateProviderInterface> WatchFiles(const TlsFiles& tls);

}  // namespace posthorn::rpc::internal

#endif  // POSTHORN_LIB_RPC_TLS_FILES_H_
