// SCRAM, application passwords, and hashes of other systems, against PostgreSQL.

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

// SHA-1("secretsalt") and "salt".
constexpr char kSsha[] = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
constexpr char kMessage[] = "n=user,r=abc,r=abcdef,s=c2FsdA==,i=10000,c=biws,r=abcdef";

std::string Hmac(const std::string& key, const std::string& text) {
  unsigned char out[32];
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, nullptr);
  return std::string(reinterpret_cast<char*>(out), 32);
}

class LoginsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "secret")).ok());
  }

  ScramParameters Parameters(const std::string& login) {
    absl::StatusOr<ScramParameters> parameters = loop.Run(directory.GetScramParameters(login));
    EXPECT_TRUE(parameters.ok()) << parameters.status();
    return parameters.ok() ? *parameters : ScramParameters();
  }
  // As a client does it (RFC 5802 section 3).
  std::string Proof(const std::string& login, const std::string& password) {
    const ScramParameters p = Parameters(login);
    std::string salted(32, '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(p.salt.data()),
                      static_cast<int>(p.salt.size()), p.iterations, EVP_sha256(), 32,
                      reinterpret_cast<unsigned char*>(salted.data()));
    std::string proof = Hmac(salted, "Client Key");
    std::string stored(32, '\0');
    EVP_Digest(proof.data(), proof.size(), reinterpret_cast<unsigned char*>(stored.data()),
               nullptr, EVP_sha256(), nullptr);
    const std::string signature = Hmac(stored, kMessage);
    for (std::size_t i = 0; i < 32; ++i) proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    return proof;
  }
  absl::Status Scram(const std::string& login, const std::string& password,
                     const std::string& service = "imap") {
    return loop.Run(directory.AuthenticateScram(login, kMessage, Proof(login, password), service))
        .status();
  }
  absl::Status Plain(const std::string& login, const std::string& password,
                     const std::string& service = "imap") {
    return loop.Run(directory.Authenticate(login, password, service)).status();
  }
  std::pair<AppPasswordRecord, std::string> AddAppPassword(const std::string& description,
                                                           std::vector<std::string> services) {
    auto added =
        loop.Run(admin.AddAppPassword("alice@one.test", description, std::move(services)));
    EXPECT_TRUE(added.ok()) << added.status();
    return added.ok() ? *added : std::pair<AppPasswordRecord, std::string>();
  }
};

TEST_F(LoginsTest, ScramTakesThePasswordThatWasSet) {
  EXPECT_TRUE(Scram("alice@one.test", "secret").ok());
  EXPECT_TRUE(Scram("ALICE@One.test", "secret").ok());
  absl::StatusOr<ScramLogin> login = loop.Run(directory.AuthenticateScram(
      "alice@one.test", kMessage, Proof("alice@one.test", "secret"), "imap"));
  ASSERT_TRUE(login.ok()) << login.status();
  EXPECT_EQ(login->login.account.account, alice.account);
  EXPECT_EQ(login->server_signature.size(), 32u);
  for (const auto& [name, password] : std::vector<std::pair<std::string, std::string>>{
           {"alice@one.test", "wrong"}, {"bob@one.test", "secret"}, {"bob@one.test", ""},
           {"nobody@one.test", "secret"}, {"nonsense", "secret"}}) {
    EXPECT_EQ(FailureOf(Scram(name, password)), Failure::kAuthenticationFailed) << name;
  }
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "second")).ok());
  EXPECT_FALSE(Scram("alice@one.test", "secret").ok());
  EXPECT_TRUE(Scram("alice@one.test", "second").ok());
  Superuser("UPDATE directory.account SET disabled = true");
  EXPECT_EQ(FailureOf(Scram("alice@one.test", "second")), Failure::kAuthenticationFailed);
}

TEST_F(LoginsTest, WhatScramTellsDoesNotTellWhoIsThere) {
  const ScramParameters nobody = Parameters("carol@one.test");
  EXPECT_EQ(nobody.salt.size(), 16u);
  EXPECT_EQ(nobody.iterations, Parameters("alice@one.test").iterations);
  EXPECT_EQ(Parameters("CAROL@one.test").salt, nobody.salt) << "the same each time";
  EXPECT_NE(Parameters("dave@one.test").salt, nobody.salt);
  EXPECT_NE(Parameters("carol@nowhere.test").salt, nobody.salt);
  EXPECT_EQ(Parameters("nonsense").salt.size(), 16u);
  // Neither does it change when somebody gets the name, or a password, or another one.
  AddAccount("one", "one.test", "carol@one.test");
  EXPECT_EQ(Parameters("carol@one.test").salt, nobody.salt);
  ASSERT_TRUE(loop.Run(admin.SetPassword("carol@one.test", "x")).ok());
  EXPECT_EQ(Parameters("carol@one.test").salt, nobody.salt);
  EXPECT_TRUE(Scram("carol@one.test", "x").ok());
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("carol@one.test")).ok());
  EXPECT_EQ(Parameters("carol@one.test").salt, nobody.salt);
}

