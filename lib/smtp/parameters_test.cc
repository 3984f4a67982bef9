// The parameters of MAIL and RCPT, by their grammars; what is not offered is 555.
#include "lib/smtp/parameters.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

constexpr ExtensionSet kAll{Extension::kSmtpUtf8,      Extension::kBinaryMime,
                            Extension::kDsn,           Extension::kRequireTls,
                            Extension::kFutureRelease, Extension::kMtPriority,
                            Extension::kDeliverBy,     Extension::kXverp};

std::string Refusal(const absl::Status& status) {
  const FailureRow& row = RowOf(FailureOf(status));
  return absl::StrCat(row.smtp_code, " ", std::string(row.enhanced));
}

std::string Describe(const MailCommand& mail) {
  std::string out;
  if (mail.size) absl::StrAppend(&out, " size=", *mail.size);
  if (mail.body == BodyType::k8BitMime) out += " 8bit";
  if (mail.body == BodyType::kBinaryMime) out += " binary";
  if (mail.smtputf8) out += " utf8";
  if (!mail.envelope_id.empty()) absl::StrAppend(&out, " envid=[", mail.envelope_id, "]");
  if (mail.ret == DsnReturn::kFull) out += " full";
  if (mail.ret == DsnReturn::kHeaders) out += " hdrs";
  if (mail.require_tls) out += " requiretls";
  if (mail.hold_for) absl::StrAppend(&out, " for=", *mail.hold_for);
  if (mail.hold_until) absl::StrAppend(&out, " until=", absl::ToUnixSeconds(*mail.hold_until));
  if (mail.priority) absl::StrAppend(&out, " priority=", *mail.priority);
  if (mail.deliver_by) {
    absl::StrAppend(&out, " by=", mail.deliver_by->seconds, mail.deliver_by->notify ? "N" : "R",
                    mail.deliver_by->trace ? "T" : "");
  }
  if (!mail.verp_delimiters.empty()) absl::StrAppend(&out, " verp=", mail.verp_delimiters);
  if (mail.auth) absl::StrAppend(&out, " auth=[", *mail.auth, "]");
  return out.empty() ? out : out.substr(1);
}

std::string Mail(const std::string& text, ExtensionSet offered = kAll) {
  const absl::StatusOr<std::vector<Parameter>> parameters = ParseParameters(" " + text);
  if (!parameters.ok()) return Refusal(parameters.status());
  MailCommand mail{Mailbox("a", "b.example")};
  const absl::Status status = ApplyMailParameters(*parameters, offered, mail);
  return status.ok() ? Describe(mail) : Refusal(status);
}

std::string Rcpt(const std::string& text, ExtensionSet offered = kAll) {
  const absl::StatusOr<std::vector<Parameter>> parameters = ParseParameters(" " + text);
  if (!parameters.ok()) return Refusal(parameters.status());
  RcptCommand rcpt{Mailbox("a", "b.example")};
  const absl::Status status = ApplyRcptParameters(*parameters, offered, rcpt);
  if (!status.ok()) return Refusal(status);
  return absl::StrCat(rcpt.notify.never ? "N" : "", rcpt.notify.success ? "S" : "",
                      rcpt.notify.failure ? "F" : "", rcpt.notify.delay ? "D" : "",
                      rcpt.original_recipient.empty() ? "" : "[" + rcpt.original_recipient + "]",
                      rcpt.NeedsSmtpUtf8() ? " utf8" : "");
}

