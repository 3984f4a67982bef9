#include "services/mailbox/text_index.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <thread>

#include "lib/mime/text_search.h"
#include "services/mailbox/search.h"
#include "services/mailbox/store_test.h"
#include "services/mailbox/text_feed.h"

namespace posthorn::mailbox {
namespace {

TextIndexOptions Small() {
  TextIndexOptions options;
  options.segment_emails = 10;
  options.merge_segments = 3;
  options.max_emails = 100;
  return options;
}

class TextIndexTest : public StoreTest {
 protected:
  TextIndexTest() : index(bodies, Small()) {}

  SearchKey Text(const std::string& value, SearchKey::Kind kind = SearchKey::Kind::kText) {
    SearchKey key;
    key.kind = kind;
    key.value = value;
    return key;
  }
  std::vector<Uid> Find(Account account, const SearchKey& key, TextIndex* with,
                        const std::string& name = "INBOX") {
    absl::StatusOr<std::vector<Uid>> uids = loop.Run(
        Search(bodies, account, Info(account, name).id, {UidRange(1, 100000)}, key, with));
    EXPECT_TRUE(uids.ok()) << uids.status();
    return uids.ok() ? *uids : std::vector<Uid>();
  }
  void IndexAll(Account account) {
    for (int i = 0; i < 1000; ++i) {
      absl::StatusOr<int> indexed = loop.Run(index.IndexSome(account));
      ASSERT_TRUE(indexed.ok()) << indexed.status();
      absl::StatusOr<bool> merged = loop.Run(index.MergeSome(account));
      ASSERT_TRUE(merged.ok()) << merged.status();
      if (*indexed == 0 && !*merged) return;
    }
  }
  std::size_t Candidates(Account account, const std::string& needle) {
    const std::optional<TextMatches> matches = Look(account, needle);
    return matches.has_value() ? matches->may.size() : 999999;
  }
  std::optional<TextMatches> Look(Account account, const std::string& needle,
                                  std::optional<WordMark> place = std::nullopt) {
    std::vector<TextLookup> lookups(1, TextLookup(mime::FoldForSearch(needle), place));
    absl::StatusOr<TextCandidates> found = loop.Run(index.Find(account, std::move(lookups)));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? found->lookups[0] : std::nullopt;
  }

