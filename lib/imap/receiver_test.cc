#include "lib/imap/receiver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::imap {
namespace {

ReceiverLimits SmallLimits() {
  ReceiverLimits limits;
  limits.line_octets = 100;
  limits.literal_octets = 50;
  limits.append_octets = 1000;
  return limits;
}

absl::string_view NameOf(const absl::Status& status) {
  const std::string_view name = RowOf(FailureOf(status)).name;
  return absl::string_view(name.data(), name.size());
}

// Feeds `input` in pieces and writes down what comes out. Messages of APPEND are joined.
// `accept`: what is done with them.
std::vector<std::string> Trickle(const std::string& input, std::size_t piece, bool accept = true,
                                 bool raw = false) {
  Receiver receiver(SmallLimits());
  if (raw) receiver.ExpectLine();
  std::vector<std::string> events;
  std::string message;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    receiver.Feed(std::string_view(input).substr(at, piece));
    for (;;) {
      Received received = receiver.Next();
      if (std::holds_alternative<NeedMore>(received)) break;
      if (auto* literal = std::get_if<NeedLiteral>(&received)) {
        events.push_back(absl::StrCat("literal ", literal->size));
      } else if (auto* command = std::get_if<Command>(&received)) {
        events.push_back(absl::StrCat("command ", command->tag, " ", command->body.index()));
        if (auto* append = std::get_if<AppendCommand>(&command->body)) {
          events.back() += absl::StrCat(" ", append->mailbox, " ", append->size,
                                        append->synchronising ? " waits" : "");
          accept ? receiver.AcceptAppend() : receiver.RejectAppend();
        }
      } else if (auto* next = std::get_if<AppendNext>(&received)) {
        events.push_back(absl::StrCat("message ", message));
        message.clear();
        events.push_back(absl::StrCat("next ", next->message.flags.system, " ", next->message.size,
                                      next->message.synchronising ? " waits" : ""));
        accept ? receiver.AcceptAppend() : receiver.RejectAppend();
      } else if (auto* chunk = std::get_if<AppendChunk>(&received)) {
        message += chunk->bytes;
      } else if (auto* end = std::get_if<AppendEnd>(&received)) {
        events.push_back(absl::StrCat("message ", message, end->status.ok() ? "" : " refused ",
                                      end->status.ok() ? "" : NameOf(end->status)));
        message.clear();
      } else if (auto* line = std::get_if<RawLine>(&received)) {
        events.push_back("line " + line->text);
      } else if (auto* failure = std::get_if<CommandFailure>(&received)) {
        events.push_back(absl::StrCat("failure ", failure->tag, " ", NameOf(failure->status),
                                      failure->fatal ? " fatal" : ""));
      }
    }
  }
  EXPECT_TRUE(receiver.idle() || !message.empty()) << input;
  return events;
}

struct Row {
  const char* name;
  std::string input;
  std::vector<std::string> events;
  bool accept = true;
};

const std::string kNoop = absl::StrCat("command n ", CommandBody(NoopCommand()).index());

