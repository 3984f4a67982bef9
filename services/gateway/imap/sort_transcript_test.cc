// SORT and THREAD.
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::StartsWith;

class SortTest : public ImapTest {
 protected:
  void Fill() {
    Deliver(
        "From: =?utf-8?q?=C3=84nne?= <zoe@a.example>\r\nTo: bob@x\r\nCc: c@x\r\n"
        "Subject: Re: Pears\r\nDate: Tue, 14 Nov 2023 12:00:00 +0000\r\n\r\nlong text\r\n");
    Deliver(
        "From: Zacharias <ann@a.example>\r\nTo: group: a@x;\r\nSubject: apples\r\n"
        "Date: Tue, 14 Nov 2023 12:30:00 +0100\r\n\r\nb\r\n");
    Deliver("From: Bob@a.example\r\nSubject: [list] pears (fwd)\r\n\r\n");
    Deliver("Subject: Apples and pears\r\nDate: nonsense\r\n\r\n" + std::string(200, 'x'));
  }
  static std::string FirstLine(const std::string& answer) {
    return answer.substr(0, answer.find("\r\n"));
  }
};

TEST_F(SortTest, ByEveryKey) {
  Fill();
  Client client = Select();
  const std::pair<const char*, const char*> rows[] = {
      {"(ARRIVAL)", "1 2 3 4"},      {"(REVERSE ARRIVAL)", "1 2 3 4"},  // all at once: by number
      {"(SIZE)", "3 2 1 4"},         {"(REVERSE SIZE)", "4 1 2 3"},
      {"(DATE)", "3 4 2 1"},  // 3 and 4 by their arrival
      {"(FROM)", "4 2 3 1"},         {"(REVERSE FROM)", "1 3 2 4"},
      {"(TO)", "3 4 1 2"},           {"(CC)", "2 3 4 1"},
      {"(SUBJECT)", "2 4 1 3"},      {"(SUBJECT REVERSE DATE)", "2 4 1 3"},
      {"(SUBJECT DATE)", "2 4 3 1"}, {"(DISPLAYFROM)", "4 1 3 2"},
      {"(DISPLAYTO)", "3 4 1 2"},
  };
  for (const auto& [order, answer] : rows) {
    EXPECT_EQ(FirstLine(client.Say(std::string("a SORT ") + order + " UTF-8 ALL\r\n")),
              std::string("* SORT ") + answer)
        << order;
  }
  EXPECT_EQ(client.Say("b UID SORT (SUBJECT) US-ASCII FROM ann\r\n"),
            "* SORT 2\r\nb OK Sort completed\r\n");
  EXPECT_EQ(client.Say("c SORT (SUBJECT) UTF-8 FLAGGED\r\n"), "* SORT\r\nc OK Sort completed\r\n");
  EXPECT_EQ(client.Say("d SORT (SUBJECT) x-none ALL\r\n"),
            "d NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset\r\n");
  EXPECT_THAT(client.Say("e SORT (NONSENSE) UTF-8 ALL\r\n"), StartsWith("e BAD "));
}

// RFC 5255 section 4: by i;unicode-casemap (RFC 5051), so marks come after all letters.
TEST_F(SortTest, ComparesByUnicodeCasemap) {
  for (const char* subject : {"m\xc3\xbc" "b", "MUZ", "M\xc3\x9c" "A", "stra\xc3\x9f" "e", "STRASSE"}) {
    Deliver(std::string("Subject: ") + subject + "\r\n\r\nb\r\n");
  }
  Client client = Select();
  EXPECT_EQ(FirstLine(client.Say("a SORT (SUBJECT) UTF-8 ALL\r\n")), "* SORT 2 3 1 5 4");
  Deliver("Subject: Re: stra\xc3\x9f" "e\r\n\r\nb\r\n");
  Deliver("Subject: Re: mu\xcc\x88" "a\r\n\r\nb\r\n");
  client.Say("b NOOP\r\n");
  EXPECT_EQ(FirstLine(client.Say("c THREAD ORDEREDSUBJECT UTF-8 ALL\r\n")),
            "* THREAD (1)(2)(3 7)(4 6)(5)");
}

TEST_F(SortTest, ReadsAnEnvelopeOnce) {
  Fill();
  Client client = Select();
  const std::string first = FirstLine(client.Say("a SORT (SUBJECT DATE) UTF-8 ALL\r\n"));
  const int calls = store_.calls();
  EXPECT_EQ(FirstLine(client.Say("b SORT (SUBJECT DATE) UTF-8 ALL\r\n")), first);
  EXPECT_EQ(FirstLine(client.Say("c SORT (REVERSE DATE) UTF-8 ALL\r\n")), "* SORT 1 2 3 4");
  EXPECT_EQ(store_.calls(), calls);
  // Another session of the gateway finds the same; only what is new is read.
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client other = Select();
  EXPECT_EQ(FirstLine(other.Say("d SORT (SUBJECT DATE) UTF-8 ALL\r\n")), "* SORT 5 2 4 3 1");
  // What is gone is not told of, here and there.
  other.Say("e STORE 4 +FLAGS.SILENT (\\Deleted)\r\n");
  other.Say("f EXPUNGE\r\n");
  EXPECT_EQ(FirstLine(other.Say("g SORT (SUBJECT DATE) UTF-8 ALL\r\n")), "* SORT 4 2 3 1");
}