  TextIndex index;
};

TEST_F(TextIndexTest, FindsWhatAScanFindsInEveryLanguageAndEncoding) {
  const std::string head = "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=";
  DeliverTo(alice, head + "utf-8\r\n\r\nDie STRASSENBAHN f\xc3\xa4hrt\r\n");
  DeliverTo(alice, head + "koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n98XT1Ng=\r\n");
  DeliverTo(alice, head + "windows-1256\r\n\r\n\xc7\xe1\xd4\xe3\xd3\r\n");
  DeliverTo(alice, head + "gb2312\r\n\r\n\xb1\xb1\xbe\xa9\xb4\xf3\xd1\xa7\r\n");
  DeliverTo(alice, head + "iso-2022-jp\r\n\r\n\x1b$BEl5~ET\x1b(B\r\n");
  DeliverTo(alice, head + "tis-620\r\n\r\n\xc0\xd2\xc9\xd2\xe4\xb7\xc2\r\n");
  DeliverTo(
      alice,
      "Subject: with a file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
      "\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\n"
      "Content-Disposition: attachment; filename=\"Rechnung-0815.pdf\"\r\n\r\nx\r\n--b--\r\n");
  IndexAll(alice);
  const std::pair<const char*, Uid> needles[] = {{"strassenbahn", 1},
                                                 {"F\xc3\x84HRT", 1},
                                                 {"весть", 2},
                                                 {"есть", 2},
                                                 {"الشمس", 3},
                                                 {"京大", 4},
                                                 {"京都", 5},
                                                 {"ษาไท", 6},
                                                 {"rechnung-08", 7}};
  for (const auto& [needle, uid] : needles) {
    EXPECT_EQ(Find(alice, Text(needle), nullptr), std::vector<Uid>(1, uid)) << needle;
    EXPECT_EQ(Find(alice, Text(needle), &index), std::vector<Uid>(1, uid)) << needle;
    EXPECT_EQ(Candidates(alice, needle), 1u) << needle;
  }
  EXPECT_EQ(Candidates(alice, "nowhere"), 0u);
  EXPECT_EQ(Candidates(bob, "весть"), 999999u);  // nothing is indexed: any may match
}

TEST_F(TextIndexTest, AnswersWhatAScanAnswersAtAnyMoment) {
  std::mt19937 random(42);
  const std::vector<std::string> syllables = {"ba", "na", "Stra", "ße", "京", "都",
                                              "ไท", "ย",  "x1",   "é",  "да", "\xe2\x84\xab",
                                              "-",  ".",  " ",    "_"};
  const auto words = [&](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      text += syllables[random() % syllables.size()];
      if (random() % 4 == 0) text += random() % 3 == 0 ? ", " : " ";
    }
    return text;
  };
  // So many words that a segment has several blocks.
  const auto many = [&] {
    std::string text;
    for (int i = 0; i < 1000; ++i) {
      for (int k = 0; k < 8; ++k) text += static_cast<char>('a' + random() % 26);
      text += ' ';
    }
    return text;
  };
  // Headers that are not read alike wherever they are read; and a part with one of its own.
  const std::vector<std::string> strange = {
      "", "", "", "", "no colon ba na\r\n", " continues nothing ba\r\n", "=?utf-8?q?Ba?=: na\r\n",
      "Na\xc3\xa9: x1\r\n", "subject:ba\r\n\tna x1\r\n", "Subject: =?utf-8?q?Stra=C3=9Fe_ba?=\r\n",
      "X: ba\rna\r\n", "Ba:\r\n", ": na\r\n", "X-Raw: \xe9 \xff ba\r\n"};
  ASSERT_TRUE(loop.Run(store.Create(alice, "other", "")).ok());
  Uid next = 1;
  for (int round = 0; round < 12; ++round) {
    std::vector<NewMessage> messages;
    for (int i = 0; i < 15; ++i) {
      const std::string body = strange[random() % strange.size()] + "Subject: " + words(3) +
                               "\r\nFrom: " + words(2) + " <a@x.test>\r\nX-Ba: " + words(2) +
                               "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
                               words(random() % 40) + (random() % 8 == 0 ? many() : "") + "\r\n";
      messages.push_back(Message(alice, body));
    }
    if (round == 5) {  // stored in pieces, one long run of letters
      messages.clear();
      messages.push_back(
          Message(alice, "Subject: long\r\n\r\n" + std::string(60000, 'q') + "Ende"));
    }
    for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
    next = Info(alice, "INBOX").uid_next;
    {  // here and there, and back again
      const Uid first = static_cast<Uid>(random() % next);
      const std::vector<UidRange> some(1, UidRange(first, first + 3));
      const bool away = random() % 3 != 0;
      const MailboxId from = Info(alice, away ? "INBOX" : "other").id;
      ASSERT_TRUE(
          loop.Run(store.Copy(alice, from, some, away ? "other" : "INBOX", random() % 2 == 0)).ok());
    }
    switch (random() % 4) {
      case 0:
        ASSERT_TRUE(loop.Run(index.IndexSome(alice)).ok());
        break;
      case 1:
        IndexAll(alice);
        break;
      case 2: {
        const Uid first = static_cast<Uid>(random() % next);
        const std::vector<UidRange> some(1, UidRange(first, first + 5));
        ASSERT_TRUE(loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, some, false)).ok());
        ASSERT_TRUE(loop.Run(index.RewriteSome(alice)).ok());
        break;
      }
      default:
        ASSERT_TRUE(loop.Run(index.MergeSome(alice)).ok());
        break;
    }
    for (int i = 0; i < 12; ++i) {
      SearchKey leaf = Text(words(1 + random() % 3),
                            random() % 2 == 0 ? SearchKey::Kind::kText : SearchKey::Kind::kBody);
      if (i == 11) leaf = Text("qqqqende");
      if (i == 10) leaf.value = many().substr(0, 4);
      SearchKey header = Text(words(1), SearchKey::Kind::kHeader);
      header.header_name =
          std::array{"Subject", "From", "X-Ba", "Ba", "X", "Return-Path", "X-Raw"}[random() % 7];
      SearchKey key;
      key.kind = std::array{SearchKey::Kind::kAll, SearchKey::Kind::kAny,
                            SearchKey::Kind::kNone}[random() % 3];
      key.keys = {leaf};
      if (key.kind != SearchKey::Kind::kNone) key.keys.push_back(header);
      const std::string name = i % 3 == 0 ? "other" : "INBOX";
      for (const SearchKey& any : {leaf, header, key}) {
        EXPECT_EQ(Find(alice, any, &index, name), Find(alice, any, nullptr, name))
            << any.header_name << ": " << any.value << ", " << leaf.value;
      }
    }
  }
  ExpectExactCounts();
}

