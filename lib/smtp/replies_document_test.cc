#include "lib/smtp/replies_document.h"

#include <fstream>
#include <sstream>

#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

TEST(RepliesDocumentTest, IsCurrent) {
  std::ifstream file(POSTHORN_SMTP_REPLIES_DOCUMENT);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), RepliesDocument())
      << "run: smtp_replies_document > docs/protocols/smtp-replies.md";
}

// A failure with a new code needs a word about it.
TEST(RepliesDocumentTest, EveryCodeHasAdvice) {
  const FailureTable table = AllFailures();
  for (std::size_t i = 0; i < table.size; ++i) {
    EXPECT_NE(AdviceFor(table.rows[i].smtp_code), nullptr) << table.rows[i].name;
  }
  for (const int code : {421, 450, 451, 452, 500, 501, 502, 503, 504, 530, 535, 538, 550, 551, 552,
                         553, 554, 555}) {
    EXPECT_NE(AdviceFor(code), nullptr) << code;
  }
}

}  // namespace
}  // namespace posthorn::smtp
