#include "lib/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/net/tls_internal.h"

namespace posthorn::net {
namespace {

std::string LastError() {
  char text[256];
  const unsigned long code = ERR_peek_last_error();
  ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text;
}

absl::Status FileError(std::string_view what, const std::string& file) {
  return MakeFailure(Failure::kInvalidArgument,
                     absl::StrCat("cannot read ", absl::string_view(what.data(), what.size()), " ",
                                  file, ": ", LastError()));
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> Load(const TlsContext::Impl& impl) {
  std::shared_ptr<SSL_CTX> context(
      SSL_CTX_new(impl.server ? TLS_server_method() : TLS_client_method()), SSL_CTX_free);
  if (context == nullptr) return absl::InternalError(LastError());
  SSL_CTX* const ctx = context.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  // One system call for the header and the body of a record.
  SSL_CTX_set_read_ahead(ctx, 1);
  // Resumption by tickets needs no memory here.
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 1);

  if (impl.server) {
    if (SSL_CTX_use_certificate_chain_file(ctx, impl.certificate_file.c_str()) != 1) {
      return FileError("certificate", impl.certificate_file);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, impl.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
      return FileError("private key", impl.key_file);
    }
    return context;
  }
  if (impl.ca_file.empty()) {
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, nullptr);
    // A weak key is better than the clear text that would follow a failed handshake.
    SSL_CTX_set_security_level(ctx, 1);
  } else {
    if (SSL_CTX_load_verify_locations(ctx, impl.ca_file.c_str(), nullptr) != 1) {
      return FileError("certificate authority", impl.ca_file);
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Server(const std::string& certificate_file,
                                                               const std::string& key_file) {
  auto impl = std::make_unique<Impl>();
  impl->server = true;
  impl->certificate_file = certificate_file;
  impl->key_file = key_file;
  std::unique_ptr<TlsContext> context(new TlsContext(std::move(impl)));
  if (absl::Status status = context->Reload(); !status.ok()) return status;
  return context;
}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Client(const std::string& ca_file) {
  auto impl = std::make_unique<Impl>();
  impl->ca_file = ca_file;
  std::unique_ptr<TlsContext> context(new TlsContext(std::move(impl)));
  if (absl::Status status = context->Reload(); !status.ok()) return status;
  return context;
}

absl::Status TlsContext::Reload() {
  absl::StatusOr<std::shared_ptr<SSL_CTX>> loaded = Load(*impl_);
  if (!loaded.ok()) return loaded.status();
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->context = *std::move(loaded);
  return absl::OkStatus();
}

}  // namespace posthorn::net