TEST_F(TextIndexTest, KnowsWhereAWordStandsAndOfOneWordForSure) {
  using Ids = std::vector<std::int64_t>;
  std::vector<std::int64_t> ids;
  const auto deliver = [&](const std::string& text) {
    ids.push_back(DeliverTo(alice, text).modseq);
  };
  deliver("Subject: apples\r\nFrom: pears@x.test\r\n\r\nplums\r\n");
  deliver("Subject: plums\r\nX-Fruit: apples\r\n\r\npears\r\n");
  deliver("Subject: =?utf-8?q?app?=\r\n =?utf-8?q?les?=\r\n\r\nx\r\n");
  deliver("=?utf-8?q?pears?=: apples\r\nSubject: none\r\n\r\nx\r\n");  // one for every search
  IndexAll(alice);
  const auto expect = [&](const std::string& needle, std::optional<WordMark> place, const Ids& may,
                          const Ids& sure) {
    const std::optional<TextMatches> matches = Look(alice, needle, place);
    ASSERT_TRUE(matches.has_value());
    EXPECT_EQ(matches->may, may) << needle;
    EXPECT_EQ(matches->sure, sure) << needle;
  };
  expect("apple", WordMark::kSubject, {ids[0], ids[2], ids[3]}, {ids[0], ids[2]});
  expect("apple", std::nullopt, ids, {ids[0], ids[1], ids[2]});
  expect("ear", WordMark::kBody, {ids[1], ids[3]}, {ids[1]});
  expect("ear", WordMark::kFrom, {ids[0], ids[3]}, {ids[0]});
  // Several fields have this mark.
  expect("apple", WordMark::kHeader, {ids[1], ids[3]}, {});
  // The name of a field is in no value.
  expect("subject", WordMark::kSubject, {ids[3]}, {});
  expect("subject", std::nullopt, ids, {ids[0], ids[1], ids[2]});
  // Two words may be apart.
  expect("pears@x", std::nullopt, {ids[0], ids[1], ids[3]}, {});
}

TEST_F(TextIndexTest, ReadsOnlyMessagesThatTheIndexDoesNotDecide) {
  for (int i = 0; i < 20; ++i) {
    DeliverTo(alice, absl::StrCat("Subject: s", i, "\r\n\r\nword", i, i % 2 == 0 ? " even\r\n" : "\r\n"));
  }
  IndexAll(alice);
  const std::vector<Uid> even = Find(alice, Text("even"), nullptr);
  EXPECT_EQ(even.size(), 10u);
  // What is not read may be lost, as here.
  Superuser("UPDATE mailbox.body SET data = 'no frame'");
  EXPECT_EQ(Find(alice, Text("even"), &index), even);
  EXPECT_EQ(Find(alice, Text("ord1", SearchKey::Kind::kBody), &index).size(), 11u);
  SearchKey odd;
  odd.kind = SearchKey::Kind::kNone;
  odd.keys = {Text("even")};
  EXPECT_EQ(Find(alice, odd, &index).size(), 10u);
  SearchKey subject = Text("s1", SearchKey::Kind::kHeader);
  subject.header_name = "subject";
  EXPECT_EQ(Find(alice, subject, &index).size(), 11u);
  const absl::StatusOr<std::vector<Uid>> read =
      loop.Run(Search(bodies, alice, Info(alice, "INBOX").id, {UidRange(1, 100)},
                      Text("word1 even"), &index));
  EXPECT_FALSE(read.ok());  // two words: it has to be looked
}

TEST_F(TextIndexTest, SegmentsGrowTogether) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 95; ++i)
    messages.push_back(Message(alice, absl::StrCat("Subject: n", i, "\r\n\r\nword", i)));
  for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
  IndexAll(alice);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.word_segment").Int(0, 0), 2);  // 90 and 5
  EXPECT_EQ(Superuser("SELECT sum(emails)::bigint FROM mailbox.word_segment").Int(0, 0), 95);
  EXPECT_EQ(Candidates(alice, "word77"), 1u);
  EXPECT_EQ(Candidates(alice, "word7"), 11u);
}

