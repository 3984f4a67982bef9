#include "lib/imap/thread.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"

namespace posthorn::imap {
namespace {

struct Mail {
  const char* id;
  const char* references;
  const char* subject;
  const char* in_reply_to = "";
};

// Numbers and dates count from 1.
Threader Threads(const std::vector<Mail>& mails) {
  Threader threader;
  std::uint32_t number = 0;
  for (const Mail& mail : mails) {
    Threader::Message message;
    message.number = ++number;
    message.sent = number;
    message.message_id = mail.id;
    message.references = mail.references;
    message.in_reply_to = mail.in_reply_to;
    message.subject = mail.subject;
    threader.Add(message);
  }
  return threader;
}

TEST(ThreadTest, ByReferences) {
  struct Row {
    const char* name;
    std::vector<Mail> mails;
    const char* answer;
  };
  const Row rows[] = {
      {"nothing", {}, ""},
      {"strangers", {{"<a@x>", "", "a"}, {"<b@x>", "", "b"}}, "(1)(2)"},
      {"a chain",
       {{"<a@x>", "", "s"}, {"<b@x>", "<a@x>", "s"}, {"<c@x>", "<a@x> <b@x>", "s"}},
       "(1 2 3)"},
      {"branches",
       {{"<a@x>", "", "s"},
        {"<b@x>", "<a@x>", "s"},
        {"<c@x>", "<a@x>", "s"},
        {"<d@x>", "<a@x> <b@x>", "s"}},
       "(1 (2 4)(3))"},
      {"in-reply-to counts without references",
       {{"<a@x>", "", "s"}, {"<b@x>", "", "t", "your mail <a@x> <z@x>"}},
       "(1 2)"},
      {"answers before what they answer", {{"<b@x>", "<a@x>", "s"}, {"<a@x>", "", "s"}}, "(2 1)"},
      {"a missing parent of one", {{"<b@x>", "<a@x>", "s"}}, "(1)"},
      {"a missing parent of two", {{"<b@x>", "<a@x>", "s"}, {"<c@x>", "<a@x>", "t"}}, "((1)(2))"},
      {"missing ones in the middle",
       {{"<a@x>", "", "s"}, {"<d@x>", "<a@x> <b@x> <c@x>", "s"}, {"<e@x>", "<a@x> <b@x>", "s"}},
       "(1 (2)(3))"},
      {"the same id twice",
       {{"<a@x>", "", "s"}, {"<a@x>", "", "t"}, {"<b@x>", "<a@x>", "u"}},
       "(1 3)(2)"},
      {"no ids", {{"", "", "s"}, {"nonsense", "more <", "t"}}, "(1)(2)"},
      {"itself", {{"<a@x>", "<a@x>", "s"}}, "(1)"},
      {"a circle", {{"<a@x>", "<b@x>", "s"}, {"<b@x>", "<a@x>", "t"}}, "(2 1)"},
      {"a message knows its parent best",
       {{"<c@x>", "<a@x> <b@x>", "s"}, {"<a@x>", "", "s"}, {"<b@x>", "", "t"}},
       "(2)(3 1)"},
      {"a reply by subject", {{"<a@x>", "", "hello"}, {"<b@x>", "", "Re: Hello"}}, "(1 2)"},
      {"a reply that is older", {{"<b@x>", "", "Re: hello"}, {"<a@x>", "", "hello"}}, "(2 1)"},
      {"one subject, no reply", {{"<a@x>", "", "hello"}, {"<b@x>", "", "hello"}}, "((1)(2))"},
      {"one subject, three",
       {{"<a@x>", "", "hello"}, {"<b@x>", "", "hello"}, {"<c@x>", "", "re: hello"}},
       "((1)(2)(3))"},
      {"two replies without what they answer",
       {{"<a@x>", "", "Re: hello"}, {"<b@x>", "", "Re: hello"}},
       "((1)(2))"},
      {"a dummy takes others of its subject",
       {{"<b@x>", "<a@x>", "hello"}, {"<c@x>", "<a@x>", "hello"}, {"<d@x>", "", "hello"}},
       "((1)(2)(3))"},
      {"two dummies of one subject",
       {{"<b@x>", "<a@x>", "hello"},
        {"<c@x>", "<a@x>", "hello"},
        {"<e@x>", "<d@x>", "hello"},
        {"<f@x>", "<d@x>", "hello"}},
       "((1)(2)(3)(4))"},
      {"empty subjects stay apart", {{"<a@x>", "", ""}, {"<b@x>", "", "Re:"}}, "(1)(2)"},
  };
  for (const Row& row : rows) EXPECT_EQ(Threads(row.mails).References(), row.answer) << row.name;
}

TEST(ThreadTest, SiblingsAreInTheOrderOfTheirDates) {
  Threader threader;
  const auto add = [&](std::uint32_t number, std::int64_t sent, const char* id,
                       const char* parent) {
    Threader::Message message;
    message.number = number;
    message.sent = sent;
    message.message_id = id;
    message.references = parent;
    message.subject = id;
    threader.Add(message);
  };
  add(1, 50, "<a@x>", "");
  add(2, 40, "<b@x>", "<a@x>");
  add(3, 30, "<c@x>", "<a@x>");
  add(4, 60, "<d@x>", "<gone@x>");
  add(5, 20, "<e@x>", "<gone@x>");
  EXPECT_EQ(threader.References(), "((5)(4))(1 (3)(2))");
}

TEST(ThreadTest, ByOrderedSubject) {
  EXPECT_EQ(
      Threads(
          {{"", "", "b"}, {"", "", "a"}, {"", "", "Re: B"}, {"", "", "fwd: a"}, {"", "", "[x] a"}})
          .OrderedSubject(),
      "(1 3)(2 (4)(5))");
  EXPECT_EQ(Threads({}).OrderedSubject(), "");
}

// Every message is answered once, and brackets match.
void ExpectComplete(const std::string& answer, std::size_t count) {
  std::vector<int> seen(count + 1, 0);
  int depth = 0;
  std::size_t number = 0;
  for (const char c : answer + " ") {
    if (c >= '0' && c <= '9') {
      number = number * 10 + static_cast<std::size_t>(c - '0');
      continue;
    }
    if (number != 0) {
      ASSERT_LE(number, count);
      ++seen[number];
    }
    number = 0;
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    ASSERT_GE(depth, 0);
  }
  EXPECT_EQ(depth, 0);
  EXPECT_EQ(std::count(seen.begin() + 1, seen.end(), 1), static_cast<std::ptrdiff_t>(count));
}

TEST(ThreadTest, AnythingGoesInAndEverythingComesOut) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int count = 1 + static_cast<int>(random() % 30);
    Threader threader;
    for (int i = 1; i <= count; ++i) {
      const auto id = [&] { return absl::StrCat("<", random() % 20, "@x>"); };
      const std::string own = id();
      const std::string references = absl::StrCat(id(), id(), random() % 2 == 0 ? id() : "");
      const std::string subject = absl::StrCat(random() % 2 == 0 ? "Re: " : "", random() % 5);
      Threader::Message message;
      message.number = static_cast<std::uint32_t>(i);
      message.sent = static_cast<std::int64_t>(random() % 10);
      message.message_id = own;
      if (random() % 3 != 0) message.references = references;
      message.subject = subject;
      threader.Add(message);
    }
    ExpectComplete(threader.References(), static_cast<std::size_t>(count));
  }
}

TEST(ThreadTest, LongChainsAndCirclesEnd) {
  Threader chain;
  for (std::uint32_t i = 1; i <= 20000; ++i) {
    const std::string own = absl::StrCat("<", i, "@x>");
    const std::string parent = absl::StrCat("<", i - 1, "@x>");
    Threader::Message message;
    message.number = i;
    message.sent = i;
    message.message_id = own;
    message.references = parent;
    chain.Add(message);
  }
  ExpectComplete(chain.References(), 20000);
  Threader circles;
  std::string references;
  for (int i = 0; i < 300; ++i) absl::StrAppend(&references, "<", i, "@x>");
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    const std::string own = absl::StrCat("<", 299 - i % 300, "@x>");
    Threader::Message message;
    message.number = i;
    message.message_id = own;
    message.references = references;
    circles.Add(message);
  }
  ExpectComplete(circles.References(), 2000);
}

}  // namespace
}  // namespace posthorn::imap
