#include "lib/mime/transfer_decoder.h"

#include <gtest/gtest.h>

#include <string>

namespace posthorn::mime {
namespace {

struct Row {
  const char* encoding;
  std::string input;
  std::string output;
};

const Row kRows[] = {
    {"7bit", "a=3D", "a=3D"},
    {"bogus", "a=3D", "a=3D"},
    {"Quoted-Printable", "a=3Db=c3=A4", "a=b\xc3\xa4"},
    {"quoted-printable", "soft =\r\nbreak=\nx=  \r\ny", "soft breakxy"},
    {"quoted-printable", "padding  \r\nnext\t\n", "padding\r\nnext\n"},
    {"quoted-printable", "bad =XY =4 =", "bad =XY =4 "},
    {"quoted-printable", "a==3D", "a=="},
    {"quoted-printable", "a\rb", "a\rb"},
    {"base64", "aGVsbG8gd29ybGQ=", "hello world"},
    {"BASE64", "aGVs\r\nbG8g d29y*bGQ", "hello world"},
    {"base64", "aGk=aGk=", "hihi"},
    {"base64", "=====", ""},
};

TEST(TransferDecoderTest, DecodesAtEveryChunkSize) {
  for (const Row& row : kRows) {
    for (std::size_t size = 1; size <= row.input.size(); ++size) {
      TransferDecoder decoder(row.encoding);
      std::string out;
      for (std::size_t i = 0; i < row.input.size(); i += size) {
        decoder.Decode(std::string_view(row.input).substr(i, size), &out);
      }
      decoder.Finish(&out);
      EXPECT_EQ(out, row.output) << row.encoding << ": " << row.input << " by " << size;
    }
  }
}

}  // namespace
}  // namespace posthorn::mime
