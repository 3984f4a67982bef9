// EXPIRE and LOGIN-DELAY (RFC 2449), UTF8 and LANG (RFC 6856).

#include "lib/redis/rate_limiter.h"
#include "services/gateway/pop3/transcript_test_base.h"

namespace posthorn::gateway {
namespace {

class Pop3CapabilitiesTest : public Pop3TranscriptTest {
 protected:
  // As a gateway without Redis counts.
  void DelayLogins(absl::Duration delay) {
    logins_counted_ = std::make_unique<redis::RateLimiter>(nullptr, clock_,
                                                           redis::RateLimiterOptions());
    dependencies_.logins = logins_counted_.get();
    limits_.login_delay = delay;
  }
  void Greet() {
    Connect();
    EXPECT_EQ(Receive(), "+OK Posthorn POP3 ready\r\n");
  }
  std::string Password() {
    return Say("USER alice@example.test\r\nPASS se cret\r\n");
  }

  std::unique_ptr<redis::RateLimiter> logins_counted_;
};

TEST_F(Pop3CapabilitiesTest, CapaListsThemInBothStates) {
  Greet();
  const std::string before = Say("CAPA\r\n");
  EXPECT_NE(before.find("\r\nUTF8 USER\r\nLANG\r\nEXPIRE NEVER\r\n"), std::string::npos) << before;
  EXPECT_EQ(before.find("LOGIN-DELAY"), std::string::npos);
  Password();
  const std::string after = Say("CAPA\r\n");
  EXPECT_NE(after.find("\r\nUTF8 USER\r\nLANG\r\nEXPIRE NEVER\r\n"), std::string::npos) << after;
}

TEST_F(Pop3CapabilitiesTest, Utf8IsForTheAuthorizationState) {
  // A header in UTF-8 and a name in it; octets are the same in either mode.
  directory_.AddAccount("j\xc3\xb6rg@example.test", "gr\xc3\xbc\xc3\x9f""e", AccountId(11));
  store_.AddAccount(kTenant, AccountId(11));
  store_.Deliver(kTenant, AccountId(11), "INBOX", "", "Subject: Gr\xc3\xbc\xc3\x9f""e\r\n\r\nhi\r\n",
                 absl::UnixEpoch());
  Greet();
  EXPECT_EQ(Say("UTF8\r\n"), "+OK UTF-8 mode\r\n");
  EXPECT_EQ(Say("USER j\xc3\xb6rg@example.test\r\nPASS gr\xc3\xbc\xc3\x9f""e\r\n"),
            "+OK Password, please\r\n+OK 1 messages\r\n");
  EXPECT_EQ(Say("LIST 1\r\n"), "+OK 1 24\r\n");
  EXPECT_EQ(Say("RETR 1\r\n"),
            "+OK 24 octets\r\nSubject: Gr\xc3\xbc\xc3\x9f""e\r\n\r\nhi\r\n.\r\n");
  EXPECT_EQ(Say("UTF8\r\n"), "-ERR Logged in already\r\n");
}

TEST_F(Pop3CapabilitiesTest, NoTlsAfterUtf8) {
  alignas(16) static const char context[64] = {};
  dependencies_.tls = reinterpret_cast<const net::TlsContext*>(context);
  Greet();
  EXPECT_EQ(Say("UTF8\r\n"), "+OK UTF-8 mode\r\n");
  EXPECT_EQ(Say("STLS\r\n"), "-ERR Not after UTF8\r\n");
}

TEST_F(Pop3CapabilitiesTest, LangListsAndChooses) {
  Greet();
  const std::string list = "+OK Languages follow\r\nen English\r\ni-default Default language\r\n.\r\n";
  EXPECT_EQ(Say("LANG\r\n"), list);
  EXPECT_EQ(Say("LANG EN\r\n"), "+OK en English from now on\r\n");
  EXPECT_EQ(Say("LANG en-GB\r\n"), "+OK en English from now on\r\n");
  EXPECT_EQ(Say("LANG *\r\n"), "+OK i-default Default language\r\n");
  EXPECT_EQ(Say("LANG de\r\n"), "-ERR No such language, LANG lists them\r\n");
  EXPECT_EQ(Say("LANG english\r\n").substr(0, 4), "-ERR");
  Password();
  EXPECT_EQ(Say("LANG\r\n"), list);
}

TEST_F(Pop3CapabilitiesTest, AnAccountWaitsBetweenLogins) {
  DelayLogins(absl::Seconds(60));
  Greet();
  EXPECT_NE(Say("CAPA\r\n").find("\r\nLOGIN-DELAY 60\r\n"), std::string::npos);
  EXPECT_EQ(Password(), "+OK Password, please\r\n+OK 0 messages\r\n");
  EXPECT_EQ(Say("QUIT\r\n"), "+OK Bye\r\n<closed>");
  Greet();
  const std::string refused = Password();
  EXPECT_NE(refused.find("\r\n-ERR [LOGIN-DELAY] Log in again in "), std::string::npos) << refused;
  // Who was refused has not logged in: neither does the time begin anew, nor is the lock kept.
  Advance(absl::Seconds(61));
  EXPECT_EQ(Password(), "+OK Password, please\r\n+OK 0 messages\r\n");
}

TEST_F(Pop3CapabilitiesTest, AMaildropInUseIsNoLogin) {
  DelayLogins(absl::Seconds(60));
  Greet();
  EXPECT_EQ(Password(), "+OK Password, please\r\n+OK 0 messages\r\n");
  std::unique_ptr<net::Stream> first = std::move(client_);
  Advance(absl::Seconds(61));
  Greet();
  EXPECT_NE(Password().find("[IN-USE]"), std::string::npos);
  std::swap(first, client_);
  EXPECT_EQ(Say("QUIT\r\n"), "+OK Bye\r\n<closed>");
  std::swap(first, client_);
  EXPECT_EQ(Password(), "+OK Password, please\r\n+OK 0 messages\r\n");
  first.reset();
}

}  // namespace
}  // namespace posthorn::gateway
