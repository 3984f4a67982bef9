// PLAIN, LOGIN, OAUTHBEARER, XOAUTH2 and base64.
#include "lib/sasl/exchange.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/sasl/base64.h"

namespace posthorn::sasl {
namespace {

using std::string_literals::operator""s;

Step Begin(Mechanism mechanism, std::string initial) {
  return MakeExchange(mechanism, ServerSide())->Start(std::move(initial));
}

// What a step fails with; kUnknown if it does not.
Failure FailureIn(const Step& step) {
  const auto* failed = std::get_if<Failed>(&step);
  return failed == nullptr ? Failure::kUnknown : FailureOf(failed->status);
}

TEST(Base64Test, DecodesStrictly) {
  EXPECT_EQ(DecodeResponse("YWI="), "ab");
  EXPECT_EQ(DecodeResponse("="), "");
  EXPECT_EQ(DecodeResponse(""), "");
  for (const char* bad : {"YWI", "YW I=", "YW=I", "Y*I=", "====", "YWI=YWI=", "YWI=\n", "YW-_"}) {
    EXPECT_FALSE(DecodeResponse(bad).has_value()) << bad;
  }
  EXPECT_EQ(DecodeBase64Url("-_8"), "\xfb\xff");
  for (const char* bad : {"-_8=", "+/8", "a", "a b"}) {
    EXPECT_FALSE(DecodeBase64Url(bad).has_value()) << bad;
  }
}

TEST(MechanismTest, NamesAreReadInAnyCase) {
  for (const char* name : {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER",
                           "XOAUTH2"}) {
    const std::optional<Mechanism> mechanism = MechanismByName(name);
    ASSERT_TRUE(mechanism.has_value()) << name;
    EXPECT_EQ(NameOf(*mechanism), name);
  }
  EXPECT_EQ(MechanismByName("scram-sha-256"), Mechanism::kScramSha256);
  EXPECT_FALSE(MechanismByName("CRAM-MD5").has_value());
}

TEST(PlainTest, AsksForThePasswordToBeChecked) {
  std::unique_ptr<Exchange> plain = MakeExchange(Mechanism::kPlain, ServerSide());
  const Step first = plain->Start(std::nullopt);
  EXPECT_EQ(std::get<Challenge>(first).data, "");
  const Step step = plain->OnResponse("\0a@b.example\0pass word"s);
  EXPECT_EQ(std::get<NeedPasswordCheck>(step).name, "a@b.example");
  EXPECT_EQ(std::get<NeedPasswordCheck>(step).password, "pass word");
  EXPECT_TRUE(std::holds_alternative<Done>(plain->Supply(Accepted())));
  EXPECT_EQ(FailureIn(plain->Supply(Refused())), Failure::kAuthenticationFailed);
}

TEST(PlainTest, RefusesAnotherIdentityAndWhatIsMalformed) {
  EXPECT_TRUE(std::holds_alternative<NeedPasswordCheck>(
      Begin(Mechanism::kPlain, "A@b.example\0a@b.example\0p"s)));
  EXPECT_EQ(FailureIn(Begin(Mechanism::kPlain, "root\0a@b.example\0p"s)),
            Failure::kAuthenticationFailed);
  for (const std::string& bad : {""s, "a"s, "\0a"s, "\0\0p"s, "\0a\0"s, "\0a\0p\0x"s,
                                 "\0"s + std::string(2000, 'a') + "\0p"s,
                                 std::string(20000, '\0')}) {
    EXPECT_EQ(FailureIn(Begin(Mechanism::kPlain, bad)), Failure::kSyntax);
  }
}

TEST(LoginTest, AsksTwice) {
  std::unique_ptr<Exchange> login = MakeExchange(Mechanism::kLogin, ServerSide());
  EXPECT_EQ(std::get<Challenge>(login->Start(std::nullopt)).data, "Username:");
  EXPECT_EQ(std::get<Challenge>(login->OnResponse("a@b.example")).data, "Password:");
  const Step step = login->OnResponse("secret");
  EXPECT_EQ(std::get<NeedPasswordCheck>(step).name, "a@b.example");
  EXPECT_EQ(std::get<NeedPasswordCheck>(step).password, "secret");
  EXPECT_EQ(std::get<Challenge>(Begin(Mechanism::kLogin, "a@b.example")).data, "Password:");
  EXPECT_EQ(FailureIn(Begin(Mechanism::kLogin, "")), Failure::kSyntax);
  EXPECT_EQ(FailureIn(Begin(Mechanism::kLogin, "a\0b"s)), Failure::kSyntax);
}

TEST(OauthTest, ReadsBothForms) {
  // RFC 7628 section 4.1.
  Step step = Begin(Mechanism::kOauthBearer,
                    "n,a=user@example.com,\1host=server.example.com\1port=143\1"
                    "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1");
  EXPECT_EQ(std::get<NeedToken>(step).name, "user@example.com");
  EXPECT_EQ(std::get<NeedToken>(step).token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
  step = Begin(Mechanism::kOauthBearer, "y,,\1auth=bearer tok\1\1");
  EXPECT_EQ(std::get<NeedToken>(step).name, "");
  step = Begin(Mechanism::kOauthBearer, "n,a=a=2Cb=3Dc,\1auth=Bearer tok\1\1");
  EXPECT_EQ(std::get<NeedToken>(step).name, "a,b=c");
  step = Begin(Mechanism::kXoauth2, "user=a@b.example\1auth=Bearer tok\1\1");
  EXPECT_EQ(std::get<NeedToken>(step).name, "a@b.example");
  EXPECT_EQ(std::get<NeedToken>(step).token, "tok");
}

TEST(OauthTest, RefusesWhatIsMalformed) {
  for (const char* bad :
       {"", "\1", "n,,", "n,,\1\1", "n,,\1auth=Bearer \1\1", "n,,\1auth=Basic x\1\1",
        "p=tls-unique,,\1auth=Bearer x\1\1", "n,a=,\1auth=Bearer x\1\1",
        "n,a=x=2D,\1auth=Bearer x\1\1", "n,,\1auth=Bearer x\1", "n,,\1auth=Bearer x\1\1y",
        "n,,\1auth=Bearer x y\1\1", "n,,\1=v\1auth=Bearer x\1\1", "n,a=x\1auth=Bearer x\1\1"}) {
    EXPECT_EQ(FailureIn(Begin(Mechanism::kOauthBearer, bad)), Failure::kSyntax) << bad;
  }
  for (const char* bad : {"", "user=a\1", "user=\1auth=Bearer x\1\1", "auth=Bearer x\1\1",
                          "user=a\1auth=Bearer x\1", "user=a\1\1auth=Bearer x\1\1"}) {
    EXPECT_EQ(FailureIn(Begin(Mechanism::kXoauth2, bad)), Failure::kSyntax) << bad;
  }
}

TEST(OauthTest, ComplainsInJsonBeforeItFails) {
  for (const Mechanism mechanism : {Mechanism::kOauthBearer, Mechanism::kXoauth2}) {
    std::unique_ptr<Exchange> exchange = MakeExchange(mechanism, ServerSide());
    exchange->Start(mechanism == Mechanism::kXoauth2 ? "user=a\1auth=Bearer x\1\1"
                                                     : "n,a=a,\1auth=Bearer x\1\1");
    const Step complaint = exchange->Supply(Refused());
    EXPECT_EQ(std::get<Challenge>(complaint).data.substr(0, 10), "{\"status\":");
    const std::string acknowledged = mechanism == Mechanism::kXoauth2 ? "" : "\1";
    EXPECT_EQ(FailureIn(exchange->OnResponse(acknowledged)), Failure::kAuthenticationFailed);
  }
}

}  // namespace
}  // namespace posthorn::sasl
