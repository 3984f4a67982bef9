#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "apps/posthornctl/input.h"
#include "apps/posthornctl/output.h"
#include "posthorn/admin/v1/admin.pb.h"
#include "posthorn/queue/v1/queue.pb.h"

namespace posthorn::ctl {
namespace {

absl::StatusOr<std::vector<CsvAccount>> Read(const std::string& text) {
  std::istringstream stream(text);
  return ReadAccounts(stream);
}

TEST(ReadAccountsTest, ReadsQuotesHeaderEmptyLinesAndCrLf) {
  const auto accounts = Read(
      "address,password\r\n"
      "a@x.example,simple\r\n"
      "\n"
      "\"b@x.example\",\"with, comma and \"\"quotes\"\"\"\n"
      "c@x.example,\"two\nlines\"\n"
      "d@x.example,last");
  ASSERT_TRUE(accounts.ok()) << accounts.status();
  ASSERT_EQ(accounts->size(), 4u);
  EXPECT_EQ((*accounts)[0].password, "simple");
  EXPECT_EQ((*accounts)[0].line, 2);
  EXPECT_EQ((*accounts)[1].password, "with, comma and \"quotes\"");
  EXPECT_EQ((*accounts)[2].password, "two\nlines");
  EXPECT_EQ((*accounts)[3].address, "d@x.example");
  EXPECT_EQ((*accounts)[3].line, 7);
}

TEST(ReadAccountsTest, ReadsHashesOfOtherSystems) {
  const auto accounts = Read(
      "address,password,password_hash\n"
      "a@x.example,simple,\n"
      "b@x.example,,\"{SHA512-CRYPT}$6$rounds=5000,x$y\"\n");
  ASSERT_TRUE(accounts.ok()) << accounts.status();
  ASSERT_EQ(accounts->size(), 2u);
  EXPECT_EQ((*accounts)[0].password, "simple");
  EXPECT_EQ((*accounts)[1].password, "");
  EXPECT_EQ((*accounts)[1].password_hash, "{SHA512-CRYPT}$6$rounds=5000,x$y");
}

TEST(ReadAccountsTest, NamesTheLineThatIsWrong) {
  struct Row {
    const char* text;
    const char* error;
  };
  for (const Row& row : {Row{"a@x,b\nonly-one\n", "line 2: must be address,password or address,,password_hash"},
                         Row{"a,b,c\n", "line 1: must be address,password or address,,password_hash"},
                         Row{"a@x,\n", "line 1: must be address,password or address,,password_hash"},
                         Row{"a@x,\"open\n", "line 1: a quote is not closed"},
                         Row{"a@x,\"b\"c\n", "line 1: text after a closing quote"}}) {
    const auto accounts = Read(row.text);
    ASSERT_FALSE(accounts.ok()) << row.text;
    EXPECT_EQ(accounts.status().message(), row.error);
  }
}

TEST(OutputTest, TableAlignsItsColumns) {
  Table table({"NAME", "ID"});
  table.Add({"a", "1"});
  table.Add({"käse-laden", "22"});
  EXPECT_EQ(table.ToString(),
            "NAME        ID\n"
            "a           1\n"
            "käse-laden  22\n");
}

TEST(OutputTest, JsonHasNumbersTimesIdsAndEscapes) {
  admin::v1::Tenant tenant;
  tenant.set_tenant_id(9007199254740993);
  tenant.set_name("a\"b\\c\n\x01");
  tenant.set_created_at(1700000000);
  EXPECT_EQ(ToJson(tenant),
            "{\"tenant_id\": 9007199254740993, \"name\": \"a\\\"b\\\\c\\u000a\\u0001\", "
            "\"created_at\": \"2023-11-14T22:13:20+00:00\", \"quota_bytes\": 0, "
            "\"quota_messages\": 0, \"used_bytes\": 0, \"messages\": 0}");
  queue::v1::QueuedMessage message;
  message.set_message_id(std::string("\x01\x8f\x00\x11\x22\x33\x74\x44\x85\x55\x66\x77\x88\x99\xaa"
                                     "\xbb", 16));
  message.mutable_received_at()->set_seconds(1700000000);
  message.add_recipients()->set_address("x@y.example");
  const std::string json = ToJson(message);
  EXPECT_THAT(json, ::testing::HasSubstr("\"message_id\": \"018f0011-2233-7444-8555-66778899aabb\""));
  EXPECT_THAT(json, ::testing::HasSubstr("\"received_at\": \"2023-11-14T22:13:20+00:00\""));
  EXPECT_THAT(json, ::testing::HasSubstr("\"expires_at\": null"));
  EXPECT_THAT(json, ::testing::HasSubstr("\"recipients\": [{\"address\": \"x@y.example\""));
}

TEST(OutputTest, OctetsAreReadable) {
  EXPECT_EQ(FormatOctets(0), "0 B");
  EXPECT_EQ(FormatOctets(1023), "1023 B");
  EXPECT_EQ(FormatOctets(1536), "1.5 KiB");
  EXPECT_EQ(FormatOctets(50ull << 20), "50.0 MiB");
}

}  // namespace
}  // namespace posthorn::ctl
