#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/posthorn-sendmail/arguments.h"
#include "apps/posthorn-sendmail/exit_codes.h"
#include "apps/posthorn-sendmail/message.h"
#include "apps/posthorn-sendmail/queue_listing.h"
#include "apps/posthorn-sendmail/settings.h"
#include "apps/posthorn-sendmail/submit.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/maildrop/directory.h"

namespace posthorn::sendmail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

absl::StatusOr<Options> Parse(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front().front() == '-') {
    arguments.insert(arguments.begin(), "/usr/sbin/sendmail");
  }
  return ParseArguments(arguments);
}

TEST(ArgumentsTest, ReadsWhatProgramsSay) {
  // cron, PHP, git send-email, mailx.
  const Options cron =
      Parse({"/usr/sbin/sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"}).value();
  EXPECT_EQ(cron.full_name, "CronDaemon");
  EXPECT_TRUE(cron.dot_is_text);
  EXPECT_THAT(cron.recipients, ElementsAre("root"));
  EXPECT_FALSE(cron.sender.has_value());
  const Options php = Parse({"-t", "-i"}).value();
  EXPECT_TRUE(php.recipients_from_header);
  EXPECT_THAT(php.recipients, IsEmpty());
  const Options git = Parse({"-i", "-f", "a@b.test", "c@d.test", "e@f.test"}).value();
  EXPECT_EQ(git.sender, "a@b.test");
  EXPECT_THAT(git.recipients, ElementsAre("c@d.test", "e@f.test"));
  const Options joined = Parse({"-oi", "-tv", "-ra@b.test", "--", "-x@y.test"}).value();
  EXPECT_TRUE(joined.dot_is_text);
  EXPECT_TRUE(joined.recipients_from_header);
  EXPECT_TRUE(joined.verbose);
  EXPECT_EQ(joined.sender, "a@b.test");
  EXPECT_THAT(joined.recipients, ElementsAre("-x@y.test"));
  // Behind the first recipient there are no options.
  EXPECT_THAT(Parse({"sendmail", "bob", "-t"}).value().recipients, ElementsAre("bob", "-t"));
}

TEST(ArgumentsTest, NullSenders) {
  EXPECT_EQ(Parse({"-f", "<>", "bob"}).value().sender, "");
  EXPECT_EQ(Parse({"-f<>", "bob"}).value().sender, "");
}

TEST(ArgumentsTest, DeliveryStatus) {
  const Options options = Parse({"-N", "success,Delay", "-Rhdrs", "-V", "id 1", "bob"}).value();
  EXPECT_EQ(options.notify, "SUCCESS,DELAY");
  EXPECT_EQ(options.ret, "HDRS");
  EXPECT_EQ(options.envelope_id, "id 1");
  EXPECT_EQ(Parse({"-Nnever", "bob"}).value().notify, "NEVER");
}

TEST(ArgumentsTest, VariableEnvelopeReturnPaths) {
  EXPECT_EQ(Parse({"-XV", "bob"}).value().verp_delimiters, "+=");
  EXPECT_EQ(Parse({"-XV-=", "bob"}).value().verp_delimiters, "-=");
  EXPECT_EQ(Parse({"-X", "/var/log/x", "bob"}).value().verp_delimiters, "");
  EXPECT_FALSE(Parse({"-XVab", "bob"}).ok());
}

TEST(ArgumentsTest, ModesByNameAndOption) {
  EXPECT_EQ(Parse({"/usr/bin/mailq"}).value().mode, Mode::kShowQueue);
  EXPECT_EQ(Parse({"-bp"}).value().mode, Mode::kShowQueue);
  EXPECT_EQ(Parse({"newaliases"}).value().mode, Mode::kDoNothing);
  EXPECT_EQ(Parse({"-bi"}).value().mode, Mode::kDoNothing);
  EXPECT_EQ(Parse({"-q"}).value().mode, Mode::kDoNothing);
  EXPECT_EQ(Parse({"-q15m"}).value().mode, Mode::kDoNothing);
  EXPECT_EQ(Parse({"-bs"}).value().mode, Mode::kDialogue);
  EXPECT_EQ(Parse({"-bm", "bob"}).value().mode, Mode::kSubmit);
}

