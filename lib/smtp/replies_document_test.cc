#include "lib/smtp/replies_document.h"

#include <fstream>
#include <sstream>

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

TEST(RepliesDocumentTest, IsCurrent) {
  std::ifstream file(POSTHORN_SMTP_REPLIES_DOCUMENT);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), RepliesDocument())
      << "run: smtp_replies_document > docs/protocols/smtp-replies.md";
}

}  // namespace
}  // namespace posthorn::smtp
