#include "lib/mime/seven_bit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "lib/mime/transfer_decoder.h"

namespace posthorn::mime {
namespace {

std::string Convert(const std::string& message, std::size_t piece) {
  SevenBitConverter converter;
  std::string out;
  for (std::size_t i = 0; i < message.size(); i += piece) {
    converter.Convert(std::string_view(message).substr(i, piece), out);
  }
  converter.Finish(out);
  return out;
}

struct Row {
  const char* name;
  std::string message;
  std::string converted;
};

const Row kRows[] = {
    {"8-bit text", "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\ngr\xc3\xbc\xc3\x9f e=\r\n",
     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: x\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=C3=9F e=3D\r\n"},
    {"without MIME", "Subject: x\r\n\r\n\xfc\r\n",
     "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC\r\n"},
    {"no final line end", "Content-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\n\xfc",
     "Content-Type: text/plain\r\nMIME-Version: 1.0\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC"},
    {"white space at the end of a line", "Content-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\n"
                                         "a b \r\n\t\r\nc ",
     "Content-Type: text/plain\r\nMIME-Version: 1.0\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\na b=20\r\n=09\r\nc=20"},
    {"already encoded", "Content-Transfer-Encoding: BASE64\r\nMIME-Version: 1.0\r\n\r\n/A==\r\n",
     "Content-Transfer-Encoding: BASE64\r\nMIME-Version: 1.0\r\n\r\n/A==\r\n"},
    {"binary",
     "MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
         std::string("\0\r\n\n\xff", 5),
     "MIME-Version: 1.0\r\nContent-Type: image/png\r\n"
     "Content-Transfer-Encoding: base64\r\n\r\nAA0KCv8="},
    {"multipart",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\npre\xc3\r\n--b 1\r\n"
     "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n\r\n--b 1\r\n"
     "Content-Type: application/x\r\n\r\nabcd\r\nef\r\n--b 1--\r\nepi\xff\r\n",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\n"
     "Content-Transfer-Encoding: 7bit\r\n\r\npre?\r\n--b 1\r\n"
     "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n"
     "\r\n--b 1\r\n"
     "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "YWJjZA0KZWY=\r\n--b 1--\r\nepi?\r\n"},
    {"message in a message",
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
     "Subject: in\r\n\r\n\xfc\r\n",
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
     "Subject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC\r\n"},
    {"nested multiparts, the inner one not closed",
     "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
     "Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\n\xfc\r\n--o\r\n\r\n\xfd\r\n"
     "--o--",
     "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
     "Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC\r\n--o\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FD\r\n--o--"},
    {"delivery-status may have no encoding",
     "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n",
     "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n"},
    {"a part that is a header only",
     "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n--o--\r\n",
     "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n--o--\r\n"},
    {"a header only", "Subject: x\r\nFrom", "Subject: x\r\nFrom"},
    {"nothing", "", ""},
};

TEST(SevenBitConverterTest, KnownMessagesAtEveryPieceSize) {
  for (const Row& row : kRows) {
    for (std::size_t piece = 1; piece <= std::max<std::size_t>(row.message.size(), 1); ++piece) {
      ASSERT_EQ(Convert(row.message, piece), row.converted) << row.name << " by " << piece;
    }
  }
}

// 7-bit, short lines, and the same content.
void CheckLeaf(const std::string& type, const std::string& content, std::size_t piece) {
  const std::string header = "MIME-Version: 1.0\r\nContent-Type: " + type + "\r\n\r\n";
  const std::string out = Convert(header + content, piece);
  const std::size_t body = out.find("\r\n\r\n") + 4;
  const bool base64 = out.find("base64") != std::string::npos;
  std::size_t column = 0;
  for (std::size_t i = body; i < out.size(); ++i) {
    ASSERT_LT(static_cast<unsigned char>(out[i]), 0x7f);
    column = out[i] == '\n' ? 0 : column + 1;
    ASSERT_LE(column, 77u);  // with the CR
    if (out[i] == '\n') {
      ASSERT_EQ(out[i - 1], '\r');
    }
  }
  TransferDecoder decoder(base64 ? "base64" : "quoted-printable");
  std::string decoded;
  decoder.Decode(std::string_view(out).substr(body), &decoded);
  decoder.Finish(&decoded);
  ASSERT_TRUE(decoded == content) << type << " by " << piece;
}

TEST(SevenBitConverterTest, ContentComesBackUnchanged) {
  std::string every;
  for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
  const std::string long_line = std::string(20000, '\xfc') + " \t" + std::string(9000, 'x');
  for (const char* type : {"text/plain", "application/octet-stream"}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100000}}) {
      CheckLeaf(type, every, piece);
      CheckLeaf(type, every + "\r\n" + every + "\r\n\r\n", piece);
      CheckLeaf(type, long_line, piece);
      CheckLeaf(type, long_line + "\r\n--no boundary\r\n", piece);
      CheckLeaf(type, "\r\n\r\n", piece);
    }
  }
}

TEST(SevenBitConverterTest, MemoryIsBounded) {
  // A header without end, and a depth without end.
  std::string header = "Content-Transfer-Encoding: 8bit\r\n";
  while (header.size() < 2 * SevenBitConverter::kMaxHeader) header += "X-Line: x\r\n";
  EXPECT_EQ(Convert(header + "\r\nbody\r\n", 5000).size(), header.size() + 8);
  std::string deep;
  for (int i = 0; i < 300; ++i) {
    const std::string boundary = "b" + std::to_string(i) + "x";
    deep += "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n";
  }
  EXPECT_EQ(Convert(deep, 977), deep);
}

}  // namespace
}  // namespace posthorn::mime