TEST(ArgumentsTest, TakesAndIgnoresTheRest) {
  const Options options =
      Parse({"-Am", "-B", "7BIT", "-C/etc/mail.cf", "-G", "-h", "5", "-L", "tag", "-m", "-n", "-O",
             "DeliveryMode=b", "-o7", "-o", "em", "-pSMTP:x", "-U", "-X", "/dev/null", "-c", "-s",
             "-em", "bob"})
          .value();
  EXPECT_THAT(options.recipients, ElementsAre("bob"));
  EXPECT_FALSE(options.dot_is_text);
}

TEST(ArgumentsTest, SaysWhatIsWrong) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"-i"}, {"-f"}, {"-N", "always", "b"}, {"-N", "never,delay", "b"}, {"-R", "body", "b"},
           {"-bd"}, {"-bv", "b"}, {"-Z", "b"}, {"-V", std::string(101, 'x'), "b"},
           {"-V", "a\nb", "b"}}) {
    EXPECT_FALSE(Parse(arguments).ok()) << arguments.front();
  }
}

TEST(ExitCodesTest, FollowTheReply) {
  struct Row {
    int code;
    const char* enhanced;
    ExitCode exit_code;
  };
  constexpr Row kRows[] = {
      {250, "2.0.0", kOk},         {451, "4.3.0", kTryAgain},   {0, "", kTryAgain},
      {550, "5.1.1", kNoUser},     {550, "5.1.2", kNoUser},     {553, "5.1.7", kDataError},
      {550, "5.7.1", kNoPermission}, {550, "5.6.11", kDataError}, {552, "5.3.4", kUnavailable},
      {554, "", kUnavailable},
  };
  for (const Row& row : kRows) {
    smtp::client::Reply reply;
    reply.code = row.code;
    reply.enhanced = row.enhanced;
    EXPECT_EQ(ExitCodeFor(reply), row.exit_code) << row.code << " " << row.enhanced;
  }
}

TEST(SettingsTest, EnvironmentThenFileThenDefaults) {
  const std::string file = testing::TempDir() + "/sendmail.conf";
  std::filesystem::remove(file);
  EXPECT_EQ(LoadSettings(file, {}).value().socket, "/var/lib/posthorn/sendmail.sock");
  EXPECT_EQ(LoadSettings(file, {}).value().maildrop, "/var/lib/posthorn/maildrop");
  std::ofstream(file) << "# where it is\n\nsocket=/run/p/s\n  maildrop = /var/spool/p \n";
  EXPECT_EQ(LoadSettings(file, {}).value().socket, "/run/p/s");
  EXPECT_EQ(LoadSettings(file, {}).value().maildrop, "/var/spool/p");
  const Settings settings = LoadSettings(file, {{"POSTHORN_SENDMAIL_SOCKET", "/x"},
                                                {"POSTHORN_SENDMAIL_MAILDROP", "/y"}})
                                .value();
  EXPECT_EQ(settings.socket, "/x");
  EXPECT_EQ(settings.maildrop, "/y");
  for (const char* text : {"sockets = /x\n", "socket\n", "socket = x\n"}) {
    std::ofstream(file) << text;
    EXPECT_FALSE(LoadSettings(file, {}).ok()) << text;
  }
  std::filesystem::remove(file);
  EXPECT_FALSE(
      LoadSettings(file, {{"POSTHORN_SENDMAIL_SOCKET", std::string(200, 'x')}}).ok());
}

TEST(StoreTest, KeepsLargeAndSmall) {
  Store store;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = absl::StrCat("piece ", i, std::string(300, 'x'));
    ASSERT_TRUE(store.Append(piece).ok());
    expected += piece;
    if (i == 3) {
      EXPECT_EQ(store.Read(0, 1 << 20).value(), expected);
    }
  }
  EXPECT_EQ(store.size(), expected.size());
  EXPECT_EQ(store.Read(100000, 200).value(), expected.substr(100000, 200));
  EXPECT_EQ(store.Read(expected.size(), 10).value(), "");
  std::string all;
  ASSERT_TRUE(store.ForEach([&all](std::string_view piece) {
                     all.append(piece);
                     return absl::OkStatus();
                   }).ok());
  EXPECT_TRUE(all == expected);
}

