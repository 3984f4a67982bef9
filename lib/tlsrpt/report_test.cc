#include "lib/tlsrpt/report.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace posthorn::tlsrpt {
namespace {

// RFC 8460 appendix B, with the text of failures where we put it.
Report Example() {
  Report report;
  report.organization_name = "Company-X";
  report.contact_info = "sts-reporting@company-x.example";
  report.id = "5065427c-23d3-47ca-b6e0-946ea0e8c4be";
  report.domain = "company-y.example";
  report.start = absl::FromCivil(absl::CivilSecond(2016, 4, 1), absl::UTCTimeZone());
  report.end = report.start + absl::Hours(24) - absl::Seconds(1);
  PolicyResults& policy = report.policies.emplace_back();
  policy.type = "sts";
  policy.text = {"version: STSv1", "mode: testing", "mx: *.mail.company-y.example",
                 "max_age: 86400"};
  policy.domain = "company-y.example";
  policy.mx = {"*.mail.company-y.example"};
  policy.successful = 5326;
  policy.failed = 303;
  FailureDetail failure;
  failure.result_type = "certificate-expired";
  failure.sending_ip = "2001:db8:abcd:0012::1";
  failure.mx_host = "mx1.mail.company-y.example";
  failure.sessions = 100;
  policy.failures.push_back(failure);
  failure.result_type = "starttls-not-supported";
  failure.sending_ip = "2001:db8:abcd:0013::1";
  failure.mx_host = "mx2.mail.company-y.example";
  failure.receiving_ip = "203.0.113.56";
  failure.sessions = 200;
  policy.failures.push_back(failure);
  failure.result_type = "validation-failure";
  failure.sending_ip = "198.51.100.62";
  failure.mx_host = "mx-backup.mail.company-y.example";
  failure.receiving_ip = "203.0.113.58";
  failure.sessions = 3;
  failure.reason = "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED";
  policy.failures.push_back(failure);
  return report;
}

constexpr char kExampleJson[] =
    R"({"organization-name": "Company-X", )"
    R"("date-range": {"start-datetime": "2016-04-01T00:00:00Z", )"
    R"("end-datetime": "2016-04-01T23:59:59Z"}, )"
    R"("contact-info": "sts-reporting@company-x.example", )"
    R"("report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be", )"
    R"("policies": [{"policy": {"policy-type": "sts", )"
    R"("policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", )"
    R"("max_age: 86400"], "policy-domain": "company-y.example", )"
    R"("mx-host": ["*.mail.company-y.example"]}, )"
    R"("summary": {"total-successful-session-count": 5326, )"
    R"("total-failure-session-count": 303}, )"
    R"("failure-details": [{"result-type": "certificate-expired", )"
    R"("sending-mta-ip": "2001:db8:abcd:0012::1", )"
    R"("receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100}, )"
    R"({"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1", )"
    R"("receiving-mx-hostname": "mx2.mail.company-y.example", "receiving-ip": "203.0.113.56", )"
    R"("failed-session-count": 200}, )"
    R"({"result-type": "validation-failure", "sending-mta-ip": "198.51.100.62", )"
    R"("receiving-mx-hostname": "mx-backup.mail.company-y.example", )"
    R"("receiving-ip": "203.0.113.58", "failed-session-count": 3, )"
    R"("failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}]}]})";

std::string Unzip(const std::string& compressed) {
  z_stream stream = {};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string text(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(TlsReportTest, IsTheExampleOfTheRfc) { EXPECT_EQ(ToJson(Example()), kExampleJson); }

TEST(TlsReportTest, WhatServersSaidCannotBreakTheJson) {
  Report report = Example();
  report.policies[0].failures.resize(1);
  report.policies[0].failures[0].reason = "a \"quoted\\ \r\n\x01 line\xff";
  EXPECT_TRUE(absl::StrContains(ToJson(report),
                                R"("failure-reason-code": "a \"quoted\\ ??? line?"}]}]})"))
      << ToJson(report);
}

TEST(TlsReportTest, APolicyThatIsNoneHasNoText) {
  Report report = Example();
  PolicyResults none;
  none.type = "no-policy-found";
  none.domain = "company-y.example";
  none.successful = 1;
  report.policies = {none};
  EXPECT_TRUE(absl::EndsWith(
      ToJson(report),
      R"("policies": [{"policy": {"policy-type": "no-policy-found", )"
      R"("policy-domain": "company-y.example"}, )"
      R"("summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}}]})"));
}

TEST(TlsReportTest, GzipIsUndoneByGunzip) {
  EXPECT_EQ(Unzip(Gzip(kExampleJson)), kExampleJson);
  EXPECT_EQ(Unzip(Gzip("")), "");
}

TEST(TlsReportTest, TheMailIsAsSection5Says) {
  const Report report = Example();
  Mail mail;
  mail.from = "tls-reports@mail.company-x.example";
  mail.to = {"reports@company-y.example", "more@company-y.example"};
  mail.submitter = "mail.company-x.example";
  mail.message_id = report.id + "@mail.company-x.example";
  mail.date = report.end + absl::Hours(2);
  const std::string compressed = Gzip(ToJson(report));
  const std::string text = ComposeMail(report, mail, compressed);
  for (const char* line :
       {"From: <tls-reports@mail.company-x.example>\r\n",
        "To: <reports@company-y.example>,\r\n <more@company-y.example>\r\n",
        "Subject: Report Domain: company-y.example\r\n Submitter: mail.company-x.example\r\n"
        " Report-ID: <5065427c-23d3-47ca-b6e0-946ea0e8c4be>\r\n",
        "Date: Sat, 02 Apr 2016 01:59:59 +0000\r\n",
        "Message-ID: <5065427c-23d3-47ca-b6e0-946ea0e8c4be@mail.company-x.example>\r\n",
        "TLS-Report-Domain: company-y.example\r\nTLS-Report-Submitter: mail.company-x.example\r\n",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "Content-Type: application/tlsrpt+gzip\r\n",
        " filename=\"mail.company-x.example!company-y.example!1459468800!1459555199!"
        "5065427c-23d3-47ca-b6e0-946ea0e8c4be.json.gz\"\r\n"}) {
    EXPECT_TRUE(absl::StrContains(text, line)) << line << "\n" << text;
  }
  for (absl::string_view line : absl::StrSplit(text, "\r\n")) {
    EXPECT_LE(line.size(), 998u);
    EXPECT_FALSE(absl::StrContains(line, "\n") || absl::StrContains(line, "\r"));
  }
  // The attachment is what was put in.
  const std::size_t start = text.find(".json.gz\"\r\n\r\n") + 13;
  const std::string encoded =
      absl::StrReplaceAll(text.substr(start, text.find("--", start) - start), {{"\r\n", ""}});
  std::string decoded;
  ASSERT_TRUE(absl::Base64Unescape(encoded, &decoded));
  EXPECT_EQ(Unzip(decoded), kExampleJson);
}

}  // namespace
}  // namespace posthorn::tlsrpt