TEST(SortKeyCacheTest, DropsWhatIsLongestUnused) {
  SortKeyCache cache(1000);
  const auto put = [&](std::int64_t mailbox, std::size_t octets) {
    auto column = std::make_shared<SortColumn>();
    column->Add(1, std::string(octets, 'x'));
    cache.Put({TenantId(1), MailboxId(mailbox), 7}, imap::SortKey::Kind::kFrom, column);
  };
  const auto has = [&](std::int64_t mailbox, imap::SortKey::Kind kind, std::uint32_t validity) {
    return cache.Find({TenantId(1), MailboxId(mailbox), validity}, kind) != nullptr;
  };
  put(1, 400);
  put(2, 400);
  put(3, 600);  // more than half
  EXPECT_TRUE(has(1, imap::SortKey::Kind::kFrom, 7));
  EXPECT_FALSE(has(1, imap::SortKey::Kind::kTo, 7));
  EXPECT_FALSE(has(1, imap::SortKey::Kind::kFrom, 8));
  EXPECT_FALSE(has(3, imap::SortKey::Kind::kFrom, 7));
  put(4, 400);
  EXPECT_FALSE(has(2, imap::SortKey::Kind::kFrom, 7));
  EXPECT_TRUE(has(1, imap::SortKey::Kind::kFrom, 7));
  EXPECT_TRUE(has(4, imap::SortKey::Kind::kFrom, 7));
}

TEST(SortColumnTest, FindsRows) {
  SortColumn column;
  for (const Uid uid : {2u, 5u, 9u}) column.Add(uid, std::to_string(uid) + "k");
  EXPECT_EQ(column.LowerBound(1), 0u);
  EXPECT_EQ(column.LowerBound(5), 1u);
  EXPECT_EQ(column.LowerBound(6, 1), 2u);
  EXPECT_EQ(column.LowerBound(10, 2), 3u);
  EXPECT_EQ(column.key(1), "5k");
  EXPECT_EQ(column.key(2), "9k");
}

TEST_F(SortTest, ReadsHeadersWhereTheEnvelopeIsOfAnotherVersion) {
  Fill();
  store_.ForgetStructures();
  Client client = Select();
  EXPECT_EQ(FirstLine(client.Say("a SORT (SUBJECT DATE) UTF-8 ALL\r\n")), "* SORT 2 4 3 1");
}

TEST_F(SortTest, ExtendedAnswers) {
  Fill();
  Client client = Select();
  const std::pair<const char*, const char*> rows[] = {
      {"()", "ALL 2,4,3,1"},
      {"(MIN MAX COUNT)", "MIN 2 MAX 1 COUNT 4"},
      {"(PARTIAL 2:3)", "PARTIAL (2:3 4,3)"},
      {"(PARTIAL -1:-1)", "PARTIAL (-1:-1 1)"},
  };
  for (const auto& [returns, answer] : rows) {
    EXPECT_EQ(client.Say(std::string("a SORT RETURN ") + returns + " (SUBJECT DATE) UTF-8 ALL\r\n"),
              std::string("* ESEARCH (TAG \"a\") ") + answer + "\r\na OK Sort completed\r\n")
        << returns;
  }
  EXPECT_EQ(client.Say("b UID SORT RETURN (SAVE) (SUBJECT DATE) UTF-8 2:3\r\n"),
            "b OK Sort completed\r\n");
  EXPECT_THAT(client.Say("c UID SEARCH $\r\n"), StartsWith("* SEARCH 2 3\r\n"));
}

class ThreadTest : public SortTest {
 protected:
  void Fill() {
    Deliver("Message-ID: <a@x>\r\nSubject: plan\r\nDate: 14 Nov 2023 12:00 +0000\r\n\r\na");
    Deliver("Message-ID: <b@x>\r\nSubject: lunch\r\nDate: 14 Nov 2023 12:10 +0000\r\n\r\nb");
    Deliver(
        "Message-ID: <c@x>\r\nReferences: <a@x>\r\n <gone@x>\r\nSubject: Re: plan\r\n"
        "Date: 14 Nov 2023 12:20 +0000\r\n\r\nc");
    Deliver(
        "Message-ID: <d@x>\r\nIn-Reply-To: <a@x>\r\nSubject: other\r\n"
        "Date: 14 Nov 2023 12:30 +0000\r\n\r\nd");
    Deliver("Subject: RE: Lunch\r\nDate: 14 Nov 2023 12:40 +0000\r\n\r\ne");
  }
};

TEST_F(ThreadTest, ByBothAlgorithms) {
  Fill();
  Client client = Select();
  client.Say("z STORE 2 +FLAGS.SILENT (\\Seen)\r\n");
  EXPECT_EQ(client.Say("a THREAD REFERENCES UTF-8 ALL\r\n"),
            "* THREAD (1 (3)(4))(2 5)\r\na OK Thread completed\r\n");
  EXPECT_EQ(client.Say("b UID THREAD references US-ASCII UNSEEN\r\n"),
            "* THREAD (1 (3)(4))(5)\r\nb OK Thread completed\r\n");
  EXPECT_EQ(client.Say("c THREAD ORDEREDSUBJECT UTF-8 ALL\r\n"),
            "* THREAD (1 3)(2 5)(4)\r\nc OK Thread completed\r\n");
  EXPECT_EQ(client.Say("d THREAD REFERENCES UTF-8 FLAGGED\r\n"),
            "* THREAD\r\nd OK Thread completed\r\n");
  EXPECT_THAT(client.Say("e THREAD REFS UTF-8 ALL\r\n"), StartsWith("e BAD "));
  EXPECT_THAT(client.Say("f THREAD REFERENCES x-none ALL\r\n"), StartsWith("f NO [BADCHARSET "));
}

TEST_F(ThreadTest, ReadsHeadersWhereTheEnvelopeIsOfAnotherVersion) {
  Fill();
  store_.ForgetStructures();
  Client client = Select();
  EXPECT_EQ(client.Say("a THREAD REFERENCES UTF-8 ALL\r\n"),
            "* THREAD (1 (3)(4))(2 5)\r\na OK Thread completed\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
