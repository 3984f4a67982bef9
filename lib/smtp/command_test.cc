#include "lib/smtp/command.h"

#include <string>

#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

// One line that names what was read, so that a table can be compared.
struct Describe {
  std::string operator()(const HeloCommand& c) const { return "HELO " + c.name; }
  std::string operator()(const EhloCommand& c) const { return "EHLO " + c.name; }
  std::string operator()(const LhloCommand& c) const { return "LHLO " + c.name; }
  std::string operator()(const MailCommand& c) const {
    return "MAIL " + c.from.ToString() + (c.size ? " size " + std::to_string(*c.size) : "") +
           (c.body == BodyType::k8BitMime ? " 8bit" : "") + (c.smtputf8 ? " utf8" : "");
  }
  std::string operator()(const RcptCommand& c) const { return "RCPT " + c.to.ToString(); }
  std::string operator()(const DataCommand&) const { return "DATA"; }
  std::string operator()(const RsetCommand&) const { return "RSET"; }
  std::string operator()(const NoopCommand&) const { return "NOOP"; }
  std::string operator()(const QuitCommand&) const { return "QUIT"; }
  std::string operator()(const HelpCommand& c) const { return "HELP " + c.topic; }
  std::string operator()(const BdatCommand& c) const {
    return "BDAT " + std::to_string(c.octets) + (c.last ? " last" : "");
  }
  std::string operator()(const XclientCommand& c) const {
    std::string text = "XCLIENT";
    for (const auto& value : {c.name, c.ip, c.port, c.protocol, c.helo, c.login, c.destination_ip,
                              c.destination_port}) {
      text += value.has_value() ? " " + *value : " -";
    }
    return text;
  }
  std::string operator()(const VrfyCommand& c) const { return "VRFY " + c.argument; }
  std::string operator()(const ExpnCommand& c) const { return "EXPN " + c.argument; }
  std::string operator()(const VerbCommand&) const { return "VERB"; }
  std::string operator()(const StartTlsCommand&) const { return "STARTTLS"; }
  std::string operator()(const AuthCommand& c) const {
    return "AUTH " + c.mechanism + (c.initial_response ? " [" + *c.initial_response + "]" : "");
  }
  std::string operator()(const XqueueCommand& c) const { return "XQUEUE " + c.after; }
  std::string operator()(const UnimplementedCommand&) const { return "UNIMPLEMENTED"; }
  std::string operator()(const UnknownCommand&) const { return "UNKNOWN"; }
};

std::string Parse(const std::string& line, PathSyntax syntax) {
  const absl::StatusOr<Command> command =
      ParseCommand(line, syntax, ExtensionSet{Extension::kSmtpUtf8});
  if (command.ok()) return std::visit(Describe(), *command);
  const FailureRow& row = RowOf(FailureOf(command.status()));
  return std::to_string(row.smtp_code) + " " + std::string(row.enhanced);
}

struct Row {
  std::string line;
  std::string lenient;
  std::string strict;
};