TEST(InputLinesTest, EveryLineEndsInCrlfAtEveryCut) {
  struct Row {
    const char* name;
    bool dot_is_text;
    const char* input;
    const char* output;
  };
  constexpr Row kRows[] = {
      {"lf", false, "a\nb\n", "a\r\nb\r\n"},
      {"crlf", false, "a\r\nb\r\n", "a\r\nb\r\n"},
      {"cr", false, "a\rb\r", "a\r\nb\r\n"},
      {"no end", false, "a\nb", "a\r\nb\r\n"},
      {"empty lines", false, "\n\r\n\n", "\r\n\r\n\r\n"},
      {"dot ends", false, "a\n.\nb\n", "a\r\n"},
      {"dot with crlf ends", false, "a\r\n.\r\nb\r\n", "a\r\n"},
      {"last dot ends", false, "a\n.", "a\r\n"},
      {"dot is text", true, "a\n.\nb\n", "a\r\n.\r\nb\r\n"},
      {"two dots", false, "..\n.a\nlong line.\n", "..\r\n.a\r\nlong line.\r\n"},
      {"mbox", false, "From root Fri\n>From x y\nSubject: a\n\nFrom here\n",
       "Subject: a\r\n\r\nFrom here\r\n"},
      {"from field", false, "From: a\n", "From: a\r\n"},
      {"nothing", false, "", ""},
  };
  for (const Row& row : kRows) {
    const std::string input = row.input;
    for (std::size_t chunk = 1; chunk <= input.size() + 1; ++chunk) {
      InputLines lines(row.dot_is_text);
      std::string out;
      bool more = true;
      for (std::size_t at = 0; more && at < input.size(); at += chunk) {
        more = lines.Feed(std::string_view(input).substr(at, chunk), out);
      }
      if (more) lines.Finish(out);
      EXPECT_EQ(out, row.output) << row.name << " " << chunk;
    }
  }
}

TEST(AddressesTest, ReadsListsOfNamesAndAddresses) {
  EXPECT_THAT(Addresses("root").value(), ElementsAre("root"));
  EXPECT_THAT(Addresses("a@b.test, Bob <bob>, \"x y\"@z.test (z)").value(),
              ElementsAre("a@b.test", "bob", "\"x y\"@z.test"));
  EXPECT_THAT(Addresses("friends: a, b@c.test;").value(), ElementsAre("a", "b@c.test"));
  EXPECT_THAT(Addresses("").value(), IsEmpty());
  EXPECT_THAT(Addresses("undisclosed-recipients:;").value(), IsEmpty());
  for (const char* bad : {"@b.test", "a@b@c", "John Smith", "a@b <c@d.test>", "a@", "\"a"}) {
    EXPECT_FALSE(Addresses(bad).ok()) << bad;
  }
}

TEST(FromFieldTest, QuotesAndEncodes) {
  EXPECT_EQ(FromField("", "a"), "a");
  EXPECT_EQ(FromField("Cron Daemon", "root"), "Cron Daemon <root>");
  EXPECT_EQ(FromField("O'Neil, \"X\"", "a"), "\"O'Neil, \\\"X\\\"\" <a>");
  EXPECT_EQ(FromField("J\xC3\xBCrgen", "a"), "=?utf-8?B?SsO8cmdlbg==?= <a>");
  EXPECT_EQ(FromField("a\nBcc: x", "a"), "a");
  std::string name;
  for (int i = 0; i < 40; ++i) name += "\xE2\x9C\x93";
  const std::string field = FromField(name, "a");
  for (std::size_t at = 0; at < field.size();) {
    const std::size_t end = std::min(field.find("\r\n ", at), field.size());
    EXPECT_LE(end - at, 80u);
    at = end + 3;
  }
}

