#include "lib/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
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

// Without certificates.
absl::StatusOr<TlsMaterial::Context> MakeContext(bool server) {
  TlsMaterial::Context context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()),
                               SSL_CTX_free);
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
  return context;
}

absl::Status UseCertificate(SSL_CTX* context, const CertificateFiles& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate_file.c_str()) != 1) {
    return FileError("certificate", files.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return FileError("private key", files.key_file);
  }
  return absl::OkStatus();
}

absl::StatusOr<TlsMaterial::Context> MakeServerContext(const CertificateFiles& files) {
  absl::StatusOr<TlsMaterial::Context> context = MakeContext(true);
  if (!context.ok()) return context.status();
  if (absl::Status used = UseCertificate(context->get(), files); !used.ok()) return used;
  return context;
}

std::string TextOf(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
}

// RFC 6125 section 6.4.4: the common name counts only where there is no DNS name.
std::vector<std::string> NamesOf(X509* certificate) {
  std::vector<std::string> names;
  auto* alternatives = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) names.push_back(TextOf(name->d.dNSName));
  }
  GENERAL_NAMES_free(alternatives);
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (names.empty() && at >= 0) {
    names.push_back(TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  }
  return names;
}

// RFC 6066 section 3. An unknown name is no reason to fail: a client that does not verify would be
// left without encryption.
int ChooseCertificate(SSL* ssl, int*, void* argument) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* const chosen = static_cast<const TlsMaterial*>(argument)->Find(name);
  if (chosen != nullptr) SSL_set_SSL_CTX(ssl, chosen);
  return SSL_TLSEXT_ERR_OK;
}

absl::StatusOr<std::shared_ptr<const TlsMaterial>> LoadServer(const TlsContext::Impl& impl) {
  auto material = std::make_shared<TlsMaterial>();
  absl::StatusOr<TlsMaterial::Context> first = MakeServerContext(impl.first);
  if (!first.ok()) return first.status();
  material->first = *std::move(first);
  for (const CertificateFiles& files : impl.others) {
    absl::StatusOr<TlsMaterial::Context> context = MakeServerContext(files);
    if (!context.ok()) return context.status();
    SSL_CTX* const ctx = context->get();
    material->others.push_back(*std::move(context));
    const std::vector<std::string> names =
        files.names.empty() ? NamesOf(SSL_CTX_get0_certificate(ctx)) : files.names;
    for (const std::string& name : names) {
      material->by_name.emplace(absl::AsciiStrToLower(name), ctx);
    }
  }
  SSL_CTX_set_tlsext_servername_callback(material->first.get(), &ChooseCertificate);
  SSL_CTX_set_tlsext_servername_arg(material->first.get(), material.get());
  return material;
}

absl::StatusOr<std::shared_ptr<const TlsMaterial>> LoadClient(const TlsContext::Impl& impl) {
  auto material = std::make_shared<TlsMaterial>();
  absl::StatusOr<TlsMaterial::Context> context = MakeContext(false);
  if (!context.ok()) return context.status();
  SSL_CTX* const ctx = context->get();
  if (SSL_CTX_dane_enable(ctx) != 1) return absl::InternalError(LastError());
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
  if (!impl.first.certificate_file.empty()) {
    if (absl::Status used = UseCertificate(ctx, impl.first); !used.ok()) return used;
  }
  material->first = *std::move(context);
  return material;
}

}  // namespace

SSL_CTX* TlsMaterial::Find(std::string name) const {
  absl::AsciiStrToLower(&name);
  if (const auto exact = by_name.find(name); exact != by_name.end()) return exact->second;
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto wildcard = by_name.find(absl::StrCat("*", name.substr(dot)));
  return wildcard == by_name.end() ? nullptr : wildcard->second;
}

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Server(
    CertificateFiles first, std::vector<CertificateFiles> others) {
  auto impl = std::make_unique<Impl>();
  impl->server = true;
  impl->first = std::move(first);
  impl->others = std::move(others);
  std::unique_ptr<TlsContext> context(new TlsContext(std::move(impl)));
  if (absl::Status status = context->Reload(); !status.ok()) return status;
  return context;
}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Client(const std::string& ca_file) {
  return Client(ca_file, CertificateFiles());
}

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Client(const std::string& ca_file,
                                                               CertificateFiles certificate) {
  auto impl = std::make_unique<Impl>();
  impl->ca_file = ca_file;
  impl->first = std::move(certificate);
  std::unique_ptr<TlsContext> context(new TlsContext(std::move(impl)));
  if (absl::Status status = context->Reload(); !status.ok()) return status;
  return context;
}

absl::Status TlsContext::Reload() {
  absl::StatusOr<std::shared_ptr<const TlsMaterial>> loaded =
      impl_->server ? LoadServer(*impl_) : LoadClient(*impl_);
  if (!loaded.ok()) return loaded.status();
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->material = *std::move(loaded);
  return absl::OkStatus();
}

}  // namespace posthorn::net