std::vector<Row> Rows() {
  const std::string login = absl::StrCat(" ", CommandBody(LoginCommand()).index());
  const std::string create = absl::StrCat(" ", CommandBody(CreateCommand()).index());
  const std::string append = absl::StrCat(" ", CommandBody(AppendCommand()).index());
  const std::string long_line(200, 'x');
  return {
      {"two commands", "n NOOP\r\nn noop\n", {kNoop, kNoop}},
      {"literals",
       "a LOGIN {3}\r\nfoo {4}\r\nb r\n\r\n",
       {"literal 3", "literal 4", "command a" + login}},
      {"literals unasked",
       "a LOGIN {3+}\r\nfoo {0+}\r\n\r\nn NOOP\r\n",
       {"command a" + login, kNoop}},
      {"literal look-alike in quotes", "a CREATE \"x{3}\"\r\n", {"command a" + create}},
      {"brace in an open quote", "a CREATE \"x{3}\r\nn NOOP\r\n", {"failure a syntax", kNoop}},
      {"empty line", "\r\nn NOOP\r\n", {"failure  syntax", kNoop}},
      {"bad tag", "a+b NOOP\r\nn NOOP\r\n", {"failure  syntax", kNoop}},
      {"tag only", "a\r\n", {"failure a syntax"}},
      {"unknown", "a XYZZY\r\n", {"failure a unknown_command"}},
      {"line too long", "a NOOP " + long_line + "\r\nn NOOP\r\n", {"failure a syntax", kNoop}},
      {"long line that announces a literal",
       "a NOOP " + long_line + " {5+}\r\n\r\nabc y\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"long line that asks",
       "a NOOP " + long_line + " {5}\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"long after a literal",
       "a LOGIN {1+}\r\nx " + long_line + "\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"literal too large", "a CREATE {51}\r\nn NOOP\r\n", {"failure a message_too_large", kNoop}},
      {"literals too large together",
       "a LOGIN {30+}\r\n" + std::string(30, '\n') + " {30}\r\nn NOOP\r\n",
       {"failure a message_too_large", kNoop}},
      {"literal too large, unasked",
       "a CREATE {60+}\r\n" + std::string(60, '\n') + " x\r\nn NOOP\r\n",
       {"failure a message_too_large", kNoop}},
      {"literal beyond numbers",
       "a CREATE {99999999999999999999}\r\nn NOOP\r\n",
       {"failure a message_too_large", kNoop}},
      {"the same, unasked",
       "a CREATE {99999999999999999999+}\r\n",
       {"failure a message_too_large fatal"}},
      {"append",
       "a APPEND box {6}\r\nab\r\ncd\r\nn NOOP\r\n",
       {"command a" + append + " box 6 waits", "message ab\r\ncd", kNoop}},
      {"append with everything",
       "a APPEND {3+}\r\nbox (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" {2+}\r\n\n\n\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message \n\n", kNoop}},
      {"append of nothing",
       "a APPEND box {0}\r\nn NOOP\r\n",
       {"failure a invalid_argument", kNoop}},
      {"append of nothing, unasked",
       "a APPEND box {0+}\r\n\r\nn NOOP\r\n",
       {"failure a invalid_argument", kNoop}},
      {"append of several",
       "a APPEND box {2}\r\nhi {3+}\r\n\r\nx (\\Seen) \"17-Jul-1996 02:44:25 -0700\" "
       "{1}\r\ny\r\nn NOOP\r\n",
       {"command a" + append + " box 2 waits", "message hi", "next 0 3", "message \r\nx",
        "next 1 1 waits", "message y", kNoop}},
      {"append of several, taken back",
       "a APPEND box {2+}\r\nhi {0+}\r\n\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused invalid_argument", kNoop}},
      {"append of several, taken back in step",
       "a APPEND box {2+}\r\nhi {0}\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused invalid_argument", kNoop}},
      {"append of several, the second too large",
       "a APPEND box {2+}\r\nhi {1001}\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused message_too_large", kNoop}},
      {"append of several, the second without number",
       "a APPEND box {2+}\r\nhi {99999999999999999999}\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused message_too_large", kNoop}},
      {"append of several with a wrong date",
       "a APPEND box {2+}\r\nhi \"x\" {2+}\r\nho {1+}\r\nx\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused syntax", kNoop}},
      {"append with a mailbox between messages",
       "a APPEND box {2+}\r\nhi box {2+}\r\nho\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused syntax", kNoop}},
      {"several appends refused",
       "a APPEND box {2+}\r\nhi {2+}\r\nho\r\nn NOOP\r\n",
       {"command a" + append + " box 2", kNoop},
       false},
      {"append with a tail",
       "a APPEND box {2+}\r\nhi more {3+}\r\nxyz\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused syntax", kNoop}},
      {"append refused",
       "a APPEND box {6}\r\nn NOOP\r\n",
       {"command a" + append + " box 6 waits", kNoop},
       false},
      {"append refused, unasked",
       "a APPEND box {6+}\r\nab\r\ncd\r\nn NOOP\r\n",
       {"command a" + append + " box 6", kNoop},
       false},
      {"append too large",
       "a APPEND box {1001}\r\nn NOOP\r\n",
       {"failure a message_too_large", kNoop}},
      {"append with a wrong date",
       "a APPEND box \"x\" {6+}\r\nabcdef\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"literal8",
       "a APPEND box ~{2+}\r\nhi ~{3}\r\nxyz\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi", "next 0 3 waits", "message xyz", kNoop}},
      {"literal8 where a string belongs",
       "a LOGIN ~{1+}\r\nx y\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"utf8 that is not enabled",
       "a APPEND box UTF8 (~{2+}\r\nhi)\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"replace",
       "a REPLACE 4 box (\\Seen) {2+}\r\nhi\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi", kNoop}},
      {"uid replace with a literal name",
       "a UID REPLACE * {3+}\r\nbox {2+}\r\nhi\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi", kNoop}},
      {"replace by several",
       "a REPLACE 4 box {2+}\r\nhi {2+}\r\nho\r\nn NOOP\r\n",
       {"command a" + append + " box 2", "message hi refused syntax", kNoop}},
      {"replace of nothing",
       "a REPLACE 0 box {2+}\r\nhi\r\nn NOOP\r\n",
       {"failure a syntax", kNoop}},
      {"append without literal", "a APPEND box x\r\n", {"failure a syntax"}},
      {"append with a bad mailbox",
       "a APPEND &x {3}\r\nn NOOP\r\n",
       {"failure a mailbox_name_invalid", kNoop}},
      {"NUL", std::string("a \0\r\nn NOOP\r\n", 13), {"failure a syntax", kNoop}},
  };
}

