#include "lib/mime/base_subject.h"

#include <gtest/gtest.h>

namespace posthorn::mime {
namespace {

TEST(BaseSubjectTest, RemovesWhatRepliesAndForwardsAdd) {
  struct Row {
    const char* subject;
    const char* base;
    bool refwd;
  };
  const Row rows[] = {
      {"hello", "hello", false},
      {"", "", false},
      {"Re: hello", "hello", true},
      {"RE : hello", "hello", true},
      {"re:re: Fwd:fw:  hello", "hello", true},
      {"Re[2]: hello", "hello", true},
      {"Re [blob] : hello", "hello", true},
      {"[list] Re: [list] hello", "hello", true},
      {"[a][b] re: hello (fwd) (FWD) ", "hello", true},
      {"[list] hello", "hello", false},
      {"[list]", "[list]", false},
      {"[list] ", "[list]", false},
      {"[Fwd: hello]", "hello", true},
      {"[fwd: Re: [x] hello (fwd)]", "hello", true},
      {"[[x] hello", "[[x] hello", false},
      {"resolution", "resolution", false},
      {"re hello", "re hello", false},
      {"Re: ", "", true},
      {"a  b\tc", "a b c", false},
      {"=?utf-8?q?Re=3A_gr=C3=BC=C3=9Fe?=", "grüße", true},
  };
  for (const Row& row : rows) {
    const BaseSubject base = BaseSubjectOf(row.subject);
    EXPECT_EQ(base.text, row.base) << row.subject;
    EXPECT_EQ(base.reply_or_forward, row.refwd) << row.subject;
  }
}

TEST(BaseSubjectTest, LongSubjectsAreCutAndDone) {
  std::string blobs;
  for (int i = 0; i < 100000; ++i) blobs += "[x]";
  EXPECT_LE(BaseSubjectOf(blobs + " y").text.size(), 2000u);
  EXPECT_LE(BaseSubjectOf(std::string(1000000, '[')).text.size(), 2000u);
}

}  // namespace
}  // namespace posthorn::mime