class PrepareTest : public testing::Test {
 protected:
  std::string Run(std::string_view message, bool from_header = false) {
    Store input;
    EXPECT_TRUE(input.Append(message).ok());
    Author author;
    author.date = "D";
    author.message_id = "<id>";
    author.from = from_;
    prepared_ = std::make_unique<Prepared>();
    status_ = Prepare(input, author, from_header, *prepared_);
    return prepared_->body.Read(0, 1 << 20).value();
  }
  std::string from_ = "Me <me>";
  absl::Status status_;
  std::unique_ptr<Prepared> prepared_;
};

TEST_F(PrepareTest, CompletesTheHeader) {
  EXPECT_EQ(Run("Subject: x\r\n\r\nhi\r\n"),
            "Subject: x\r\nDate: D\r\nFrom: Me <me>\r\nMessage-ID: <id>\r\n\r\nhi\r\n");
  EXPECT_EQ(Run("Date: a\r\nFrom: b\r\nMessage-ID: <c>\r\n\r\nhi\r\n"),
            "Date: a\r\nFrom: b\r\nMessage-ID: <c>\r\n\r\nhi\r\n");
  // A message that is text only.
  EXPECT_EQ(Run("disk is full\r\n"),
            "Date: D\r\nFrom: Me <me>\r\nMessage-ID: <id>\r\n\r\ndisk is full\r\n");
  EXPECT_EQ(Run(""), "Date: D\r\nFrom: Me <me>\r\nMessage-ID: <id>\r\n\r\n");
  from_.clear();
  EXPECT_EQ(Run("Subject: x\r\n\r\nhi\r\n"),
            "Subject: x\r\nDate: D\r\nMessage-ID: <id>\r\n\r\nhi\r\n");
}

TEST_F(PrepareTest, FindsRecipientsAndTakesBccOut) {
  const std::string body = Run(
      "To: a@x.test,\r\n Bob <bob>\r\nBcc: hidden@x.test\r\nCC: c@x.test\r\n\r\nTo: text@x.test\r\n",
      true);
  EXPECT_THAT(prepared_->recipients, ElementsAre("a@x.test", "bob", "hidden@x.test", "c@x.test"));
  EXPECT_THAT(body, testing::Not(HasSubstr("hidden")));
  EXPECT_THAT(body, HasSubstr("CC: c@x.test\r\n"));
  Run("To: a@x.test\r\nResent-To: d@x.test\r\nResent-Bcc: e@x.test\r\n\r\n", true);
  EXPECT_THAT(prepared_->recipients, ElementsAre("d@x.test", "e@x.test"));
  Run("To: a@x.test\r\n\r\n");
  EXPECT_THAT(prepared_->recipients, IsEmpty());
  Run("To: @x.test\r\n\r\n", true);
  EXPECT_TRUE(absl::IsInvalidArgument(status_));
}

TEST_F(PrepareTest, KnowsEightBits) {
  Run("Subject: x\r\n\r\nhi\r\n");
  EXPECT_FALSE(prepared_->is_8bit);
  Run("Subject: x\r\n\r\nh\xC3\xA4\r\n");
  EXPECT_TRUE(prepared_->is_8bit);
}

// A platform that answers each command by its table.
class TalkTest : public testing::Test {
 protected:
  TalkTest() {
    envelope_.recipients = {"bob", "carol"};
    EXPECT_TRUE(body_.Append("Subject: x\r\n\r\n.dot\r\n").ok());
    says_ = "220 here\r\n";
  }
  Answer Run() {
    Transport transport;
    transport.write = [this](std::string_view bytes) -> absl::Status {
      heard_.append(bytes);
      pending_.append(bytes);
      for (std::size_t end; (end = pending_.find("\r\n")) != std::string::npos;) {
        const std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 2);
        Hear(line);
      }
      return absl::OkStatus();
    };
    transport.read = [this]() -> absl::StatusOr<std::string> {
      if (says_.empty() && gone_) return std::string();
      if (says_.empty()) return absl::UnavailableError("silence");
      return std::exchange(says_, "");
    };
    return Talk(envelope_, "me", body_, transport);
  }
  void Hear(const std::string& line) {
    if (in_data_) {
      if (line == ".") {
        in_data_ = false;
        says_ += answer_ + "\r\n";
      }
      return;
    }
    if (absl::StartsWith(line, "EHLO")) says_ += "250-here\r\n250-8BITMIME\r\n250 DSN\r\n";
    if (absl::StartsWith(line, "MAIL")) says_ += mail_ + "\r\n";
    if (absl::StartsWith(line, "RCPT TO:<bob>")) says_ += "250 2.1.5 Ok\r\n";
    if (absl::StartsWith(line, "RCPT TO:<carol>")) says_ += carol_ + "\r\n";
    if (line == "DATA") {
      in_data_ = true;
      says_ += "354 go on\r\n";
    }
    if (line == "RSET") says_ += "250 2.0.0 Ok\r\n";
  }

  maildrop::Envelope envelope_;
  Store body_;
  std::string says_, heard_, pending_;
  std::string mail_ = "250 2.1.0 Ok", carol_ = "250 2.1.5 Ok", answer_ = "250 2.0.0 id";
  bool in_data_ = false, gone_ = false;
};

