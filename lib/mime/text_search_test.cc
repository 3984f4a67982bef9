#include "lib/mime/text_search.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "lib/mime/scanner.h"

namespace posthorn::mime {
namespace {

// RFC 5051 section 2.
TEST(FoldForSearchTest, TakesTheTitlecaseOfEachCodePointAndDecomposesIt) {
  const std::pair<const char*, const char*> rows[] = {
      {"ABC xyz 1", "ABC XYZ 1"},
      {"m\xc3\xbcller", "MU\xcc\x88LLER"},
      {"mu\xcc\x88ller", "MU\xcc\x88LLER"},  // decomposed before
      {"Stra\xc3\x9f" "e", "STRA\xc3\x9f" "E"},  // no single titlecase
      {"\xef\xbd\x81", "A"},                    // full width
      {"\xc7\x86", "Dz\xcc\x8c"},               // a digraph has a titlecase of its own
      {"\xef\xac\x81", "fi"},                   // a ligature is decomposed after that
      {"\xcf\x83\xcf\x82", "\xce\xa3\xce\xa3"},  // both small sigmas
      {"\xe2\x84\xab", "A\xcc\x8a"},             // Angstrom, in two steps
      {"\xea\xb0\x80", "\xe1\x84\x80\xe1\x85\xa1"},  // Hangul, by its rule
      {"\xf0\x90\x90\xa8", "\xf0\x90\x90\x80"},     // beyond the basic plane
      {"\xe1\xba\xa1\xcc\x82", "A\xcc\xa3\xcc\x82"},  // marks stay in their order
      {"\xff", "\xef\xbf\xbd"},
  };
  for (const auto& [text, folded] : rows) EXPECT_EQ(FoldForSearch(text), folded) << text;
}

TEST(FoldForSearchTest, OrdersByOctets) {
  // Marks come after letters: the order that i;unicode-casemap asks for, though no dictionary's.
  EXPECT_LT(FoldForSearch("a"), FoldForSearch("B"));
  EXPECT_LT(FoldForSearch("Zebra"), FoldForSearch("\xc3\x9fz"));
  EXPECT_LT(FoldForSearch("muz"), FoldForSearch("m\xc3\xbc" "a"));
  EXPECT_EQ(FoldForSearch("\xc3\x84"), FoldForSearch("\xc3\xa4"));
}

TEST(HeaderContainsTest, DecodesValues) {
  const char header[] =
      "Subject: =?iso-8859-1?q?M=FCller?=\r\n =?iso-8859-1?q?_kommt?=\r\nFrom: a@b\r\nX-Empty:\r\n";
  EXPECT_TRUE(HeaderContains(header, "subject", FoldForSearch("M\xc3\x9cLLER KOMMT")));
  EXPECT_TRUE(HeaderContains(header, "subject", FoldForSearch("mu")));
  EXPECT_FALSE(HeaderContains(header, "subject", FoldForSearch("muller")));
  EXPECT_FALSE(HeaderContains(header, "from", FoldForSearch("m\xc3\xbcller")));
  EXPECT_TRUE(HeaderContains(header, "x-empty", ""));
  EXPECT_FALSE(HeaderContains(header, "x-other", ""));
}

std::vector<bool> Search(const std::string& text, const std::vector<MessageSearch::Needle>& needles,
                         std::size_t chunk) {
  const Message message = Scan(text);
  MessageSearch search(message.structure, needles);
  for (std::size_t i = 0; i < text.size(); i += chunk) {
    search.Feed(std::string_view(text).substr(i, chunk));
  }
  search.Finish();
  return search.found();
}

TEST(MessageSearchTest, FindsDecodedTextAtEveryChunkSize) {
  const std::string text =
      "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
      "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
      "Content-Transfer-Encoding: quoted-printable\r\n\r\nZwei M=FCl=\r\nler kommen\r\n"
      "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8gV29ybGQ=\r\n"
      "--b\r\nContent-Type: image/png\r\nContent-Description: picture\r\n\r\npixels\r\n"
      "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ndeep\r\n--b--\r\n";
  const std::vector<MessageSearch::Needle> needles = {
      {FoldForSearch("zwei m\xc3\xbcller KOMMEN"), false},
      {FoldForSearch("hello world"), false},
      {FoldForSearch("GR\xc3\x9c\xc3\x9f" "E"), true},
      {FoldForSearch("gr\xc3\xbc\xc3\x9f" "e"), false},  // BODY does not look at the message's header
      {FoldForSearch("subject: inner"), false},
      {FoldForSearch("deep"), false},
      {FoldForSearch("picture"), false},
      {FoldForSearch("pixels"), false},    // no text
      {FoldForSearch("preamble"), false},  // nobody sees it
      {FoldForSearch("kommen\r\nhello"), false},
      {"", false},
  };
  const std::vector<bool> expected = {true, true,  true,  false, true, true,
                                      true, false, false, false, true};
  for (std::size_t chunk = 1; chunk <= text.size(); ++chunk) {
    ASSERT_EQ(Search(text, needles, chunk), expected) << chunk;
  }
}

TEST(MessageSearchTest, FindsAcrossPieces) {
  std::string body(8190, 'x');
  body += "needle";
  for (std::size_t pad = 0; pad < 12; ++pad) {
    const std::string text = "\r\n" + std::string(pad, 'y') + body + std::string(20000, 'z');
    EXPECT_EQ(Search(text, {{"XNEEDLEZ", false}, {"NEEDLEY", false}}, 4096),
              (std::vector<bool>{true, false}));
  }
  // A combining mark at the end of a piece belongs to the letter before it.
  for (std::size_t pad = 8180; pad < 8200; ++pad) {
    const std::string text = "\r\n" + std::string(pad, 'x') + "u\xcc\x88q" + std::string(9000, 'z');
    EXPECT_EQ(Search(text, {{FoldForSearch("\xc3\xbcq"), false}}, 100), std::vector<bool>{true});
  }
}

TEST(MessageSearchTest, StopsWhenAllIsFound) {
  const Message message = Scan("Subject: x\r\n\r\nfound\r\nrest");
  MessageSearch search(message.structure, {{"RETURN", true}});
  EXPECT_FALSE(search.complete());
  search.FeedPrefix("Return-Path: <a@b>\r\n");
  EXPECT_TRUE(search.complete());
}

}  // namespace
}  // namespace posthorn::mime
