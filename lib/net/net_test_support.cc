#include "lib/net/net_test_support.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

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
  Renew();
}

TestCertificate::~TestCertificate() { std::filesystem::remove_all(directory); }

void TestCertificate::Renew() {
  static long serial = 1;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("mx.example"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  for (const auto& [nid, value] :
       {std::pair(NID_basic_constraints, "critical,CA:TRUE"),
        std::pair(NID_subject_alt_name, names.c_str())}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EXPECT_GT(X509_sign(certificate, key, EVP_sha256()), 0);
  std::FILE* file = std::fopen(certificate_file.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(key_file.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

}  // namespace posthorn::net
