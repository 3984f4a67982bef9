#include "lib/tlsrpt/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace posthorn::tlsrpt {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TlsRptRecordTest, NamesWhereReportsGo) {
  // RFC 8460 sections 3.1.1 and 3.1.2.
  Destinations found = ParseRecords({"v=TLSRPTv1;rua=mailto:reports@example.com"});
  EXPECT_THAT(found.addresses, ElementsAre("reports@example.com"));
  EXPECT_THAT(found.urls, IsEmpty());
  found = ParseRecords({"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"});
  EXPECT_THAT(found.addresses, IsEmpty());
  EXPECT_THAT(found.urls, ElementsAre("https://reporting.example.com/v1/tlsrpt"));
  // Several, with white space, beside other records and later fields.
  found = ParseRecords({"v=spf1 -all",
                        "v=TLSRPTv1 ; later=field; rua=MAILTO:a%21b@example.net?subject=x , "
                        "https://r.example:8443/x;"});
  EXPECT_THAT(found.addresses, ElementsAre("a!b@example.net"));
  EXPECT_THAT(found.urls, ElementsAre("https://r.example:8443/x"));
}

TEST(TlsRptRecordTest, AnythingElseAsksForNothing) {
  for (const char* bad :
       {"", "v=TLSRPTv1", "v=TLSRPTv1;", "v=TLSRPTv1; rua=", "v=TLSRPTv2; rua=mailto:a@example.net",
        "v=tlsrptv1; rua=mailto:a@example.net", "rua=mailto:a@example.net; v=TLSRPTv1",
        "v=TLSRPTv1; rua=mailto:", "v=TLSRPTv1; rua=mailto:nobody", "v=TLSRPTv1; rua=mailto:@x",
        "v=TLSRPTv1; rua=mailto:a@b@c", "v=TLSRPTv1; rua=mailto:a%2@example.net",
        "v=TLSRPTv1; rua=mailto:a%0D%0ADATA@example.net", "v=TLSRPTv1; rua=mailto:a%20b@example.net",
        "v=TLSRPTv1; rua=mailto:%3Ca%3E@example.net", "v=TLSRPTv1; rua=http://example.net/",
        "v=TLSRPTv1; rua=https://", "v=TLSRPTv1; rua=https://user@example.net/",
        "v=TLSRPTv1; rua=ftp://example.net/"}) {
    EXPECT_TRUE(ParseRecords({bad}).empty()) << bad;
  }
  EXPECT_TRUE(ParseRecords({"v=TLSRPTv1; rua=mailto:a@example.net",
                            "v=TLSRPTv1; rua=mailto:b@example.net"})
                  .empty())
      << "two are none";
}

TEST(TlsRptRecordTest, TheNumberIsBounded) {
  std::string record = "v=TLSRPTv1; rua=mailto:a0@example.net";
  for (int i = 1; i < 20; ++i) record += ",mailto:a" + std::to_string(i) + "@example.net";
  EXPECT_EQ(ParseRecords({record}).addresses.size(), kMaxDestinations);
}

}  // namespace
}  // namespace posthorn::tlsrpt
