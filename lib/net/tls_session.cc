#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/net/tls_internal.h"

namespace posthorn::net {

// OpenSSL's view of the session: reads come from the socket, writes collect in output_.
struct TlsBio {
  static int Read(BIO* bio, char* buffer, std::size_t size, std::size_t* read) {
    auto* session = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *read = 0;
    if (session->socket_->closed()) {
      session->socket_error_ = ECONNABORTED;
      return 0;
    }
    const Socket::Result result = session->socket_->Receive(buffer, size);
    if (result.octets > 0) {
      *read = result.octets;
      return 1;
    }
    if (result.would_block) BIO_set_retry_read(bio);
    if (result.closed) session->end_of_file_ = true;
    session->socket_error_ = result.error;
    return 0;
  }

  static int Write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
    auto* session = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    session->output_.append(data, size);
    *written = size;
    return 1;
  }

  static long Control(BIO* bio, int command, long, void*) {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;
      case BIO_CTRL_EOF:
        return static_cast<TlsSession*>(BIO_get_data(bio))->end_of_file_ ? 1 : 0;
      default:
        return 0;
    }
  }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* made =
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "posthorn socket");
      BIO_meth_set_read_ex(made, &TlsBio::Read);
      BIO_meth_set_write_ex(made, &TlsBio::Write);
      BIO_meth_set_ctrl(made, &TlsBio::Control);
      return made;
    }();
    return method;
  }
};

namespace {

absl::Status HandshakeError(SSL* ssl) {
  std::string reason = "unknown";
  const unsigned long code = ERR_peek_last_error();
  if (const char* text = ERR_reason_error_string(code); text != nullptr) reason = text;
  ERR_clear_error();
  if (const long verify = SSL_get_verify_result(ssl); verify != X509_V_OK) {
    absl::StrAppend(&reason, ": ", X509_verify_cert_error_string(verify));
  }
  return MakeFailure(Failure::kTlsFailed, absl::StrCat("TLS handshake failed: ", reason));
}

bool IsIpAddress(const std::string& name) {
  in6_addr address;
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsMaterial> material, std::shared_ptr<Socket> socket)
    : material_(std::move(material)),
      socket_(std::move(socket)),
      ssl_(SSL_new(material_->first.get())) {
  BIO* bio = BIO_new(TlsBio::Method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

absl::StatusOr<std::unique_ptr<TlsSession>> TlsSession::Server(const TlsContext& context,
                                                               std::shared_ptr<Socket> socket) {
  std::unique_ptr<TlsSession> session(
      new TlsSession(context.impl().Current(), std::move(socket)));
  SSL_set_accept_state(session->ssl_);
  return session;
}

absl::StatusOr<std::unique_ptr<TlsSession>> TlsSession::Client(const TlsContext& context,
                                                               std::shared_ptr<Socket> socket,
                                                               const TlsPeer& peer) {
  std::unique_ptr<TlsSession> session(
      new TlsSession(context.impl().Current(), std::move(socket)));
  SSL_set_connect_state(session->ssl_);
  absl::Status expected = peer.dane.empty() ? session->Expect(peer) : session->ExpectDane(peer);
  ERR_clear_error();
  if (!expected.ok()) return expected;
  return session;
}

absl::Status TlsSession::Expect(const TlsPeer& peer) {
  const std::string& name = peer.server_name;
  checks_certificate_ = SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE;
  if (checks_certificate_ && peer.observe) {
    SSL_set_verify(ssl_, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  }
  X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl_), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool is_ip = IsIpAddress(name);
  if (!name.empty() && !is_ip && SSL_set_tlsext_host_name(ssl_, name.c_str()) != 1) {
    return MakeFailure(Failure::kTlsFailed, "not a name for TLS");
  }
  if (!peer.names.empty()) {
    for (const std::string& one : peer.names) SSL_add1_host(ssl_, one.c_str());
  } else if (is_ip) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str());
  } else if (!name.empty() && SSL_set1_host(ssl_, name.c_str()) != 1) {
    return MakeFailure(Failure::kTlsFailed, "not a name for TLS");
  }
  return absl::OkStatus();
}

// RFC 7672 section 3.1: the usages 2 and 3; with 3 neither names nor dates count.
absl::Status TlsSession::ExpectDane(const TlsPeer& peer) {
  if (SSL_dane_enable(ssl_, peer.server_name.c_str()) != 1) {
    return MakeFailure(Failure::kTlsFailed, "not a name for TLS");
  }
  SSL_dane_set_flags(ssl_, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
  X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl_), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  for (const std::string& other : peer.names) SSL_add1_host(ssl_, other.c_str());
  for (const DaneRecord& record : peer.dane) {
    if (record.usage != 2 && record.usage != 3) continue;
    const int added = SSL_dane_tlsa_add(
        ssl_, static_cast<std::uint8_t>(record.usage), static_cast<std::uint8_t>(record.selector),
        static_cast<std::uint8_t>(record.matching_type),
        reinterpret_cast<const unsigned char*>(record.data.data()), record.data.size());
    checks_certificate_ = checks_certificate_ || added > 0;
  }
  SSL_set_verify(ssl_, checks_certificate_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return absl::OkStatus();
}

CertificateProblem TlsSession::problem() const {
  if (!checks_certificate_) return CertificateProblem::kNone;
  switch (SSL_get_verify_result(ssl_)) {
    case X509_V_OK:
      return CertificateProblem::kNone;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return CertificateProblem::kExpired;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return CertificateProblem::kWrongName;
    default:
      return CertificateProblem::kNotTrusted;
  }
}

absl::StatusOr<TlsSession::Progress> TlsSession::Handshake() {
  ERR_clear_error();
  socket_error_ = 0;
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) return Progress::kDone;
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return Progress::kWantRead;
  if (socket_error_ != 0) return ConnectionError(socket_error_);
  if (end_of_file_) return ConnectionError(ECONNRESET);
  return HandshakeError(ssl_);
}

Socket::Result TlsSession::Receive(char* buffer, std::size_t size) {
  Socket::Result result;
  ERR_clear_error();
  socket_error_ = 0;
  while (result.octets < size) {
    std::size_t read = 0;
    const int returned = SSL_read_ex(ssl_, buffer + result.octets, size - result.octets, &read);
    if (returned == 1) {
      result.octets += read;
      continue;
    }
    // What was read comes first; the same error or end shows again at the next call.
    if (result.octets > 0) break;
    const int error = SSL_get_error(ssl_, returned);
    if (error == SSL_ERROR_WANT_READ) {
      result.would_block = true;
    } else if (error == SSL_ERROR_ZERO_RETURN || (end_of_file_ && socket_error_ == 0)) {
      result.closed = true;
    } else {
      result.error = socket_error_ != 0 ? socket_error_ : EPROTO;
    }
    break;
  }
  ERR_clear_error();
  return result;
}

absl::Status TlsSession::Encrypt(std::string_view plain) {
  ERR_clear_error();
  std::size_t written = 0;
  if (plain.empty() || SSL_write_ex(ssl_, plain.data(), plain.size(), &written) == 1) {
    return absl::OkStatus();
  }
  ERR_clear_error();
  return ConnectionError(EPROTO);
}

void TlsSession::Shutdown() {
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

TlsInfo TlsSession::info() const {
  TlsInfo info;
  info.active = true;
  info.version = SSL_get_version(ssl_);
  // The registered name, as protocols write it; OpenSSL's own differs before TLS 1.3.
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_);
  const char* standard_name = cipher != nullptr ? SSL_CIPHER_standard_name(cipher) : nullptr;
  info.cipher = standard_name != nullptr ? standard_name : SSL_get_cipher_name(ssl_);
  info.problem = problem();
  info.verified = checks_certificate_ && info.problem == CertificateProblem::kNone;
  if (SSL_is_server(ssl_) == 1) {
    const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) info.server_name = name;
  }
  return info;
}

