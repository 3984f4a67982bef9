#include "lib/sasl/scram.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/base/failure.h"
#include "lib/sasl/base64.h"
#include "lib/sasl/exchange.h"

namespace posthorn::sasl {
namespace {

using std::string_literals::operator""s;

// RFC 7677 section 3.
constexpr char kClientFirst[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr char kServerNonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr char kServerFirst[] =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr char kClientFinal[] =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr char kServerFinal[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
const std::string kSalt = *DecodeBase64("W22ZaJ0SNY7soEsUEjb6gQ==");
constexpr int kCount = 4096;

ServerSide Server(std::vector<ChannelBinding> bindings = {}) {
  ServerSide server;
  server.nonce = kServerNonce;
  server.bindings = std::move(bindings);
  return server;
}

Failure FailureIn(const Step& step) {
  const auto* failed = std::get_if<Failed>(&step);
  return failed == nullptr ? Failure::kUnknown : FailureOf(failed->status);
}

std::string Hmac(const std::string& key, const std::string& text) {
  unsigned char out[32];
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, nullptr);
  return std::string(reinterpret_cast<char*>(out), 32);
}

// The proof of a client that knows `password` (RFC 5802 section 3).
std::string Proof(const std::string& password, const std::string& auth_message) {
  std::string salted(32, '\0');
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                    reinterpret_cast<const unsigned char*>(kSalt.data()),
                    static_cast<int>(kSalt.size()), kCount, EVP_sha256(), 32,
                    reinterpret_cast<unsigned char*>(salted.data()));
  std::string proof = Hmac(salted, "Client Key");
  std::string stored(32, '\0');
  EVP_Digest(proof.data(), proof.size(), reinterpret_cast<unsigned char*>(stored.data()), nullptr,
             EVP_sha256(), nullptr);
  const std::string signature = Hmac(stored, auth_message);
  for (std::size_t i = 0; i < 32; ++i) proof[i] = static_cast<char>(proof[i] ^ signature[i]);
  return proof;
}

// A whole exchange with a client that knows "pencil"; its last step.
Step Play(Mechanism mechanism, ServerSide server, const std::string& gs2_header,
          const std::string& binding_input) {
  std::unique_ptr<Exchange> exchange = MakeExchange(mechanism, std::move(server));
  const std::string bare = "n=user,r=abc";
  Step step = exchange->Start(gs2_header + bare);
  if (!std::holds_alternative<NeedVerifier>(step)) return step;
  step = exchange->Supply(ScramParameters(kSalt, kCount));
  const std::string server_first = std::get<Challenge>(step).data;
  const std::string without_proof =
      "c=" + EncodeBase64(binding_input) + ",r=abc" + kServerNonce;
  const std::string auth_message = bare + "," + server_first + "," + without_proof;
  step = exchange->OnResponse(without_proof + ",p=" + EncodeBase64(Proof("pencil", auth_message)));
  const auto* check = std::get_if<NeedProofCheck>(&step);
  if (check == nullptr) return step;
  EXPECT_EQ(check->auth_message, auth_message);
  const std::optional<std::string> signature =
      CheckProof(MakeScramKeys("pencil", kSalt, kCount), check->auth_message, check->proof);
  if (!signature.has_value()) return exchange->Supply(Refused());
  step = exchange->Supply(ScramSignature(*signature));
  EXPECT_EQ(std::get<Challenge>(step).data.substr(0, 2), "v=");
  return exchange->OnResponse("");
}

TEST(ScramTest, TheExampleOfTheRfc) {
  std::unique_ptr<Exchange> exchange = MakeExchange(Mechanism::kScramSha256, Server());
  EXPECT_EQ(std::get<Challenge>(exchange->Start(std::nullopt)).data, "");
  Step step = exchange->OnResponse(kClientFirst);
  EXPECT_EQ(std::get<NeedVerifier>(step).name, "user");
  step = exchange->Supply(ScramParameters(kSalt, kCount));
  EXPECT_EQ(std::get<Challenge>(step).data, kServerFirst);
  step = exchange->OnResponse(kClientFinal);
  const auto& check = std::get<NeedProofCheck>(step);
  EXPECT_EQ(check.name, "user");
  const ScramKeys keys = MakeScramKeys("pencil", kSalt, kCount);
  EXPECT_FALSE(CheckProof(MakeScramKeys("pencils", kSalt, kCount), check.auth_message, check.proof)
                   .has_value());
  EXPECT_FALSE(CheckProof(keys, check.auth_message + "x", check.proof).has_value());
  EXPECT_FALSE(CheckProof(keys, check.auth_message, "").has_value());
  EXPECT_FALSE(CheckProof(ScramKeys(), check.auth_message, check.proof).has_value());
  const std::optional<std::string> signature =
      CheckProof(keys, check.auth_message, check.proof);
  ASSERT_TRUE(signature.has_value());
  step = exchange->Supply(ScramSignature(*signature));
  EXPECT_EQ(std::get<Challenge>(step).data, kServerFinal);
  EXPECT_TRUE(std::holds_alternative<Done>(exchange->OnResponse("")));
}

TEST(ScramTest, AWrongPasswordFails) {
  std::unique_ptr<Exchange> exchange = MakeExchange(Mechanism::kScramSha256, Server());
  exchange->Start(kClientFirst);
  exchange->Supply(ScramParameters(kSalt, kCount));
  exchange->OnResponse(kClientFinal);
  EXPECT_EQ(FailureIn(exchange->Supply(Refused())), Failure::kAuthenticationFailed);
}

TEST(ScramTest, ChannelBindingAndDowngrades) {
  const std::vector<ChannelBinding> bindings = {{"tls-exporter", "EXPORTED"},
                                                {"tls-server-end-point", "CERTIFICATE"}};
  struct Row {
    const char* what;
    Mechanism mechanism;
    bool plus_offered;
    std::string gs2_header;
    std::string binding_input;
    Failure failure;  // kUnknown: logs in
  };
  const Row rows[] = {
      {"bound", Mechanism::kScramSha256Plus, true, "p=tls-exporter,,", "p=tls-exporter,,EXPORTED",
       Failure::kUnknown},
      {"bound to the certificate", Mechanism::kScramSha256Plus, true, "p=tls-server-end-point,,",
       "p=tls-server-end-point,,CERTIFICATE", Failure::kUnknown},
      {"another channel", Mechanism::kScramSha256Plus, true, "p=tls-exporter,,",
       "p=tls-exporter,,OTHER", Failure::kAuthenticationFailed},
      {"no data", Mechanism::kScramSha256Plus, true, "p=tls-exporter,,", "p=tls-exporter,,",
       Failure::kAuthenticationFailed},
      {"unknown type", Mechanism::kScramSha256Plus, true, "p=tls-unique,,", "", Failure::kSyntax},
      {"-PLUS without binding", Mechanism::kScramSha256Plus, true, "n,,", "n,,", Failure::kSyntax},
      {"-PLUS with y", Mechanism::kScramSha256Plus, true, "y,,", "y,,", Failure::kSyntax},
      {"binding without -PLUS", Mechanism::kScramSha256, true, "p=tls-exporter,,", "",
       Failure::kSyntax},
      {"cannot bind", Mechanism::kScramSha256, true, "n,,", "n,,", Failure::kUnknown},
      {"-PLUS was removed from the list", Mechanism::kScramSha256, true, "y,,", "y,,",
       Failure::kAuthenticationFailed},
      {"-PLUS was not offered", Mechanism::kScramSha256, false, "y,,", "y,,", Failure::kUnknown},
      {"the flag was changed on the way", Mechanism::kScramSha256, false, "n,,", "y,,",
       Failure::kAuthenticationFailed},
      {"the same identity", Mechanism::kScramSha256, false, "n,a=USER,", "n,a=USER,",
       Failure::kUnknown},
      {"another identity", Mechanism::kScramSha256, false, "n,a=root,", "n,a=root,",
       Failure::kAuthenticationFailed},
  };
  for (const Row& row : rows) {
    const Step last = Play(row.mechanism,
                           Server(row.plus_offered ? bindings : std::vector<ChannelBinding>()),
                           row.gs2_header, row.binding_input);
    EXPECT_EQ(FailureIn(last), row.failure) << row.what;
    EXPECT_EQ(std::holds_alternative<Done>(last), row.failure == Failure::kUnknown) << row.what;
  }
}

TEST(ScramTest, NamesAreUnescapedAndPrepared) {
  const auto name_of = [](const std::string& first) {
    const Step step = MakeExchange(Mechanism::kScramSha256, Server())->Start(first);
    const auto* need = std::get_if<NeedVerifier>(&step);
    return need == nullptr ? "failed" : need->name;
  };
  EXPECT_EQ(name_of("n,,n=a=2Cb=3Dc,r=x"), "a,b=c");
  EXPECT_EQ(name_of("n,,n=I\xc2\xadX,r=x"), "IX");  // RFC 4013 section 3: soft hyphen
  EXPECT_EQ(name_of("n,,n=a,r=x,extension=y"), "a");
  for (const std::string& bad :
       {""s, "n"s, "n,"s, "n,,"s, "n,,n=,r=x"s, "n,,n=a"s, "n,,n=a,r="s, "n,,n=a,r=x y"s,
        "n,,n=a=2D,r=x"s, "n,,n=a=,r=x"s, "n,,m=x,n=a,r=x"s, "z,,n=a,r=x"s, "n,b=x,n=a,r=x"s,
        "n,a=,n=a,r=x"s, "n,,n=a\0b,r=x"s, "n,,n=\x07,r=x"s, "p=,,n=a,r=x"s, "n,a=a"s,
        "n,,n=" + std::string(2000, 'a') + ",r=x", "n,,n=a,r=" + std::string(300, 'x')}) {
    EXPECT_EQ(FailureIn(MakeExchange(Mechanism::kScramSha256, Server())->Start(bad)),
              Failure::kSyntax)
        << bad;
  }
}

TEST(ScramTest, RefusesAMalformedFinalMessage) {
  const std::string nonce = std::string("rOprNGfwEbeRWgbNEkqO") + kServerNonce;
  const std::string proof = ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
  struct Row {
    std::string message;
    Failure failure;
  };
  const Row rows[] = {
      {"", Failure::kSyntax},
      {"c=biws,r=" + nonce, Failure::kSyntax},
      {"c=biws,r=" + nonce + ",p=", Failure::kSyntax},
      {"c=biws,r=" + nonce + ",p=AAAA", Failure::kSyntax},
      {"c=biws,r=" + nonce + ",p=***", Failure::kSyntax},
      {"c=bi,r=" + nonce + proof, Failure::kSyntax},
      {"r=" + nonce + ",c=biws" + proof, Failure::kSyntax},
      {"c=biws,m=x,r=" + nonce + proof, Failure::kSyntax},
      {"c=biws,r=" + nonce + ",m=x" + proof, Failure::kSyntax},
      {"c=biws,r=rOprNGfwEbeRWgbNEkqO" + proof, Failure::kAuthenticationFailed},
      {"c=biws,r=" + nonce + "x" + proof, Failure::kAuthenticationFailed},
      {"c=eSws,r=" + nonce + proof, Failure::kAuthenticationFailed},
  };
  for (const Row& row : rows) {
    std::unique_ptr<Exchange> exchange = MakeExchange(Mechanism::kScramSha256, Server());
    exchange->Start(kClientFirst);
    exchange->Supply(ScramParameters(kSalt, kCount));
    EXPECT_EQ(FailureIn(exchange->OnResponse(row.message)), row.failure) << row.message;
  }
  std::unique_ptr<Exchange> exchange = MakeExchange(Mechanism::kScramSha256, Server());
  exchange->Start(kClientFirst);
  exchange->Supply(ScramParameters(kSalt, kCount));
  exchange->OnResponse(kClientFinal);
  exchange->Supply(ScramSignature(std::string(32, 'x')));
  EXPECT_EQ(FailureIn(exchange->OnResponse("more")), Failure::kSyntax);
}

TEST(SaslprepTest, PreparesWhatItCanAndKeepsTheRest) {
  // RFC 4013 section 3.
  EXPECT_EQ(Saslprep("I\xc2\xadX"), "IX");
  EXPECT_EQ(Saslprep("user"), "user");
  EXPECT_EQ(Saslprep("USER"), "USER");
  EXPECT_EQ(Saslprep("\xc2\xaa"), "a");
  EXPECT_EQ(Saslprep("\xe2\x85\xa8"), "IX");
  EXPECT_FALSE(Saslprep("\x07").has_value());
  EXPECT_FALSE(Saslprep("\xd8\xa7" "1").has_value());
  EXPECT_FALSE(Saslprep("a\0b"s).has_value());
  EXPECT_FALSE(Saslprep("\xff").has_value());
  EXPECT_EQ(PreparePassword("\xe2\x85\xa8"), "IX");
  EXPECT_EQ(PreparePassword("\x07" "bell"), "\x07" "bell");
  EXPECT_EQ(PreparePassword("\xff"), "\xff");
  EXPECT_EQ(PreparePassword("a\0b"s), "a\0b"s);
}

}  // namespace
}  // namespace posthorn::sasl
