#include "lib/mime/text_search.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/mime/scanner.h"

namespace posthorn::mime {
namespace {

TEST(FoldForSearchTest, FoldsCaseAndForms) {
  EXPECT_EQ(FoldForSearch("ABC xyz"), "abc xyz");
  EXPECT_EQ(FoldForSearch("Stra\xc3\x9f" "e"), "strasse");
  EXPECT_EQ(FoldForSearch("M\xc3\x9cLLER"), FoldForSearch("mu\xcc\x88ller"));  // composed or not
  EXPECT_EQ(FoldForSearch("\xef\xbc\xa1"), "a");                              // full width
  EXPECT_EQ(FoldForSearch("\xff"), "\xef\xbf\xbd");
}

TEST(HeaderContainsTest, DecodesValues) {
  const char header[] =
      "Subject: =?iso-8859-1?q?M=FCller?=\r\n =?iso-8859-1?q?_kommt?=\r\nFrom: a@b\r\nX-Empty:\r\n";
  EXPECT_TRUE(HeaderContains(header, "subject", FoldForSearch("M\xc3\x9cLLER KOMMT")));
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
      {FoldForSearch("gr\xc3\xbcsse"), true},
      {FoldForSearch("gr\xc3\xbcsse"), false},  // BODY does not look at the message's header
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
    EXPECT_EQ(Search(text, {{"xneedlez", false}, {"needley", false}}, 4096),
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
  MessageSearch search(message.structure, {{"return", true}});
  EXPECT_FALSE(search.complete());
  search.FeedPrefix("Return-Path: <a@b>\r\n");
  EXPECT_TRUE(search.complete());
}

}  // namespace
}  // namespace posthorn::mime