TEST_F(TalkTest, HandsAMessageOver) {
  envelope_.notify = "NEVER";
  envelope_.ret = "HDRS";
  envelope_.envelope_id = "e=1";
  envelope_.body_is_8bit = true;
  const Answer answer = Run();
  EXPECT_FALSE(answer.later) << answer.reason;
  ASSERT_EQ(answer.outcomes.size(), 2u);
  EXPECT_TRUE(answer.outcomes[0].delivered());
  EXPECT_TRUE(answer.outcomes[1].delivered());
  EXPECT_THAT(heard_, HasSubstr("MAIL FROM:<me> "));
  EXPECT_THAT(heard_, HasSubstr("BODY=8BITMIME"));
  EXPECT_THAT(heard_, HasSubstr("RET=HDRS"));
  EXPECT_THAT(heard_, HasSubstr("ENVID=e+3D1"));
  EXPECT_THAT(heard_, HasSubstr("RCPT TO:<bob> NOTIFY=NEVER"));
  EXPECT_THAT(heard_, HasSubstr("Subject: x\r\n\r\n..dot\r\n.\r\n"));
}

TEST_F(TalkTest, TellsWhoWasRefused) {
  carol_ = "550 5.1.1 No such user";
  const Answer answer = Run();
  EXPECT_FALSE(answer.later);
  ASSERT_EQ(answer.outcomes.size(), 2u);
  EXPECT_TRUE(answer.outcomes[0].delivered());
  EXPECT_TRUE(answer.outcomes[1].permanent());
}

TEST_F(TalkTest, OneRecipientForLaterIsAllForLater) {
  carol_ = "451 4.3.0 Try again";
  const Answer answer = Run();
  EXPECT_TRUE(answer.later);
  EXPECT_EQ(answer.reason, "451 4.3.0 Try again");
  EXPECT_THAT(heard_, testing::Not(HasSubstr("Subject")));
}

TEST_F(TalkTest, ATemporaryAnswerToTheMessageIsForLater) {
  answer_ = "452 4.3.1 Full";
  EXPECT_TRUE(Run().later);
}

TEST_F(TalkTest, SilenceAndAClosedConnectionAreForLater) {
  says_.clear();
  Answer answer = Run();
  EXPECT_TRUE(answer.later);
  EXPECT_EQ(answer.reason, "silence");
  says_ = "421 4.3.2 Shutting down\r\n";
  answer = Run();
  EXPECT_TRUE(answer.later);
  EXPECT_EQ(answer.reason, "421 4.3.2 Shutting down");
  says_.clear();
  gone_ = true;
  EXPECT_TRUE(Run().later);
}

