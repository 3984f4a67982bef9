#include "lib/mime/preview.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/mime/scanner.h"

namespace posthorn::mime {
namespace {

std::string Preview(const std::string& message) {
  const Structure structure = Scan(message).structure;
  const Part* part = PreviewPart(structure);
  if (part == nullptr) return "(none)";
  return PreviewOf(*part, std::string_view(message).substr(part->body_offset, part->body_size));
}

std::string Html(const std::string& text) {
  return Preview("MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + text);
}

TEST(PreviewTest, ShowsTheStartOfTheTextOnOneLine) {
  EXPECT_EQ(Preview("Subject: a\r\n\r\n  Hello\r\n\r\n\tworld \r\n> old\r\nnew\r\n"),
            "Hello world new");
  EXPECT_EQ(Preview("Subject: a\r\n\r\n"), "");
  EXPECT_EQ(Preview("Subject: a\r\n\r\n\x01\x7f b"), "b");
}

TEST(PreviewTest, DecodesEncodingAndCharset) {
  EXPECT_EQ(Preview("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe=\r\n an alle"),
            "Gr\u00fc\u00dfe an alle");
  EXPECT_EQ(Preview("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\n"
                    "Content-Transfer-Encoding: base64\r\n\r\n98XT1Ng=\r\n"),
            "\u0412\u0435\u0441\u0442\u044c");
}

TEST(PreviewTest, PrefersPlainTextAndPassesAttachmentsOver) {
  const std::string parts =
      "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
      "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached\r\n"
      "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nnested\r\n"
      "--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n";
  EXPECT_EQ(Preview(parts + "--b--\r\n"), "rich");
  EXPECT_EQ(Preview(parts + "--b\r\n\r\nplain\r\n--b--\r\n"), "plain");
  EXPECT_EQ(Preview("MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nx"), "(none)");
}

TEST(PreviewTest, LeavesMarkupOut) {
  EXPECT_EQ(Html("<html><head><title>T</title><style>p{a:b}</style></head><body>"
                 "<p>One<br>two</p><!-- <b>no</b> --><script>if (a<b) x()</script><b>thr</b>ee"
                 "<a title=\"a>b\">!</a></body>"),
            "One two three!");
  EXPECT_EQ(Html("a &amp; b &lt;c&gt; &#8364; &#x20AC; &nbsp;&bogus; &#xD800; &"),
            "a & b <c> \u20ac \u20ac &bogus; &#xD800; &");
  EXPECT_EQ(Html("cut <a href=\"http://"), "cut");
}

TEST(PreviewTest, IsShortAndWellFormed) {
  std::string umlauts;
  for (int i = 0; i < 10000; ++i) umlauts += "\u00e4";
  const std::string preview =
      Preview("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\na" + umlauts);
  EXPECT_EQ(preview, "a" + umlauts.substr(0, 2 * (kMaxPreviewCharacters - 1)));
  EXPECT_EQ(Preview("\r\n" + std::string(199, 'x') + " y").size(), 199u);
}

}  // namespace
}  // namespace posthorn::mime