TEST_F(LoginsTest, AppPasswordsAreGoodForTheirServices) {
  const auto [record, secret] = AddAppPassword("phone", {"imap", "smtp", "imap"});
  EXPECT_EQ(record.account, "alice@one.test");
  EXPECT_EQ(record.services, (std::vector<std::string>{"imap", "smtp"}));
  EXPECT_TRUE(LooksLikeAppPassword(secret)) << secret;
  const std::string all = AddAppPassword("laptop", {}).second;
  EXPECT_NE(all, secret);
  for (const char* service : {"imap", "smtp"}) {
    EXPECT_TRUE(Plain("alice@one.test", secret, service).ok()) << service;
    EXPECT_TRUE(Scram("alice@one.test", secret, service).ok()) << service;
  }
  EXPECT_EQ(FailureOf(Plain("alice@one.test", secret, "pop3")), Failure::kAuthenticationFailed);
  EXPECT_EQ(FailureOf(Scram("alice@one.test", secret, "pop3")), Failure::kAuthenticationFailed);
  EXPECT_TRUE(Plain("alice@one.test", all, "pop3").ok());
  EXPECT_EQ(FailureOf(Plain("bob@one.test", secret)), Failure::kAuthenticationFailed);
  // The own password goes on.
  EXPECT_TRUE(Plain("alice@one.test", "secret").ok());
  EXPECT_TRUE(Scram("alice@one.test", "secret").ok());

  absl::StatusOr<std::vector<AppPasswordRecord>> list =
      loop.Run(admin.ListAppPasswords("alice@one.test"));
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].description, "phone");
  EXPECT_GT((*list)[0].last_used_at, absl::Now() - absl::Minutes(1));
  EXPECT_EQ(loop.Run(admin.GetAppPassword(record.id))->description, "phone");
  // Nothing that is stored lets anybody in.
  EXPECT_EQ(Superuser("SELECT * FROM directory.app_password WHERE app_password::text LIKE '%" +
                      secret + "%'").rows(), 0);

  ASSERT_TRUE(loop.Run(admin.RemoveAppPassword(record.id)).ok());
  EXPECT_EQ(FailureOf(Plain("alice@one.test", secret)), Failure::kAuthenticationFailed);
  EXPECT_EQ(FailureOf(Scram("alice@one.test", secret)), Failure::kAuthenticationFailed);
  EXPECT_EQ(FailureOf(loop.Run(admin.RemoveAppPassword(record.id))), Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(admin.GetAppPassword(record.id)).status()), Failure::kNotFound);
  Superuser("UPDATE directory.account SET disabled = true");
  EXPECT_EQ(FailureOf(Plain("alice@one.test", all)), Failure::kAuthenticationFailed);
  EXPECT_EQ(FailureOf(Scram("alice@one.test", all)), Failure::kAuthenticationFailed);
}

TEST_F(LoginsTest, AccountsMayRequireAppPasswords) {
  const std::string secret = AddAppPassword("phone", {}).second;
  absl::StatusOr<AccountRecord> record =
      loop.Run(admin.RequireAppPasswords("alice@one.test", true));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_TRUE(record->app_passwords_required);
  EXPECT_EQ(FailureOf(Plain("alice@one.test", "secret")), Failure::kAuthenticationFailed);
  EXPECT_EQ(FailureOf(Scram("alice@one.test", "secret")), Failure::kAuthenticationFailed);
  EXPECT_TRUE(Plain("alice@one.test", secret).ok());
  EXPECT_TRUE(Scram("alice@one.test", secret).ok());
  ASSERT_TRUE(loop.Run(admin.RequireAppPasswords("alice@one.test", false)).ok());
  EXPECT_TRUE(Plain("alice@one.test", "secret").ok());
}

TEST_F(LoginsTest, AppPasswordsOutliveANewPasswordAndWorkWithoutOne) {
  const std::string secret = AddAppPassword("phone", {}).second;
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "second")).ok());
  EXPECT_TRUE(Scram("alice@one.test", secret).ok());
  EXPECT_TRUE(Plain("alice@one.test", secret).ok());
  // An account that never had a password.
  auto added = loop.Run(admin.AddAppPassword("bob@one.test", "phone", {}));
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_TRUE(Scram("bob@one.test", added->second).ok());
  EXPECT_EQ(FailureOf(Scram("bob@one.test", "")), Failure::kAuthenticationFailed);
}

TEST_F(LoginsTest, RefusesAppPasswordsThatMakeNoSense) {
  const auto failure = [&](const std::string& account, std::string description,
                           std::vector<std::string> services) {
    return FailureOf(
        loop.Run(admin.AddAppPassword(account, std::move(description), std::move(services)))
            .status());
  };
  EXPECT_EQ(failure("nobody@one.test", "", {}), Failure::kNotFound);
  EXPECT_EQ(failure("alice@one.test", "", {"ftp"}), Failure::kInvalidArgument);
  EXPECT_EQ(failure("alice@one.test", std::string(300, 'x'), {}), Failure::kInvalidArgument);
}