TEST(ParametersTest, OfMail) {
  struct Row {
    std::string text;
    std::string expected;
  };
  const std::string bad = "501 5.5.4";
  const Row rows[] = {
      {"", ""},
      {"SIZE=100 BODY=8BITMIME", "size=100 8bit"},
      {"BODY=BINARYMIME", "binary"},
      {"body=binarymime", "binary"},
      {"BODY=X", bad},
      {"BODY", bad},
      {"SMTPUTF8", "utf8"},
      {"smtputf8", "utf8"},
      {"SMTPUTF8=1", bad},
      {"RET=FULL", "full"},
      {"ret=hdrs", "hdrs"},
      {"RET=HEADERS", bad},
      {"RET", bad},
      {"RET=FULL RET=HDRS", bad},
      {"ENVID=QQ314159", "envid=[QQ314159]"},
      {"ENVID=a+2Bb+20c", "envid=[a+b c]"},
      {"ENVID=", bad},
      {"ENVID", bad},
      {"ENVID=a+2", bad},
      {"ENVID=a+0Ab", bad},
      {"ENVID=a+C3+A4", bad},
      {"ENVID=" + std::string(100, 'x'), "envid=[" + std::string(100, 'x') + "]"},
      {"ENVID=" + std::string(101, 'x'), bad},
      {"REQUIRETLS", "requiretls"},
      {"REQUIRETLS=yes", bad},
      {"HOLDFOR=1", "for=1"},
      {"HOLDFOR=999999999", "for=999999999"},
      {"HOLDFOR=0", bad},
      {"HOLDFOR=01", bad},
      {"HOLDFOR=1000000000", bad},
      {"HOLDFOR=-1", bad},
      {"HOLDFOR=1s", bad},
      {"HOLDFOR", bad},
      {"HOLDUNTIL=2023-11-14T22:13:20Z", "until=1700000000"},
      {"HOLDUNTIL=2023-11-14t22:13:20z", "until=1700000000"},
      {"HOLDUNTIL=2023-11-14T23:13:20+01:00", "until=1700000000"},
      {"HOLDUNTIL=2023-11-14T22:13:20.5Z", "until=1700000000"},
      {"HOLDUNTIL=2023-11-14", bad},
      {"HOLDUNTIL=2023-13-14T22:13:20Z", bad},
      {"HOLDUNTIL=2023-11-14T22:13:20", bad},
      {"HOLDUNTIL=infinite-future", bad},
      {"HOLDUNTIL=20231114T221320Z-----", bad},
      {"HOLDFOR=1 HOLDUNTIL=2023-11-14T22:13:20Z", bad},
      {"MT-PRIORITY=0", "priority=0"},
      {"MT-PRIORITY=9", "priority=9"},
      {"MT-PRIORITY=-9", "priority=-9"},
      {"MT-PRIORITY=+1", bad},
      {"MT-PRIORITY=-0", bad},
      {"MT-PRIORITY=10", bad},
      {"MT-PRIORITY=-", bad},
      {"MT-PRIORITY", bad},
      {"XVERP", "verp=+="},
      {"xverp=-=", "verp=-="},
      {"XVERP===", "verp==="},
      {"XVERP=+", bad},
      {"XVERP=ab", bad},
      {"XVERP=+=+", bad},
      {"SIZE=+=", bad},
      {"BY=120;R", "by=120R"},
      {"BY=120;rt", "by=120RT"},
      {"BY=+120;NT", "by=120NT"},
      {"BY=-120;N", "by=-120N"},
      {"BY=0;N", "by=0N"},
      {"BY=0;R", bad},
      {"BY=-1;R", bad},
      {"BY=120", bad},
      {"BY=120;", bad},
      {"BY=120;X", bad},
      {"BY=;R", bad},
      {"BY=1234567890;R", bad},
      {"BY=120;R;T", bad},
      {"AUTH=<>", "auth=[]"},
      {"AUTH=e+3Dmc2@example.com", "auth=[e=mc2@example.com]"},
      {"AUTH=", bad},
      {"AUTH", bad},
      {"AUTH=nobody", bad},
      {"XYZZY", "555 5.5.4"},
      {"NOTIFY=NEVER", "555 5.5.4"},
      {"SIZE=\xc3\xa4", bad},
      {"ENVID=\xff", bad},
  };
  for (const Row& row : rows) EXPECT_EQ(Mail(row.text), row.expected) << row.text;
}

TEST(ParametersTest, OfRcpt) {
  struct Row {
    std::string text;
    std::string expected;
  };
  const std::string bad = "501 5.5.4";
  const Row rows[] = {
      {"NOTIFY=NEVER", "N"},
      {"NOTIFY=success,FAILURE,Delay", "SFD"},
      {"NOTIFY=SUCCESS", "S"},
      {"NOTIFY=NEVER,SUCCESS", bad},
      {"NOTIFY=NEVER,NEVER", bad},
      {"NOTIFY=", bad},
      {"NOTIFY", bad},
      {"NOTIFY=SUCCESS,", bad},
      {"NOTIFY=ALWAYS", bad},
      {"NOTIFY=DELAY NOTIFY=DELAY", bad},
      {"ORCPT=rfc822;bob@example.net", "[rfc822;bob@example.net]"},
      {"ORCPT=rfc822;a+2Bb+40example.net", "[rfc822;a+b@example.net]"},
      {"ORCPT=bob@example.net", bad},
      {"ORCPT=;bob", bad},
      {"ORCPT=rfc822;", bad},
      {"ORCPT=rfc822;a+", bad},
      {"ORCPT=rfc822;a+0D+0Ab", bad},
      {"ORCPT=r/c;bob", bad},
      {"ORCPT=utf-8;d\\x{F6}mi@x.example", "[utf-8;d\xc3\xb6mi@x.example]"},
      {"ORCPT=utf-8;d\xc3\xb6mi@x.example", "[utf-8;d\xc3\xb6mi@x.example] utf8"},
      {"ORCPT=rfc822;d\xc3\xb6mi@x.example", bad},
      {"ORCPT=rfc822;" + std::string(493, 'x'), "[rfc822;" + std::string(493, 'x') + "]"},
      {"ORCPT=rfc822;" + std::string(494, 'x'), bad},
      {"NOTIFY=FAILURE ORCPT=rfc822;a@b", "F[rfc822;a@b]"},
      {"SIZE=1", "555 5.5.4"},
  };
  for (const Row& row : rows) EXPECT_EQ(Rcpt(row.text), row.expected) << row.text;
}

TEST(ParametersTest, WhatIsNotOfferedIsNotImplemented) {
  for (const char* text :
       {"SMTPUTF8", "RET=FULL", "ENVID=x", "REQUIRETLS", "HOLDFOR=1",
        "HOLDUNTIL=2023-11-14T22:13:20Z", "MT-PRIORITY=1", "BY=1;R", "BY=nonsense"}) {
    EXPECT_EQ(Mail(text, ExtensionSet()), "555 5.5.4") << text;
  }
  EXPECT_EQ(Mail("BODY=BINARYMIME", ExtensionSet()), "501 5.5.4");
  EXPECT_EQ(Mail("SIZE=1 BODY=8BITMIME AUTH=<>", ExtensionSet()), "size=1 8bit auth=[]");
  EXPECT_EQ(Rcpt("NOTIFY=NEVER", ExtensionSet()), "555 5.5.4");
  EXPECT_EQ(Rcpt("ORCPT=rfc822;a@b", ExtensionSet()), "555 5.5.4");
}

}  // namespace
}  // namespace posthorn::smtp