TEST_F(TextIndexTest, WordsOfDeletedMessagesGoAndAccountsTakeTheirsAlong) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 10; ++i)
    messages.push_back(Message(alice, absl::StrCat("Subject: n\r\n\r\nsecret", i)));
  for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
  DeliverTo(bob, "Subject: bob\r\n\r\nx");
  IndexAll(alice);
  IndexAll(bob);
  EXPECT_FALSE(*loop.Run(index.RewriteSome(alice)));
  const Uid uid = Find(alice, Text("secret3"), &index).at(0);
  ASSERT_TRUE(
      loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, {UidRange(uid, uid)}, false)).ok());
  EXPECT_EQ(Superuser("SELECT max(gone) FROM mailbox.word_segment").Int(0, 0), 1);
  EXPECT_EQ(Find(alice, Text("secret3"), &index), std::vector<Uid>());
  EXPECT_EQ(Superuser("SELECT count(*) FROM lookup.mailbox_words_gone(10)").Int(0, 0), 1);
  EXPECT_TRUE(*loop.Run(index.RewriteSome(alice)));
  EXPECT_EQ(Superuser("SELECT sum(emails)::bigint FROM mailbox.word_segment").Int(0, 0), 10);
  EXPECT_EQ(Candidates(alice, "secret3"), 0u);
  EXPECT_EQ(Candidates(alice, "secret"), 9u);
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("alice@one.test")).ok());
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.word_segment").Int(0, 0), 1);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.word_state").Int(0, 0), 1);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.word_block b WHERE NOT EXISTS (SELECT FROM"
                      " mailbox.word_segment s WHERE s.segment_id = b.segment_id)")
                .Int(0, 0),
            0);
}

TEST_F(TextIndexTest, TheFeedFindsWhoHasMuchThatIsNotIndexed) {
  TextIndex whole(bodies);
  TextFeed feed(hints, *database, whole);
  std::vector<NewMessage> messages;
  for (int i = 0; i < 130; ++i)
    messages.push_back(Message(alice, absl::StrCat("Subject: n\r\n\r\nword", i)));
  for (int i = 0; i < 20; ++i)
    messages.push_back(Message(bob, absl::StrCat("Subject: n\r\n\r\nword", i)));
  for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
  ASSERT_TRUE(loop.Run(feed.RunOnce()).ok());  // by the pages
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.word_state").Int(0, 0), 1);
  EXPECT_EQ(Candidates(alice, "word100"), 1u);
  for (int i = 0; i < 80; ++i) DeliverTo(bob, absl::StrCat("Subject: n\r\n\r\nmore", i));
  feed.Changed(bob, 1);
  ASSERT_TRUE(loop.Run(feed.RunOnce()).ok());
  EXPECT_EQ(Candidates(bob, "more7"), 11u);
}

TEST_F(TextIndexTest, SearchesIndexersAndDeletionsRace) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      testing::TestLoop own;
      TextIndex mine(bodies, Small());
      while (!stop) {
        EXPECT_TRUE(own.Run(mine.IndexSome(alice)).ok());
        EXPECT_TRUE(own.Run(mine.MergeSome(alice)).ok());
        EXPECT_TRUE(own.Run(mine.RewriteSome(alice)).ok());
      }
    });
  }
  const MailboxId inbox = Info(alice, "INBOX").id;
  for (int round = 0; round < 15; ++round) {
    std::vector<NewMessage> messages;
    for (int i = 0; i < 10; ++i) {
      messages.push_back(
          Message(alice, absl::StrCat("Subject: n\r\n\r\nround", round, "x", i, " keep")));
    }
    for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
    EXPECT_EQ(Find(alice, Text(absl::StrCat("round", round, "x")), &index).size(), 10u);
    const Uid first = static_cast<Uid>(round * 10 + 1);
    ASSERT_TRUE(loop.Run(store.Expunge(alice, inbox, {UidRange(first, first + 4)}, false)).ok());
    EXPECT_EQ(Find(alice, Text(absl::StrCat("round", round, "x")), &index).size(), 5u);
    EXPECT_EQ(Find(alice, Text("keep"), &index).size(), static_cast<std::size_t>(round + 1) * 5);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  IndexAll(alice);
  EXPECT_EQ(Find(alice, Text("keep"), &index), Find(alice, Text("keep"), nullptr));
  ExpectExactCounts();
}

}  // namespace
}  // namespace posthorn::mailbox