std::vector<TlsBinding> TlsSession::Bindings() const {
  std::vector<TlsBinding> bindings;
  constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  unsigned char exported[32];
  // Below TLS 1.3 the exporter is unique only with extensions that cannot be taken for granted
  // (RFC 9266 section 4.2).
  if (SSL_version(ssl_) >= TLS1_3_VERSION &&
      SSL_export_keying_material(ssl_, exported, sizeof(exported), kLabel.data(), kLabel.size(),
                                 nullptr, 0, 1) == 1) {
    bindings.emplace_back("tls-exporter",
                          std::string(reinterpret_cast<char*>(exported), sizeof(exported)));
  }
  // The hash of the certificate's own signature, but none older than SHA-256 (RFC 5929 section 4.1).
  const X509* const certificate = SSL_get_certificate(ssl_);
  int digest_id = NID_undef;
  if (certificate != nullptr &&
      OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest_id, nullptr) == 1 &&
      digest_id != NID_undef) {
    const bool old = digest_id == NID_md5 || digest_id == NID_sha1;
    const EVP_MD* const digest = old ? EVP_sha256() : EVP_get_digestbynid(digest_id);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (digest != nullptr && X509_digest(certificate, digest, hash, &size) == 1) {
      bindings.emplace_back("tls-server-end-point",
                            std::string(reinterpret_cast<char*>(hash), size));
    }
  }
  ERR_clear_error();
  return bindings;
}

}  // namespace posthorn::net