TEST(CommandTest, ReadsEveryVerb) {
  const Row rows[] = {
      {"HELO test", "HELO test", "HELO test"},
      {"helo test", "HELO test", "HELO test"},
      {"HELO", "501 5.5.4", "501 5.5.4"},
      {"HELO a b", "501 5.5.4", "501 5.5.4"},
      {"EHLO [192.0.2.1]", "EHLO [192.0.2.1]", "EHLO [192.0.2.1]"},
      {"EHLO my!host", "EHLO my!host", "501 5.5.4"},
      {"EHLO h\xc3\xb6st", "501 5.5.4", "501 5.5.4"},
      {"LHLO a.example", "LHLO a.example", "LHLO a.example"},
      {"MAIL FROM:<a@b.example>", "MAIL a@b.example", "MAIL a@b.example"},
      {"mail from: a@b.example", "MAIL a@b.example", "553 5.1.3"},
      {"MAIL FROM: <a@b.example>", "MAIL a@b.example", "553 5.1.3"},
      {"MAIL FROM : <a@b.example>", "MAIL a@b.example", "501 5.5.2"},
      {"MAIL FROM:<>", "MAIL ", "MAIL "},
      {"MAIL FROM:", "553 5.1.3", "553 5.1.3"},
      {"MAIL", "501 5.5.2", "501 5.5.2"},
      {"MAIL TO:<a@b.example>", "501 5.5.2", "501 5.5.2"},
      {"MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME", "MAIL a@b.example size 100 8bit",
       "MAIL a@b.example size 100 8bit"},
      {"MAIL FROM:<a@b.example> size=100 body=8bitmime", "MAIL a@b.example size 100 8bit",
       "MAIL a@b.example size 100 8bit"},
      {"mail from: a@b.example size=100", "MAIL a@b.example size 100", "553 5.1.3"},
      {"MAIL FROM:<a@b.example> BODY=7BIT", "MAIL a@b.example", "MAIL a@b.example"},
      {"MAIL FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4", "501 5.5.4"},
      {"MAIL FROM:<a@b.example> SIZE=", "501 5.5.4", "501 5.5.4"},
      {"MAIL FROM:<a@b.example> SIZE", "501 5.5.4", "501 5.5.4"},
      {"MAIL FROM:<a@b.example> SIZE=-1", "501 5.5.4", "501 5.5.4"},
      {"MAIL FROM:<a@b.example> SIZE=99999999999999999999", "501 5.5.4", "501 5.5.4"},
      {"MAIL FROM:<a@b.example> SIZE=1 SIZE=2", "501 5.5.4", "501 5.5.4"},
      {"MAIL FROM:<a@b.example> AUTH=<>", "MAIL a@b.example", "MAIL a@b.example"},
      {"MAIL FROM:<a@b.example> SMTPUTF8", "MAIL a@b.example utf8", "MAIL a@b.example utf8"},
      {"MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8", "MAIL \xc3\xa4@b.example utf8",
       "MAIL \xc3\xa4@b.example utf8"},
      {"MAIL FROM:<\xc3\xa4@b.example>", "553 5.6.7", "553 5.6.7"},
      {"MAIL FROM:<a@b\xc3\xbc.example>", "553 5.6.7", "553 5.6.7"},
      {"MAIL FROM:<a@b.example> RET=FULL", "555 5.5.4", "555 5.5.4"},
      {"MAIL FROM:<a@b.example> X-WHAT=1", "555 5.5.4", "555 5.5.4"},
      {"MAIL FROM:<a@b.example> =1", "501 5.5.4", "501 5.5.4"},
      {"RCPT TO:<a@b.example>", "RCPT a@b.example", "RCPT a@b.example"},
      {"rcpt to: alice@example.test", "RCPT alice@example.test", "553 5.1.3"},
      {"RCPT TO:<Postmaster>", "RCPT Postmaster", "RCPT Postmaster"},
      {"RCPT TO:<>", "553 5.1.3", "553 5.1.3"},
      {"RCPT TO:<a@b.example> NOTIFY=NEVER", "555 5.5.4", "555 5.5.4"},
      {"RCPT FROM:<a@b.example>", "501 5.5.2", "501 5.5.2"},
      {"DATA", "DATA", "DATA"},
      {"data  ", "DATA", "DATA"},
      {"DATA now", "501 5.5.4", "501 5.5.4"},
      {"RSET", "RSET", "RSET"},
      {"RSET x", "501 5.5.4", "501 5.5.4"},
      {"NOOP", "NOOP", "NOOP"},
      {"NOOP are you there", "NOOP", "NOOP"},
      {"QUIT", "QUIT", "QUIT"},
      {"HELP", "HELP ", "HELP "},
      {"help mail", "HELP MAIL", "HELP MAIL"},
      {"BDAT 0", "BDAT 0", "BDAT 0"},
      {"BDAT 86 LAST", "BDAT 86 last", "BDAT 86 last"},
      {"bdat 86  last ", "BDAT 86 last", "BDAT 86 last"},
      {"BDAT 18446744073709551615", "BDAT 18446744073709551615", "BDAT 18446744073709551615"},
      {"BDAT 18446744073709551616", "501 5.5.2", "501 5.5.2"},
      {"BDAT", "501 5.5.2", "501 5.5.2"},
      {"BDAT LAST", "501 5.5.2", "501 5.5.2"},
      {"BDAT -1", "501 5.5.2", "501 5.5.2"},
      {"BDAT +1", "501 5.5.2", "501 5.5.2"},
      {"BDAT 1 MORE", "501 5.5.2", "501 5.5.2"},
      {"BDAT 1 LAST x", "501 5.5.2", "501 5.5.2"},
      {"XCLIENT NAME=spike.example ADDR=192.0.2.7 PORT=4711 PROTO=esmtp HELO=spike LOGIN=a+40b"
       " DESTADDR=IPV6:2001:db8::1 DESTPORT=25",
       "XCLIENT spike.example 192.0.2.7 4711 ESMTP spike a@b 2001:db8::1 25",
       "XCLIENT spike.example 192.0.2.7 4711 ESMTP spike a@b 2001:db8::1 25"},
      {"xclient name=[unavailable] addr=[TEMPUNAVAIL]", "XCLIENT   - - - - - -",
       "XCLIENT   - - - - - -"},
      {"XCLIENT", "501 5.5.2", "501 5.5.2"},
      {"XCLIENT ADDR=x", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT ADDR=192.0.2.7 ADDR=192.0.2.8", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT ADDR=2001:db8::1", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT PORT=0", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT PORT=65536", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT PROTO=LMTP", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT NAME=", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT NAME=a+0Ab", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT NAME=a+2", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT FOO=1", "501 5.5.4", "501 5.5.4"},
      {"XCLIENT ADDR", "501 5.5.4", "501 5.5.4"},
      {"VRFY alice", "VRFY alice", "VRFY alice"},
      {"VRFY", "501 5.5.2", "501 5.5.2"},
      {"EXPN list", "EXPN list", "EXPN list"},
      {"EXPN", "501 5.5.2", "501 5.5.2"},
      {"VERB", "VERB", "VERB"},
      {"STARTTLS", "STARTTLS", "STARTTLS"},
      {"STARTTLS x", "501 5.5.4", "501 5.5.4"},
      {"AUTH PLAIN AGEAYg==", "AUTH PLAIN [AGEAYg==]", "AUTH PLAIN [AGEAYg==]"},
      {"auth login", "AUTH LOGIN", "AUTH LOGIN"},
      {"AUTH PLAIN =", "AUTH PLAIN [=]", "AUTH PLAIN [=]"},
      {"AUTH", "501 5.5.2", "501 5.5.2"},
      {"AUTH PLAIN a b", "501 5.5.2", "501 5.5.2"},
      {"AUTH PL?IN", "501 5.5.2", "501 5.5.2"},
      {"ETRN x.example", "UNIMPLEMENTED", "UNIMPLEMENTED"},
      {"TURN", "UNIMPLEMENTED", "UNIMPLEMENTED"},
      {"FOO", "UNKNOWN", "UNKNOWN"},
      {"", "UNKNOWN", "UNKNOWN"},
      {"MAILFROM:<a@b.example>", "UNKNOWN", "UNKNOWN"},
      {" NOOP", "NOOP", "UNKNOWN"},
      {std::string("NO\0OP", 5), "501 5.5.2", "501 5.5.2"},
      {"NOOP a\rb", "501 5.5.2", "501 5.5.2"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Parse(row.line, PathSyntax::kLenient), row.lenient) << row.line;
    const std::string strict = Parse(row.line, PathSyntax::kStrict);
    EXPECT_NE(row.strict.find(strict), std::string::npos) << row.line << " -> " << strict;
  }
}

// A parser never reads past its input or throws, whatever the bytes.
TEST(CommandTest, SurvivesEveryTruncationAndMutation) {
  const ExtensionSet offered{Extension::kSmtpUtf8,      Extension::kDsn, Extension::kDeliverBy,
                             Extension::kFutureRelease, Extension::kBinaryMime};
  const std::string lines[] = {
      "MAIL FROM:<@a.example,@b.example:\"q \\\" x\"@[IPv6:::1]> SIZE=1 AUTH=<> BY=-1;NT"
      " HOLDUNTIL=2023-11-14T22:13:20Z ENVID=a+2B",
      "RCPT TO:<(c)\xc3\xa4.\"b\"@b\xc3\xbc.example> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\x{E4}@x",
      "XCLIENT NAME=a+2Bb ADDR=IPV6:::1 PORT=25 LOGIN=[UNAVAILABLE]",
      "BDAT 123 LAST",
  };
  for (const std::string& line : lines) {
    for (std::size_t length = 0; length <= line.size(); ++length) {
      (void)ParseCommand(line.substr(0, length), PathSyntax::kLenient, offered);
      for (int byte = 0; byte < 256; ++byte) {
        std::string mutated = line;
        if (length < line.size()) mutated[length] = static_cast<char>(byte);
        (void)ParseCommand(mutated, PathSyntax::kLenient, offered);
        (void)ParseCommand(mutated, PathSyntax::kStrict, offered);
      }
    }
  }
}

}  // namespace
}  // namespace posthorn::smtp
