#include "services/gateway/session/sasl.h"

#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {
namespace {

using std::string_literals::operator""s;

TEST(SaslTest, DecodesBase64Strictly) {
  EXPECT_EQ(DecodeSaslBase64("YWI=").value(), "ab");
  EXPECT_EQ(DecodeSaslBase64("=").value(), "");
  EXPECT_EQ(DecodeSaslBase64("").value(), "");
  for (const char* bad : {"YWI", "YW I=", "YW=I", "Y*I=", "====", "YWI=YWI="}) {
    EXPECT_FALSE(DecodeSaslBase64(bad).ok()) << bad;
  }
}

TEST(SaslTest, ReadsPlain) {
  const NameAndPassword login = ParseSaslPlain("\0a@b.example\0pass word"s).value();
  EXPECT_EQ(login.name, "a@b.example");
  EXPECT_EQ(login.password, "pass word");
  EXPECT_TRUE(ParseSaslPlain("A@b.example\0a@b.example\0p"s).ok());
}

TEST(SaslTest, RefusesAnotherIdentity) {
  EXPECT_EQ(FailureOf(ParseSaslPlain("root\0a@b.example\0p"s).status()),
            Failure::kAuthenticationFailed);
}

TEST(SaslTest, RefusesMalformedPlain) {
  for (const std::string& bad : {""s, "a"s, "\0a"s, "\0\0p"s, "\0a\0"s, "\0a\0p\0x"s,
                                 "\0"s + std::string(2000, 'a') + "\0p"s}) {
    EXPECT_EQ(FailureOf(ParseSaslPlain(bad).status()), Failure::kSyntax);
  }
}

}  // namespace
}  // namespace posthorn::gateway
