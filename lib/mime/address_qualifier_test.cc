#include "lib/mime/address_qualifier.h"

#include "gtest/gtest.h"

namespace posthorn::mime {
namespace {

TEST(QualifyAddressesTest, GivesLoneLocalPartsADomain) {
  struct Row {
    const char* name;
    const char* value;
    const char* qualified;
  };
  constexpr Row kRows[] = {
      {"lone", " root\r\n", " root@d.test\r\n"},
      {"cron", " root (Cron Daemon)\r\n", " root@d.test (Cron Daemon)\r\n"},
      {"comment first", " (x) root", " (x) root@d.test"},
      {"angle", " Bob <bob>", " Bob <bob@d.test>"},
      {"angle with blanks", " Bob < bob >", " Bob < bob@d.test >"},
      {"quoted", " \"a b\"", " \"a b\"@d.test"},
      {"quoted angle", " X <\"a b\">", " X <\"a b\"@d.test>"},
      {"dots", " j.doe", " j.doe@d.test"},
      {"list", "a, b@x.test,c", "a@d.test, b@x.test,c@d.test"},
      {"fold", "a,\r\n b\r\n", "a@d.test,\r\n b@d.test\r\n"},
      {"group", "friends: a, b@x.test;, c", "friends: a@d.test, b@x.test;, c@d.test"},
      {"empty group", "undisclosed-recipients:;", "undisclosed-recipients:;"},
      {"complete", " Alice <alice@x.test>", " Alice <alice@x.test>"},
      {"addr-spec with blanks", "alice @ x.test", "alice @ x.test"},
      {"comma in quotes", "\"x, y\" <a>", "\"x, y\" <a@d.test>"},
      {"comma in comment", "a (x, y)", "a@d.test (x, y)"},
      {"nested comment", "a (x (y) \\) z)", "a@d.test (x (y) \\) z)"},
      {"utf-8", " j\xC3\xBCrgen", " j\xC3\xBCrgen@d.test"},
      {"null", "<>", "<>"},
      {"two words", "John Smith", "John Smith"},
      {"literal", "a@[192.0.2.1]", "a@[192.0.2.1]"},
      {"route", "<@a,@b:c@d>", "<@a,@b:c@d>"},
      {"unfinished quotes", "a, \"b", "a, \"b"},
      {"unfinished comment", "a (b", "a (b"},
      {"unfinished angle", "a <b", "a <b"},
      {"empty", "", ""},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(QualifyAddresses(row.value, "d.test"), row.qualified) << row.name;
  }
}

TEST(AddressQualifierTest, ChangesFieldsOfPeopleOnlyAtEveryCut) {
  const std::string message =
      "Received: root\r\nFrom: root (Cron)\r\nSubject: root\r\nTO :\r\n\tbob,\r\n Carl <carl>\r\n"
      "Resent-To: dora\r\nX: to\r\n\r\nTo: eve\r\n";
  const std::string expected =
      "Received: root\r\nFrom: root@d.test (Cron)\r\nSubject: root\r\nTO :\r\n\tbob@d.test,\r\n"
      " Carl <carl@d.test>\r\nResent-To: dora@d.test\r\nX: to\r\n\r\nTo: eve\r\n";
  for (std::size_t chunk = 1; chunk <= message.size(); ++chunk) {
    AddressQualifier qualifier("d.test");
    std::string out;
    for (std::size_t at = 0; at < message.size(); at += chunk) {
      qualifier.Feed(std::string_view(message).substr(at, chunk), out);
    }
    qualifier.Finish(out);
    EXPECT_EQ(out, expected) << chunk;
  }
}

TEST(AddressQualifierTest, TakesAHeaderThatIsAll) {
  AddressQualifier qualifier("d.test");
  std::string out;
  qualifier.Feed("Subject: x\r\nTo: bob", out);
  qualifier.Finish(out);
  EXPECT_EQ(out, "Subject: x\r\nTo: bob@d.test");
}

TEST(AddressQualifierTest, LetsAnEndlessFieldPass) {
  const std::string message =
      "To: " + std::string(AddressQualifier::kMaxFieldOctets, 'a') + "\r\n\r\nbody";
  AddressQualifier qualifier("d.test");
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += 1000) {
    qualifier.Feed(std::string_view(message).substr(at, 1000), out);
  }
  qualifier.Finish(out);
  EXPECT_TRUE(out == message);
}

}  // namespace
}  // namespace posthorn::mime
