#ifndef POSTHORN_LIB_NET_TLS_INTERNAL_H_
#define POSTHORN_LIB_NET_TLS_INTERNAL_H_

// For lib/net's own .cc files only.

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/net/socket.h"
#include "lib/net/stream.h"
#include "lib/net/tls.h"

namespace posthorn::net {

// What was read from the files at one time. Immutable once built.
struct TlsMaterial {
  using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

  // By server name in lower case; nullptr: none has it.
  SSL_CTX* Find(std::string name) const;

  Context first{nullptr, SSL_CTX_free};
  std::vector<Context> others;
  absl::flat_hash_map<std::string, SSL_CTX*> by_name;  // to `others`
};

struct TlsContext::Impl {
  // What new handshakes use; old connections keep theirs.
  std::shared_ptr<const TlsMaterial> Current() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return material;
  }

  bool server = false;
  CertificateFiles first;
  std::vector<CertificateFiles> others;
  std::string ca_file;
  mutable std::mutex mutex;
  std::shared_ptr<const TlsMaterial> material;  // guarded by mutex
};

// The TLS state of one connection, on top of a socket. Reads records straight from the socket;
// what is to be sent collects in output(), so that nothing here ever waits for writing. Buffers
// are released while the connection is idle.
class TlsSession {
 public:
  static absl::StatusOr<std::unique_ptr<TlsSession>> Server(const TlsContext& context,
                                                            std::shared_ptr<Socket> socket);
  // See TlsPeer.
  static absl::StatusOr<std::unique_ptr<TlsSession>> Client(const TlsContext& context,
                                                            std::shared_ptr<Socket> socket,
                                                            const TlsPeer& peer);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  enum class Progress { kDone, kWantRead };
  // Errors: kTlsFailed with the reason; absl::kUnavailable if the connection broke.
  absl::StatusOr<Progress> Handshake();

  // As Socket::Receive, decrypted. An error is errno, or EPROTO for broken TLS.
  Socket::Result Receive(char* buffer, std::size_t size);
  // Appends the records for `plain` to output().
  absl::Status Encrypt(std::string_view plain);
  // Appends close_notify to output().
  void Shutdown();

  // To be sent as soon as possible.
  std::string& output() { return output_; }
  TlsInfo info() const;
  // Client side: what was wrong with the peer's certificate.
  CertificateProblem problem() const;
  // Of the server side, after the handshake; see Stream::TlsBindings.
  std::vector<TlsBinding> Bindings() const;

 private:
  friend struct TlsBio;
  absl::Status Expect(const TlsPeer& peer);
  absl::Status ExpectDane(const TlsPeer& peer);
  TlsSession(std::shared_ptr<const TlsMaterial> material, std::shared_ptr<Socket> socket);

  const std::shared_ptr<const TlsMaterial> material_;
  const std::shared_ptr<Socket> socket_;
  SSL* ssl_ = nullptr;
  std::string output_;
  int socket_error_ = 0;
  bool end_of_file_ = false;
  bool checks_certificate_ = false;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_TLS_INTERNAL_H_
