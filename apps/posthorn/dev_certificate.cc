#include "apps/posthorn/dev_certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/posthorn/files.h"

namespace posthorn::app {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freer<BN_free>>;

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kRenewBefore = absl::Hours(30 * 24);

absl::Status OpenSslError(const std::string& what) {
  return absl::InternalError(absl::StrCat("cannot make a development certificate: ", what));
}

std::string ContentOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Certificate ReadCertificate(const std::string& file) {
  const absl::StatusOr<std::string> pem = ReadFile(file);
  if (!pem.ok()) return nullptr;
  const Bio bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

Key ReadKey(const std::string& file) {
  const absl::StatusOr<std::string> pem = ReadFile(file);
  if (!pem.ok()) return nullptr;
  const Bio bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

absl::Status WriteKey(const std::string& file, EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslError("writing the key failed");
  }
  return WriteFile(file, ContentOf(bio.get()), 0600);
}

absl::Status WriteCertificate(const std::string& file, X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return OpenSslError("writing the certificate failed");
  }
  return WriteFile(file, ContentOf(bio.get()), 0644);
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Names, dates, a random serial number and the public key; not signed yet.
Certificate NewCertificate(EVP_PKEY* key, const std::string& common_name, absl::Time now,
                           absl::Duration lifetime) {
  Certificate certificate(X509_new());
  const Number serial(BN_new());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.c_str());
  const bool good =
      X509_set_version(certificate.get(), 2) == 1 &&
      BN_rand(serial.get(), 120, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      // An hour back: clocks differ.
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()),
                    absl::ToTimeT(now - absl::Hours(1))) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(now + lifetime)) !=
          nullptr &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
      X509_set_pubkey(certificate.get(), key) == 1;
  return good ? std::move(certificate) : nullptr;
}

absl::Status MakeAuthority(const DevCertificate& files, const std::string& hostname,
                           absl::Time now) {
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("no key");
  Certificate ca = NewCertificate(
      key.get(), absl::StrCat("Posthorn development CA of ", hostname).substr(0, 64), now,
      3650 * kDay);
  if (ca == nullptr ||
      X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) != 1 ||
      !AddExtension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(ca.get(), ca.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(ca.get(), key.get(), EVP_sha256()) == 0) {
    return OpenSslError("the authority could not be signed");
  }
  if (absl::Status s = WriteKey(files.ca_key_file, key.get()); !s.ok()) return s;
  return WriteCertificate(files.ca_file, ca.get());
}

absl::Status MakeServer(const DevCertificate& files, const std::string& hostname, absl::Time now,
                        X509* ca, EVP_PKEY* ca_key) {
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("no key");
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  if (hostname != "localhost") absl::StrAppend(&names, ",DNS:", hostname);
  Certificate server = NewCertificate(key.get(), hostname.substr(0, 64), now, 365 * kDay);
  if (server == nullptr ||
      X509_set_issuer_name(server.get(), X509_get_subject_name(ca)) != 1 ||
      !AddExtension(server.get(), ca, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(server.get(), ca, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(server.get(), ca, NID_ext_key_usage, "serverAuth") ||
      !AddExtension(server.get(), ca, NID_subject_alt_name, names) ||
      !AddExtension(server.get(), ca, NID_subject_key_identifier, "hash") ||
      !AddExtension(server.get(), ca, NID_authority_key_identifier, "keyid:always") ||
      X509_sign(server.get(), ca_key, EVP_sha256()) == 0) {
    return OpenSslError(absl::StrCat("the certificate for ", hostname, " could not be signed"));
  }
  if (absl::Status s = WriteKey(files.key_file, key.get()); !s.ok()) return s;
  return WriteCertificate(files.certificate_file, server.get());
}

bool StillGood(X509* server, EVP_PKEY* key, X509* ca, EVP_PKEY* ca_key,
               const std::string& hostname, absl::Time now) {
  if (server == nullptr || key == nullptr) return false;
  time_t limit = absl::ToTimeT(now + kRenewBefore);
  return X509_check_private_key(server, key) == 1 && X509_verify(server, ca_key) == 1 &&
         X509_check_issued(ca, server) == X509_V_OK &&
         X509_check_host(server, hostname.c_str(), hostname.size(), 0, nullptr) == 1 &&
         X509_cmp_time(X509_get0_notAfter(server), &limit) > 0;
}

}  // namespace

DevCertificate DevCertificateIn(const std::string& directory) {
  return {directory + "/ca.pem", directory + "/ca.key", directory + "/server.pem",
          directory + "/server.key"};
}

absl::Status EnsureDevCertificate(const DevCertificate& files, const std::string& hostname,
                                  absl::Time now) {
  Certificate ca = ReadCertificate(files.ca_file);
  Key ca_key = ReadKey(files.ca_key_file);
  if (ca == nullptr || ca_key == nullptr || X509_check_private_key(ca.get(), ca_key.get()) != 1) {
    if (absl::Status s = MakeAuthority(files, hostname, now); !s.ok()) return s;
    ca = ReadCertificate(files.ca_file);
    ca_key = ReadKey(files.ca_key_file);
    if (ca == nullptr || ca_key == nullptr) return OpenSslError("the authority cannot be read");
  }
  const Certificate server = ReadCertificate(files.certificate_file);
  const Key key = ReadKey(files.key_file);
  if (StillGood(server.get(), key.get(), ca.get(), ca_key.get(), hostname, now)) {
    return absl::OkStatus();
  }
  return MakeServer(files, hostname, now, ca.get(), ca_key.get());
}

}  // namespace posthorn::app