TEST_F(LoginsTest, HashesOfOtherSystemsAreReplacedAtTheFirstLogin) {
  ASSERT_TRUE(loop.Run(admin.SetPasswordHash("alice@one.test", kSsha)).ok());
  EXPECT_EQ(FailureOf(Scram("alice@one.test", "secret")), Failure::kAuthenticationFailed)
      << "there are no keys yet";
  EXPECT_EQ(FailureOf(Plain("alice@one.test", "wrong")), Failure::kAuthenticationFailed);
  const auto hash = [&] {
    return Superuser("SELECT c.password_hash FROM directory.account c JOIN directory.address a"
                     " USING (account_id) WHERE a.address = 'alice@one.test'").Text(0, 0);
  };
  EXPECT_EQ(hash().substr(0, 6), "{SSHA}");
  EXPECT_TRUE(Plain("alice@one.test", "secret").ok());
  EXPECT_EQ(hash().substr(0, 10), "$argon2id$");
  EXPECT_TRUE(Plain("alice@one.test", "secret").ok());
  EXPECT_TRUE(Scram("alice@one.test", "secret").ok());
  EXPECT_EQ(FailureOf(loop.Run(admin.SetPasswordHash("alice@one.test", "{MD5}x"))),
            Failure::kInvalidArgument);

  std::vector<NewAccount> accounts;
  accounts.emplace_back("new@one.test", "", 0, kSsha);
  accounts.emplace_back("bad@one.test", "", 0, "{SSHA}x");
  accounts.emplace_back("both@one.test", "x", 0, kSsha);
  EXPECT_TRUE(loop.Run(admin.AddAccount(accounts[0])).ok());
  EXPECT_EQ(FailureOf(loop.Run(admin.AddAccount(accounts[1])).status()),
            Failure::kInvalidArgument);
  EXPECT_EQ(FailureOf(loop.Run(admin.AddAccount(accounts[2])).status()),
            Failure::kInvalidArgument);
  EXPECT_TRUE(Plain("new@one.test", "secret").ok());
}

TEST_F(LoginsTest, AccountsFromBeforeScramGetTheirKeysAtTheNextLogin) {
  Superuser("UPDATE directory.account SET scram_salt = NULL, scram_iterations = NULL,"
            " scram_stored_key = NULL, scram_server_key = NULL");
  EXPECT_EQ(FailureOf(Scram("alice@one.test", "secret")), Failure::kAuthenticationFailed);
  EXPECT_TRUE(Plain("alice@one.test", "secret").ok());
  EXPECT_TRUE(Scram("alice@one.test", "secret").ok());
}

TEST_F(LoginsTest, PasswordsArePrepared) {
  // U+2168, the Roman numeral nine, is typed as "IX" by others (RFC 4013 section 3).
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "\xe2\x85\xa8")).ok());
  EXPECT_TRUE(Plain("alice@one.test", "IX").ok());
  EXPECT_TRUE(Plain("alice@one.test", "\xe2\x85\xa8").ok());
  EXPECT_TRUE(Scram("alice@one.test", "IX").ok());
}

TEST_F(LoginsTest, ATokenLetsInWhoMayLogIn) {
  EXPECT_EQ(loop.Run(directory.AuthenticateIdentity("Alice@one.test"))->account.account,
            alice.account);
  EXPECT_TRUE(loop.Run(directory.AuthenticateIdentity("bob@one.test")).ok())
      << "without a password";
  for (const char* name : {"nobody@one.test", "nonsense", ""}) {
    EXPECT_EQ(FailureOf(loop.Run(directory.AuthenticateIdentity(name)).status()),
              Failure::kAuthenticationFailed);
  }
  Superuser("UPDATE directory.account SET disabled = true");
  EXPECT_FALSE(loop.Run(directory.AuthenticateIdentity("alice@one.test")).ok());
}

TEST_F(LoginsTest, APasswordOfAnotherTenantIsOfNoUse) {
  AddAccount("two", "two.test", "alice@two.test");
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@two.test", "other")).ok());
  auto added = loop.Run(admin.AddAppPassword("alice@two.test", "phone", {}));
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(FailureOf(Plain("alice@one.test", added->second)), Failure::kAuthenticationFailed);
  EXPECT_EQ(FailureOf(Scram("alice@one.test", added->second)), Failure::kAuthenticationFailed);
  EXPECT_EQ(loop.Run(directory.Authenticate("alice@two.test", added->second, "imap"))
                ->account.tenant.value(),
            loop.Run(admin.GetTenant("two"))->tenant.value());
}

}  // namespace
}  // namespace posthorn::mailbox
