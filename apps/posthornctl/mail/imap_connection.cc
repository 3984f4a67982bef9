#include "apps/posthornctl/mail/imap_connection.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace posthorn::ctl {
namespace {

constexpr std::size_t kMaxLine = 64 * 1024 * 1024;  // SEARCH answers a whole mailbox in one
constexpr std::size_t kMaxLiteral = 1024 * 1024;
constexpr std::size_t kPiece = 64 * 1024;
constexpr int kSilenceSeconds = 300;

absl::Status SocketError(std::string_view what) {
  return absl::UnavailableError(
      absl::StrCat(absl::string_view(what.data(), what.size()), ": ", std::strerror(errno)));
}

std::string TlsErrors() {
  char text[256] = "the connection was closed";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return text;
}

}  // namespace

struct ImapConnection::Tls {
  ~Tls() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
};

absl::StatusOr<std::unique_ptr<ImapConnection>> ImapConnection::Connect(const std::string& host,
                                                                        const std::string& port) {
  struct addrinfo hints {};
  hints.ai_socktype = SOCK_STREAM;
  struct addrinfo* addresses = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &addresses); error != 0) {
    return absl::NotFoundError(absl::StrCat(host, ": ", gai_strerror(error)));
  }
  absl::Status failed = absl::NotFoundError(absl::StrCat(host, ": no address"));
  std::unique_ptr<ImapConnection> connection;
  for (const struct addrinfo* a = addresses; a != nullptr && connection == nullptr;
       a = a->ai_next) {
    const int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) continue;
    struct timeval silence {};
    silence.tv_sec = kSilenceSeconds;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
      connection.reset(new ImapConnection(fd));
    } else {
      failed = SocketError(absl::StrCat(host, ":", port));
      close(fd);
    }
  }
  freeaddrinfo(addresses);
  if (connection == nullptr) return failed;
  return connection;
}

ImapConnection::ImapConnection(int socket) : socket_(socket) {}

ImapConnection::~ImapConnection() {
  tls_.reset();
  close(socket_);
}

absl::Status ImapConnection::StartTls(const std::string& host, const std::string& ca_file) {
  auto tls = std::make_unique<Tls>();
  SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
  SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, nullptr);
  const int loaded = ca_file.empty()
                         ? SSL_CTX_set_default_verify_paths(tls->context)
                         : SSL_CTX_load_verify_locations(tls->context, ca_file.c_str(), nullptr);
  if (loaded != 1) return absl::FailedPreconditionError(absl::StrCat(ca_file, ": ", TlsErrors()));
  tls->ssl = SSL_new(tls->context);
  unsigned char address[sizeof(struct in6_addr)];
  const bool is_address = inet_pton(AF_INET, host.c_str(), address) == 1 ||
                          inet_pton(AF_INET6, host.c_str(), address) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host.c_str());
  } else {
    SSL_set_tlsext_host_name(tls->ssl, host.c_str());
    SSL_set1_host(tls->ssl, host.c_str());
  }
  SSL_set_fd(tls->ssl, socket_);
  if (SSL_connect(tls->ssl) != 1) {
    const long verified = SSL_get_verify_result(tls->ssl);
    const std::string why =
        verified != X509_V_OK ? X509_verify_cert_error_string(verified) : TlsErrors();
    return absl::FailedPreconditionError(absl::StrCat("TLS with ", host, ": ", why));
  }
  tls_ = std::move(tls);
  return absl::OkStatus();
}

absl::Status ImapConnection::Fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  char piece[kPiece];
  if (tls_ != nullptr) {
    const int size = SSL_read(tls_->ssl, piece, sizeof(piece));
    if (size <= 0) return absl::UnavailableError(absl::StrCat("the server: ", TlsErrors()));
    buffer_.append(piece, static_cast<std::size_t>(size));
    return absl::OkStatus();
  }
  ssize_t size = 0;
  do {
    size = recv(socket_, piece, sizeof(piece), 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return SocketError("the server");
  if (size == 0) return absl::UnavailableError("the server closed the connection");
  buffer_.append(piece, static_cast<std::size_t>(size));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ImapConnection::ReadLine() {
  std::string line;
  for (;;) {
    const std::size_t feed = buffer_.find('\n', at_);
    if (feed != std::string::npos) {
      line.append(buffer_, at_, feed - at_);
      at_ = feed + 1;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    line.append(buffer_, at_);
    at_ = buffer_.size();
    if (line.size() > kMaxLine) return absl::InternalError("the server: a line without end");
    if (absl::Status s = Fill(); !s.ok()) return s;
  }
}

absl::StatusOr<ImapResponse> ImapConnection::Read(
    const std::function<absl::Status(std::string_view)>& sink) {
  ImapResponse response;
  for (;;) {
    absl::StatusOr<std::string> line = ReadLine();
    if (!line.ok()) return line.status();
    // What is left of these would be taken for a literal.
    std::replace(line->begin(), line->end(), ImapResponse::kLiteral, ' ');
    std::replace(line->begin(), line->end(), ImapResponse::kBody, ' ');
    const std::optional<std::uint64_t> literal = TakeLiteral(*line);
    response.text += *line;
    if (!literal.has_value()) return response;
    const bool is_body = sink != nullptr && ExpectsBody(response.text);
    if (!is_body && *literal > kMaxLiteral) {
      return absl::InternalError("the server: a literal that is too long");
    }
    std::string kept;
    for (std::uint64_t left = *literal; left > 0;) {
      if (!HasInput()) {
        if (absl::Status s = Fill(); !s.ok()) return s;
      }
      const std::size_t size = std::min<std::uint64_t>(left, buffer_.size() - at_);
      const std::string_view piece = std::string_view(buffer_).substr(at_, size);
      if (is_body) {
        if (absl::Status s = sink(piece); !s.ok()) return s;
      } else {
        kept += piece;
      }
      at_ += size;
      left -= size;
    }
    response.text += is_body ? ImapResponse::kBody : ImapResponse::kLiteral;
    if (!is_body) response.literals.push_back(std::move(kept));
  }
}

absl::Status ImapConnection::Write(std::string_view data) {
  while (!data.empty()) {
    ssize_t size = 0;
    if (tls_ != nullptr) {
      size = SSL_write(tls_->ssl, data.data(), static_cast<int>(data.size()));
      if (size <= 0) return absl::UnavailableError(absl::StrCat("the server: ", TlsErrors()));
    } else {
      size = send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return SocketError("the server");
    }
    data.remove_prefix(static_cast<std::size_t>(size));
  }
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
