#include "lib/mime/header_fields.h"

#include <gtest/gtest.h>

#include <string>

namespace posthorn::mime {
namespace {

TEST(HeaderReaderTest, GoesThroughFields) {
  const std::string block =
      "From: a\r\nSubject : x\r\n\ty\nno colon\r\n more\r\n:empty\r\nTo:z\r\n\r\nBody: no\r\n";
  HeaderReader reader(block);
  std::string all;
  std::size_t expected = 0;
  while (std::optional<HeaderField> field = reader.Next()) {
    EXPECT_EQ(field->offset, expected);
    expected += field->size;
    all += "[" + std::string(field->name) + "|" + Unfold(field->value) + "]";
  }
  EXPECT_EQ(all, "[From|a][Subject|x\ty][|no colon more][|empty][To|z]");
  EXPECT_EQ(block.substr(reader.end()), "Body: no\r\n");
  EXPECT_EQ(HeaderSize(block), reader.end());
}

TEST(HeaderReaderTest, TakesBlocksWithoutBlankLine) {
  HeaderReader reader("A: b");
  EXPECT_EQ(reader.Next()->value, " b");
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_EQ(reader.end(), 4u);
  EXPECT_FALSE(HeaderSize("A: b\r\n").has_value());
  EXPECT_EQ(HeaderSize("\nx"), 1u);
}

TEST(HeaderReaderTest, FindsAndCounts) {
  const std::string block = "Received: 1\r\nMESSAGE-id:\r\n <x@y> \r\nreceived: 2\r\n\r\nReceived: 3";
  EXPECT_EQ(FindHeader(block, "Message-ID"), "<x@y>");
  EXPECT_EQ(FindHeader(block, "Subject"), std::nullopt);
  EXPECT_EQ(CountHeader(block, "Received"), 2u);
}

}  // namespace
}  // namespace posthorn::mime