TEST(SpoolTest, ExitCodes) {
  char pattern[] = "/tmp/sendmail-test-XXXXXX";
  const std::string root = mkdtemp(pattern);
  Settings settings;
  settings.maildrop = root + "/maildrop";
  settings.socket = root + "/none";
  maildrop::Envelope envelope;
  envelope.recipients = {"bob"};
  Store body;
  ASSERT_TRUE(body.Append("Subject: x\r\n\r\nhi\r\n").ok());
  EXPECT_EQ(Submit(envelope, "me", body, settings, false), kCannotCreate);
  ASSERT_TRUE(maildrop::Prepare(settings.maildrop).ok());
  EXPECT_EQ(Submit(envelope, "me", body, settings, false), kOk);
  const std::vector<maildrop::Entry> entries = maildrop::List(settings.maildrop).value();
  ASSERT_EQ(entries.size(), 1u);
  const absl::StatusOr<maildrop::Reader> file =
      maildrop::Reader::Open(settings.maildrop, entries[0].name);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->Read(0, 100).value(), "Subject: x\r\n\r\nhi\r\n");
  ASSERT_EQ(chmod(settings.maildrop.c_str(), 0777), 0);
  EXPECT_EQ(Submit(envelope, "me", body, settings, false), kConfiguration);
  std::filesystem::remove_all(root);
}

TEST(QueueListingTest, ReadsPages) {
  const QueuePage page =
      ParseQueuePage({"MESSAGE id-1 1234 1700000000 <a+2Bb@x.test>",
                      "RECIPIENT deferred 1700000900 <c@y.test> mx.y.test: 451 later",
                      "RECIPIENT held - <d@y.test> ", "RECIPIENTS 7", "NEWS of a later version",
                      "MESSAGE id-2 5 1700000001 <>", "MORE"})
          .value();
  EXPECT_TRUE(page.more);
  ASSERT_EQ(page.messages.size(), 2u);
  EXPECT_EQ(page.messages[0].id, "id-1");
  EXPECT_EQ(page.messages[0].octets, 1234u);
  EXPECT_EQ(page.messages[0].sender, "a+b@x.test");
  EXPECT_EQ(page.messages[0].mark, '!');
  ASSERT_EQ(page.messages[0].recipients.size(), 2u);
  EXPECT_EQ(page.messages[0].recipients[0].reply, "mx.y.test: 451 later");
  EXPECT_EQ(page.messages[0].more_recipients, 7u);
  EXPECT_EQ(page.messages[1].sender, "");
  EXPECT_FALSE(ParseQueuePage({"END"}).value().more);
  for (const std::vector<std::string>& lines : std::vector<std::vector<std::string>>{
           {}, {"MESSAGE id 1 2 <a>"}, {"MESSAGE id x 2 <a>", "END"}, {"RECIPIENT queued - <a> ", "END"},
           {"MESSAGE id 1 2 a", "END"}}) {
    EXPECT_FALSE(ParseQueuePage(lines).ok());
  }
}

TEST(QueueListingTest, LooksAsPeopleKnowIt) {
  EXPECT_EQ(FormatListing({}, absl::UTCTimeZone()), "Mail queue is empty\n");
  ListedMessage message;
  message.id = "01890a5d-ac96-774b-bcce-b302099a8057";
  message.mark = '*';
  message.octets = 1500;
  message.arrival = absl::FromUnixSeconds(1700000000);
  message.sender = "alice@example.test";
  message.recipients.push_back({"bob@far.example", "451 later"});
  message.recipients.push_back({"carol@far.example", "451 later"});
  ListedMessage second = message;
  second.mark = '#';
  second.sender.clear();
  second.recipients = {{"x\ny", ""}};
  EXPECT_EQ(FormatListing({message, second}, absl::UTCTimeZone()),
            "-Queue ID-                            --Size-- ----Arrival Time---- "
            "-Sender/Recipient-------\n"
            "01890a5d-ac96-774b-bcce-b302099a8057*     1500 Tue Nov 14 22:13:20  "
            "alice@example.test\n" +
                std::string(56, ' ') + "(451 later)\n" + std::string(68, ' ') +
                "bob@far.example\n" + std::string(68, ' ') + "carol@far.example\n\n"
            "01890a5d-ac96-774b-bcce-b302099a8057#     1500 Tue Nov 14 22:13:20  MAILER-DAEMON\n" +
                std::string(68, ' ') + "x?y\n\n-- 3 Kbytes in 2 Requests.\n");
}

}  // namespace
}  // namespace posthorn::sendmail
