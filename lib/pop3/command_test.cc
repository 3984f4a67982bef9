#include "lib/pop3/command.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/failure.h"

namespace posthorn::pop3 {
namespace {

std::string Number(const std::optional<MessageNumber>& number) {
  return number ? std::to_string(*number) : "all";
}

std::string Describe(const absl::StatusOr<Command>& parsed) {
  if (!parsed.ok()) return "failure " + std::string(RowOf(FailureOf(parsed.status())).name);
  std::string out(VerbOf(*parsed));
  if (const auto* user = std::get_if<UserCommand>(&*parsed)) out += " [" + user->name + "]";
  if (const auto* pass = std::get_if<PassCommand>(&*parsed)) out += " [" + pass->password + "]";
  if (const auto* list = std::get_if<ListCommand>(&*parsed)) out += " " + Number(list->message);
  if (const auto* uidl = std::get_if<UidlCommand>(&*parsed)) out += " " + Number(uidl->message);
  if (const auto* retr = std::get_if<RetrCommand>(&*parsed)) out += " " + Number(retr->message);
  if (const auto* dele = std::get_if<DeleCommand>(&*parsed)) out += " " + Number(dele->message);
  if (const auto* top = std::get_if<TopCommand>(&*parsed)) {
    out += " " + Number(top->message) + " " + std::to_string(top->lines);
  }
  if (const auto* lang = std::get_if<LangCommand>(&*parsed)) out += " [" + lang->range + "]";
  if (const auto* auth = std::get_if<AuthCommand>(&*parsed)) {
    out += " [" + auth->mechanism + "] " + auth->initial_response.value_or("none");
  }
  return out;
}

struct Row {
  const char* line;
  const char* described;
};

constexpr Row kRows[] = {
    {"USER a@b.example", "USER [a@b.example]"},
    {"user  a@b.example ", "USER [a@b.example]"},
    {"USER", "failure syntax"},
    {"PASS secret", "PASS [secret]"},
    {"pass two words ", "PASS [two words ]"},
    {"PASS  x", "PASS [ x]"},
    {"PASS", "failure syntax"},
    {"PASS ", "failure syntax"},
    {"UTF8", "UTF8"},
    {"utf8 ", "UTF8"},
    {"UTF8 USER", "failure syntax"},
    {"LANG", "LANG []"},
    {"LANG en-GB ", "LANG [en-gb]"},
    {"lang *", "LANG [*]"},
    {"LANG en fr", "failure syntax"},
    {"LANG e\xc3\xa9", "failure syntax"},
    {"STAT", "STAT"},
    {"stat ", "STAT"},
    {"STAT 1", "failure syntax"},
    {"LIST", "LIST all"},
    {"list 12", "LIST 12"},
    {"LIST x", "failure syntax"},
    {"LIST 1 2", "failure syntax"},
    {"UIDL", "UIDL all"},
    {"UIDL 3", "UIDL 3"},
    {"RETR 1", "RETR 1"},
    {"RETR", "failure syntax"},
    {"RETR -1", "failure syntax"},
    {"RETR 4294967295", "RETR 4294967295"},
    {"RETR 4294967296", "failure syntax"},
    {"RETR 99999999999999999999999", "failure syntax"},
    {"RETR 1x", "failure syntax"},
    {"TOP 1 0", "TOP 1 0"},
    {"top  1  10 ", "TOP 1 10"},
    {"TOP 1", "failure syntax"},
    {"DELE 7", "DELE 7"},
    {"RSET", "RSET"},
    {"NOOP", "NOOP"},
    {"CAPA", "CAPA"},
    {"STLS", "STLS"},
    {"QUIT", "QUIT"},
    {"AUTH", "AUTH [] none"},
    {"auth plain", "AUTH [PLAIN] none"},
    {"AUTH PLAIN AGEAYg== ", "AUTH [PLAIN] AGEAYg=="},
    {"AUTH  SCRAM-SHA-256  =", "AUTH [SCRAM-SHA-256] ="},
    {"AUTH PLAIN AGEA Yg==", "failure syntax"},
    {"", "failure unknown_command"},
    {"APOP a b", "failure unknown_command"},
    {"QUITX", "failure unknown_command"},
};

TEST(ParseCommandTest, ReadsEveryVerb) {
  for (const Row& row : kRows) EXPECT_EQ(Describe(ParseCommand(row.line)), row.described) << row.line;
}

TEST(CommandReceiverTest, ChunksMakeNoDifference) {
  const std::string input = "user a\r\nPASS b c\nSTAT\r\n" + std::string(3000, 'x') + "\r\nQUIT\r\n";
  for (std::size_t size = 1; size <= input.size(); ++size) {
    CommandReceiver receiver;
    std::string all;
    for (std::size_t i = 0; i < input.size(); i += size) {
      receiver.Feed(std::string_view(input).substr(i, size));
      while (std::optional<absl::StatusOr<Command>> next = receiver.Next()) {
        all += Describe(*next) + ";";
      }
    }
    ASSERT_EQ(all, "USER [a];PASS [b c];STAT;failure syntax;QUIT;") << size;
  }
}

TEST(CommandReceiverTest, DiscardForgets) {
  CommandReceiver receiver;
  receiver.Feed("STLS\r\nUSER injected\r\nPA");
  ASSERT_TRUE(receiver.Next().has_value());
  receiver.Discard();
  receiver.Feed("NOOP\r\n");
  EXPECT_EQ(Describe(*receiver.Next()), "NOOP");
  EXPECT_FALSE(receiver.Next().has_value());
}

TEST(CommandReceiverTest, AuthAndItsExchangeMayBeLong) {
  const std::string token(20000, 'A');
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, std::size_t{100000}}) {
    CommandReceiver receiver;
    const std::string input = "auth XOAUTH2 " + token + "\r\n" + token + "\r\nNOOP\r\n" +
                              std::string(30000, 'B') + "\r\n*\r\n";
    std::vector<std::string> got;
    for (std::size_t i = 0; i < input.size(); i += size) {
      receiver.Feed(std::string_view(input).substr(i, size));
      for (;;) {
        // The responses are the second line and those from the fourth on.
        if (got.size() == 0 || got.size() == 2) {
          const auto command = receiver.Next();
          if (!command) break;
          got.push_back(Describe(*command));
        } else {
          const auto line = receiver.NextLine();
          if (!line) break;
          got.push_back(line->ok() ? **line : "failure");
        }
      }
    }
    EXPECT_EQ(got, (std::vector<std::string>{"AUTH [XOAUTH2] " + token, token, "NOOP", "failure",
                                             "*"}))
        << size;
  }
}

}  // namespace
}  // namespace posthorn::pop3
