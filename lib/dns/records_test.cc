#include "lib/dns/records.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"

namespace posthorn::dns {
namespace {

using std::string_literals::operator""s;

TEST(RecordsTest, ReadsMx) {
  const std::string rdata = "\x00\x0a\x02MX\x07"s + "example\x03"s + "NET\x00"s;
  const std::optional<MxRecord> record = ParseMx(rdata);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->preference, 10);
  EXPECT_EQ(record->host, "mx.example.net");
  EXPECT_EQ(ParseMx(EncodeMx(*record)), record);
}

TEST(RecordsTest, ReadsNullMx) {
  const std::optional<MxRecord> record = ParseMx("\x00\x00\x00"s);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->host, "");
}

TEST(RecordsTest, RefusesMalformedNames) {
  struct Row {
    const char* name;
    std::string rdata;
  };
  const std::vector<Row> rows = {
      {"empty", ""},
      {"label longer than data", "\x05"s + "abc"},
      {"no root", "\x03"s + "abc"},
      {"label over 63", std::string(1, 64) + std::string(64, 'a') + "\x00"s},
      {"bytes after the root", "\x01"s + "a\x00junk"s},
      {"dot in a label", "\x03"s + "a.b\x00"s},
      {"line end in a label", "\x04"s + "a\r\nb\x00"s},
      {"longer than 255", [] {
         std::string long_name;
         for (int i = 0; i < 5; ++i) long_name += std::string(1, 60) + std::string(60, 'a');
         return long_name + '\0';
       }()},
  };
  for (const Row& row : rows) EXPECT_EQ(ParseName(row.rdata), std::nullopt) << row.name;
}

TEST(RecordsTest, ReadsAddresses) {
  EXPECT_EQ(ParseA(EncodeA("192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(ParseAaaa(EncodeAaaa("2001:db8::1")), "2001:db8::1");
  EXPECT_EQ(ParseA("123"), std::nullopt);
  EXPECT_EQ(ParseAaaa("1234"), std::nullopt);
}

TEST(RecordsTest, ReadsTlsa) {
  TlsaRecord record;
  record.usage = 3;
  record.selector = 1;
  record.matching_type = 2;
  record.data = "digest";
  EXPECT_EQ(ParseTlsa(EncodeTlsa(record)), record);
  EXPECT_EQ(ParseTlsa("\x03\x01\x01"), std::nullopt) << "no data";
  EXPECT_EQ(ParseTlsa(""), std::nullopt);
}

TEST(RecordsTest, JoinsTheStringsOfATxtRecord) {
  const std::string text(600, 'x');
  EXPECT_EQ(ParseTxt(EncodeTxt(text)), text);
  EXPECT_EQ(ParseTxt(""), std::nullopt);
  EXPECT_EQ(ParseTxt("\x05"s + "abc"), std::nullopt);
}

TEST(ResolverTest, OneMalformedRecordSpoilsTheAnswer) {
  class Broken final : public Resolver {
   public:
    Task<Answer<std::string>> Query(std::string name, RecordType) override {
      Answer<std::string> answer;
      answer.outcome = Outcome::kAnswer;
      answer.canonical_name = std::move(name);
      answer.records = {"\x00\x01\x00"s, "x"};
      co_return answer;
    }
  };
  Broken resolver;
  ManualExecutor executor;
  const auto answer = executor.Run(resolver.QueryMx("example.net"));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->outcome, Outcome::kTemporary);
  EXPECT_TRUE(answer->records.empty());
}

}  // namespace
}  // namespace posthorn::dns
