#include "lib/smtp/client/orcpt.h"

#include <gtest/gtest.h>

#include <string>

namespace posthorn::smtp::client {
namespace {

TEST(OrcptTest, EncodesOriginalRecipients) {
  struct Row {
    const char* name;
    std::string typed;
    std::string encoded;
  };
  const Row rows[] = {
      {"plain", "rfc822;bob@example.net", "rfc822;bob@example.net"},
      {"plus addressing", "rfc822;bob+tag@example.net", "rfc822;bob+2Btag@example.net"},
      {"another type", "x400;/S=bob/", "x400;/S+3Dbob/"},
      {"UTF-8", "utf-8;j\xc3\xbcrgen@example.net", "utf-8;j\\x{FC}rgen@example.net"},
      {"UTF-8 under the wrong type", "rfc822;\xf0\x9f\x98\x80@x", "utf-8;\\x{1F600}@x"},
      {"broken UTF-8", "utf-8;\xc3@x", ""},
      {"no type", "bob@example.net", ""},
      {"a type that would end the parameter", "a b;bob", ""},
      {"nothing", "rfc822;", ""},
      {"too long", "rfc822;" + std::string(500, 'a'), ""},
  };
  for (const Row& row : rows) EXPECT_EQ(EncodeOrcpt(row.typed), row.encoded) << row.name;
}

}  // namespace
}  // namespace posthorn::smtp::client
