#ifndef POSTHORN_LIB_NET_STREAM_H_
#define POSTHORN_LIB_NET_STREAM_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/peer_address.h"

namespace posthorn::net {

// A certificate and key for the server side, or trust for the client side. Shared by all streams;
// reloading swaps what new handshakes use. Thread-safe. Defined in tls.h.
class TlsContext;

// What ties a protocol above to one TLS connection, so that nobody in the middle can pass it on
// (RFC 5056).
struct TlsBinding {
  TlsBinding(std::string type_in, std::string data_in)
      : type(std::move(type_in)), data(std::move(data_in)) {}
  std::string type;  // "tls-exporter" (RFC 9266), "tls-server-end-point" (RFC 5929)
  std::string data;
};

// A TLSA record (RFC 6698 section 2.1) that a certificate may be checked by.
struct DaneRecord {
  int usage = 0;
  int selector = 0;
  int matching_type = 0;
  std::string data;
  friend bool operator==(const DaneRecord&, const DaneRecord&) = default;
};

// Whom a client expects at the other end.
struct TlsPeer {
  TlsPeer(std::string name) : server_name(std::move(name)) {}  // NOLINT: a name is the usual case
  TlsPeer(const char* name) : server_name(name) {}             // NOLINT
  // For SNI; where the context checks certificates, also the name that one must have.
  std::string server_name;
  // In place of that name (with `dane`: besides), one of which is enough. ".example.net": any below.
  std::vector<std::string> names;
  // Not empty: these decide (RFC 7671), in place of the context's authorities. With none of them
  // usable the connection is encrypted without a check (RFC 7672 section 2.2).
  std::vector<DaneRecord> dane;
  // What is wrong with the certificate is only noted in TlsInfo.
  bool observe = false;
};

enum class CertificateProblem { kNone, kExpired, kWrongName, kNotTrusted };

struct TlsInfo {
  bool active = false;
  // Client side: the certificate was checked and is good; else what is wrong with it. The problem is
  // there also after a handshake that failed for it.
  bool verified = false;
  CertificateProblem problem = CertificateProblem::kNone;
  std::string version;      // "TLSv1.3"
  std::string cipher;       // registered name: "TLS_AES_256_GCM_SHA384"
  std::string server_name;  // SNI, server side only
};

// A bidirectional byte stream: TCP, unix socket, either with TLS, or memory (for tests). Belongs
// to one executor: one reader and one writer coroutine at a time. While nothing is read a stream
// holds no buffer, so idle connections are cheap.
//
// Errors: kTimeout after a deadline, absl::kUnavailable when the connection broke. A closed peer
// reads as an empty string.
class Stream {
 public:
  virtual ~Stream() = default;

  // The bytes that are there, at most 64 KiB, waiting for the first until `timeout`.
  // Empty: the peer has closed its side.
  virtual Task<absl::StatusOr<std::string>> ReadSome(absl::Duration timeout) = 0;

  // Returns when the kernel has taken all of `bytes`; `timeout` counts between partial writes.
  virtual Task<absl::Status> WriteAll(std::string bytes, absl::Duration timeout) = 0;

  // Server and client handshakes. Clear text that was received before is discarded: nothing that
  // arrived before TLS survives it (RFC 3207 section 4.2). The caller discards what it buffered.
  virtual Task<absl::Status> StartTlsServer(const TlsContext& context, absl::Duration timeout) = 0;
  // Whether the certificate is checked is said by context and peer together.
  virtual Task<absl::Status> StartTlsClient(const TlsContext& context, TlsPeer peer,
                                            absl::Duration timeout) = 0;

  // Reads a PROXY protocol header (proxy_protocol.h) and nothing beyond it, before anything else is
  // read or TLS begins; from then on peer() and local() are what it says. For connections from
  // trusted balancers only. kBadSequence if what came is no such header: close the connection.
  virtual Task<absl::Status> AcceptProxyHeader(absl::Duration timeout) = 0;

  // The peer has sent clear text that nobody has read yet. Does not wait; false under TLS.
  virtual bool HasInput() = 0;

  virtual const TlsInfo& tls() const = 0;
  // Server side: what the connection can be bound by, computed anew at each call. tls-exporter needs
  // TLS 1.3, tls-server-end-point a certificate whose signature has one hash function. None without
  // TLS.
  virtual std::vector<TlsBinding> TlsBindings() const = 0;
  virtual const PeerAddress& peer() const = 0;
  virtual const PeerAddress& local() const = 0;

  // A pending ReadSome, or else the next one, returns absl::CancelledError and the stream goes on
  // as before: how an IDLE session is told of changes. Only from the stream's own executor.
  virtual void Interrupt() = 0;

  // Ends the connection: pending and later calls fail. Only from the stream's own executor.
  virtual void Close() = 0;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_STREAM_H_