TEST(ReceiverTest, TakesUtf8OnceItIsEnabled) {
  Receiver receiver(SmallLimits());
  receiver.SetUtf8(true);
  receiver.Feed("a APPEND \"\xc3\xbc&\" (\\Seen) UTF8 (~{2+}\r\nhi)\r\n");
  const Received first = receiver.Next();
  ASSERT_TRUE(std::holds_alternative<Command>(first));
  const auto& append = std::get<AppendCommand>(std::get<Command>(first).body);
  EXPECT_EQ(append.mailbox, "\xc3\xbc&");
  EXPECT_TRUE(append.utf8);
  receiver.AcceptAppend();
  EXPECT_EQ(std::get<AppendChunk>(receiver.Next()).bytes, "hi");
  EXPECT_TRUE(std::get<AppendEnd>(receiver.Next()).status.ok());
  // Without the ")" nothing is stored; nor is a plain literal what was announced.
  receiver.Feed("b APPEND box UTF8 (~{2+}\r\nhi\r\nc APPEND box UTF8 ({2+}\r\nhi)\r\nd NOOP\r\n");
  ASSERT_TRUE(std::holds_alternative<Command>(receiver.Next()));
  receiver.AcceptAppend();
  EXPECT_EQ(std::get<AppendChunk>(receiver.Next()).bytes, "hi");
  EXPECT_FALSE(std::get<AppendEnd>(receiver.Next()).status.ok());
  EXPECT_EQ(std::get<CommandFailure>(receiver.Next()).tag, "c");
  EXPECT_EQ(std::get<Command>(receiver.Next()).tag, "d");
}

TEST(ReceiverTest, AnswersTheSameInPiecesOfEverySize) {
  for (const Row& row : Rows()) {
    for (std::size_t piece = 1; piece <= row.input.size(); ++piece) {
      EXPECT_EQ(Trickle(row.input, piece, row.accept), row.events) << row.name << " by " << piece;
    }
  }
}

// Every command, with literals where it takes strings.
TEST(ReceiverTest, ReadsEveryCommandTheSameInPieces) {
  const std::pair<const char*, CommandBody> rows[] = {
      {"ENABLE CONDSTORE X-Y", EnableCommand()},
      {"SELECT {1+}\r\na (CONDSTORE)", SelectCommand()},
      {"SELECT a (QRESYNC (1 2 3:4 (1 3)))", SelectCommand()},
      {"STORE 1 (UNCHANGEDSINCE 12) FLAGS.SILENT (a)", StoreCommand()},
      {"LIST (SUBSCRIBED RECURSIVEMATCH) {0+}\r\n ({1+}\r\na b*) RETURN (STATUS (SIZE))",
       ListCommand()},
      {"STATUS {1+}\r\na (MESSAGES UNSEEN)", StatusCommand()},
      {"SEARCH HEADER {1+}\r\nX {2+}\r\n\r\n", SearchCommand()},
      {"SEARCH RETURN (MIN ALL) CHARSET {5+}\r\nUTF-8 TEXT {1+}\r\nx", SearchCommand()},
      {"UID SORT RETURN () (REVERSE DATE) {5+}\r\nUTF-8 TEXT {1+}\r\nx", SortCommand()},
      {"THREAD REFERENCES {5+}\r\nUTF-8 SUBJECT {1+}\r\nx", ThreadCommand()},
      {"FETCH 1 (BODY[HEADER.FIELDS ({1+}\r\nX)])", FetchCommand()},
  };
  for (const auto& [text, body] : rows) {
    const std::string input = absl::StrCat("a ", text, "\r\nn NOOP\r\n");
    const std::vector<std::string> events = {absl::StrCat("command a ", body.index()), kNoop};
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
      EXPECT_EQ(Trickle(input, piece), events) << text << " by " << piece;
    }
  }
}

TEST(ReceiverTest, HandsOutALineThatIsNoCommand) {
  for (std::size_t piece = 1; piece < 20; ++piece) {
    EXPECT_EQ(Trickle("AGE= x\r\nn NOOP\r\n", piece, true, true),
              (std::vector<std::string>{"line AGE= x", kNoop}));
  }
}

TEST(ReceiverTest, RefusesALongLineBeforeItEnds) {
  Receiver receiver(SmallLimits());
  receiver.Feed("t NOOP " + std::string(100, 'x'));
  Received received = receiver.Next();
  ASSERT_TRUE(std::holds_alternative<CommandFailure>(received));
  EXPECT_EQ(std::get<CommandFailure>(received).tag, "t");
  EXPECT_TRUE(std::holds_alternative<NeedMore>(receiver.Next()));
}

TEST(ReceiverTest, KeepsNothingWhenIdleAndForgetsOnReset) {
  Receiver receiver(SmallLimits());
  receiver.Feed("a LOGIN {3}\r\n");
  receiver.Next();
  EXPECT_FALSE(receiver.idle());
  receiver.Reset();
  EXPECT_TRUE(receiver.idle());
  receiver.Feed("n NOOP\r\n");
  EXPECT_TRUE(std::holds_alternative<Command>(receiver.Next()));
}

}  // namespace
}  // namespace posthorn::imap
