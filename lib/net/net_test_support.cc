#include "lib/net/net_test_support.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>

#include "lib/net/socket.h"

namespace posthorn::net {
namespace {

Task<SocketPair> Wrap(EventLoop& loop, int server, int client) {
  SocketPair pair;
  pair.server = MakeSocketStream(std::make_shared<Socket>(loop, server));
  pair.client = MakeSocketStream(std::make_shared<Socket>(loop, client));
  co_return std::move(pair);
}

}  // namespace

SocketPair MakeSocketPair(EventLoop& loop) {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  return RunOn(loop, Wrap(loop, fds[0], fds[1]));
}

TestCertificate::TestCertificate(std::string names_in) : names(std::move(names_in)) {
  std::string path = testing::TempDir() + "/certificate-XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  directory = path;
  certificate_file = directory + "/certificate.pem";
  key_file = directory + "/key.pem";
  issuer_file = directory + "/issuer.pem";
  Renew();
}

TestCertificate::~TestCertificate() { std::filesystem::remove_all(directory); }

namespace {

// Signed by itself without an issuer.
X509* Make(EVP_PKEY* key, const char* common_name, const char* names, X509* issuer,
           EVP_PKEY* issuer_key) {
  static long serial = 1;
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  X509_set_issuer_name(certificate, issuer == nullptr ? name : X509_get_subject_name(issuer));
  for (const auto& [nid, value] :
       {std::pair(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE"),
        std::pair(NID_subject_alt_name, names)}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EXPECT_GT(X509_sign(certificate, issuer == nullptr ? key : issuer_key, EVP_sha256()), 0);
  return certificate;
}

void Write(const std::string& path, std::initializer_list<X509*> certificates) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  for (X509* certificate : certificates) PEM_write_X509(file, certificate);
  std::fclose(file);
}

void WriteKey(const std::string& path, EVP_PKEY* key) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

}  // namespace

void TestCertificate::Renew() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = Make(key, "mx.example", names.c_str(), nullptr, nullptr);
  Write(certificate_file, {certificate});
  WriteKey(key_file, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

void TestCertificate::RenewIssued() {
  EVP_PKEY* issuer_key = EVP_EC_gen("P-256");
  X509* issuer = Make(issuer_key, "Authority", "DNS:authority.example", nullptr, nullptr);
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = Make(key, "mx.example", names.c_str(), issuer, issuer_key);
  Write(certificate_file, {certificate, issuer});
  Write(issuer_file, {issuer});
  WriteKey(key_file, key);
  X509_free(certificate);
  X509_free(issuer);
  EVP_PKEY_free(key);
  EVP_PKEY_free(issuer_key);
}

}  // namespace posthorn::net
