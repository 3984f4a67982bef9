#include "lib/mime/search_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "lib/mime/scanner.h"
#include "lib/mime/text_search.h"

namespace posthorn::mime {
namespace {

std::vector<std::string> WordsOf(const std::string& text, std::size_t piece = 1000) {
  std::vector<std::string> words;
  WordSplitter splitter([&](std::string_view word) { words.emplace_back(word); });
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.size(), at + piece);
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    splitter.Feed(std::string_view(text).substr(at, end - at));
    at = end;
  }
  splitter.End();
  return words;
}

bool MayContain(const std::vector<std::string>& words, const std::string& needle) {
  for (const std::string& part : NeedleWords(needle)) {
    const bool found = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
      return word.find(part) != std::string::npos;
    });
    if (!found) return false;
  }
  return true;
}

TEST(SearchWordsTest, RunsOfLettersAndDigits) {
  EXPECT_EQ(WordsOf("re: (a1) foo-bar's x_y"),
            (std::vector<std::string>{"re", "a1", "foo", "bar", "s", "x", "y"}));
  EXPECT_EQ(WordsOf("--- !"), std::vector<std::string>());
  EXPECT_EQ(NeedleWords("a foo-bar, a"), (std::vector<std::string>{"bar", "foo", "a"}));
  EXPECT_TRUE(NeedleWords("- ").empty());
}

TEST(SearchWordsTest, OneWordIsFoundJustInWordsThatHaveIt) {
  EXPECT_TRUE(IsOneWord("A1B"));
  EXPECT_TRUE(IsOneWord("京都"));
  EXPECT_TRUE(IsOneWord(std::string(kMaxNeedleWord, 'X')));
  EXPECT_FALSE(IsOneWord(std::string(kMaxNeedleWord + 1, 'X')));  // looked up by its beginning
  EXPECT_FALSE(IsOneWord("A B"));
  EXPECT_FALSE(IsOneWord("A A"));
  EXPECT_FALSE(IsOneWord("A-"));
  EXPECT_FALSE(IsOneWord(" A"));
  EXPECT_FALSE(IsOneWord("-"));
  EXPECT_FALSE(IsOneWord(""));
}

struct Language {
  const char* name;
  const char* text;
  std::vector<const char*> present;  // also across what a dictionary would call a word break
  std::vector<const char*> absent;
};

TEST(SearchWordsTest, FindsSubstringsInEveryLanguage) {
  const Language languages[] = {
      {"German",
       "Die STRASSENBAHN fährt übers Größte, nicht Ölkännchen.",
       {"strassen", "bahn", "FÄHRT", "rößte, nicht", "ölkännchen", "fa", "ber"},
       {"autobahn", "fahrt", "straße"}},
      {"Russian",
       "Съешь же ещё этих мягких французских булок, да выпей чаю.",
       {"СЪЕШЬ", "франц", "булок, да", "ещё этих"},
       {"хлеб", "чая"}},
      {"Arabic", "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت", {"الشَمسِ", "خَلقَ خَودِ", "مِثلِ"}, {"القمر"}},
      {"Chinese",
       "我们今天下午在北京大学图书馆见面。",
       {"北京", "京大", "下午在北", "图书馆见面"},
       {"上海", "东京"}},
      {"Japanese",
       "東京都に住んでいるﾃｽﾄの田中さんはコーヒーが好きです。",
       {"東京", "京都", "テスト", "コーヒーが好き", "んでいる"},
       {"大阪", "紅茶"}},
      {"Thai", "ฉันรักภาษาไทยและอาหารไทยมากที่สุด", {"ภาษา", "ษาไทย", "ไทยและอาหาร", "มากที่สุด"}, {"ญี่ปุ่น"}},
  };
  for (const Language& language : languages) {
    const std::vector<std::string> words = WordsOf(FoldForSearch(language.text), 7);
    for (const char* needle : language.present) {
      EXPECT_NE(FoldForSearch(language.text).find(FoldForSearch(needle)), std::string::npos)
          << language.name << ": " << needle;
      EXPECT_TRUE(MayContain(words, FoldForSearch(needle))) << language.name << ": " << needle;
    }
    for (const char* needle : language.absent) {
      EXPECT_FALSE(MayContain(words, FoldForSearch(needle))) << language.name << ": " << needle;
    }
  }
}

TEST(SearchWordsTest, NoSubstringIsLostWhateverTheTextAndThePieces) {
  std::mt19937 random(20230614);
  const char* const signs[] = {"a", "b", "9", " ", "-", "ä", "京", "ไ", "́", "\xf0\x9f\x98\x80",
                               "x"};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    std::vector<std::size_t> starts;
    const int length = static_cast<int>(random() % 400);
    const bool one_run = round % 3 == 0;
    for (int i = 0; i < length; ++i) {
      starts.push_back(text.size());
      const std::size_t sign = random() % std::size(signs);
      text += one_run && (sign == 3 || sign == 4 || sign == 9) ? "q" : signs[sign];
    }
    starts.push_back(text.size());
    const std::vector<std::string> words = WordsOf(text, 1 + random() % 50);
    for (const std::string& word : words) EXPECT_LE(word.size(), kMaxWord);
    for (int i = 0; i < 100; ++i) {
      std::size_t from = random() % starts.size();
      std::size_t to = random() % starts.size();
      if (from > to) std::swap(from, to);
      const std::string needle = text.substr(starts[from], starts[to] - starts[from]);
      ASSERT_TRUE(MayContain(words, needle)) << text << "\n" << needle;
    }
  }
}

// The texts of a message for the index are those that a search looks at.
TEST(MessageTextTest, GivesOutWhatASearchLooksAt) {
  const std::string message =
      "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/mixed; boundary=b\r\n\r\nignored\r\n"
      "--b\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n"
      "98XT1Nggxc7U\r\n"
      "--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=\"Plan.PNG\"\r\n"
      "Content-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n"
      "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Nested\r\n\r\nInner Text\r\n--b--\r\n";
  const Message scanned = Scan(message);
  for (std::size_t piece = 1; piece < 100; piece += 7) {
    std::vector<std::string> texts;
    std::vector<std::string> own;
    MessageText text(scanned.structure, [&](const MessageText::Piece& piece) {
      if (piece.kind == MessageText::Kind::kFieldValue) {
        texts.back() += ": ";
        own.push_back(std::string(piece.field->name) + "|" + std::string(piece.field->value));
      } else if (piece.begins) {
        texts.emplace_back();
      }
      texts.back() += piece.folded;
    });
    text.FeedPrefix("Return-Path: <A@b>\r\n");
    for (std::size_t at = 0; at < message.size(); at += piece) text.Feed(message.substr(at, piece));
    text.Finish();
    EXPECT_EQ(own, (std::vector<std::string>{
                       "Return-Path| <A@b>", "Subject| =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
                       "MIME-Version| 1.0", "Content-Type| multipart/mixed; boundary=b"}));
    std::string all;
    for (const std::string& one : texts) all += one + "\n";
    for (const char* there : {"return-path: <a@b>\n", "subject: GR\xc3\x9c\xc3\x9f" "E", "Весть ент",
                              "filename=\"plan.png\"", "subject: nested", "inner text"}) {
      EXPECT_NE(all.find(FoldForSearch(there)), std::string::npos) << there << "\n" << all;
    }
    for (const char* other : {"ignored", "secret", "c2vjcmv0"}) {
      EXPECT_EQ(all.find(FoldForSearch(other)), std::string::npos) << other;
    }
  }
}

}  // namespace
}  // namespace posthorn::mime
