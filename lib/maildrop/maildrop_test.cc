#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/failure.h"
#include "lib/maildrop/directory.h"
#include "lib/maildrop/envelope.h"

namespace posthorn::maildrop {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Envelope SomeEnvelope() {
  Envelope envelope;
  envelope.recipients = {"bob", "carol@example.test"};
  return envelope;
}

TEST(EnvelopeTest, ComesBackAsItWas) {
  Envelope envelope = SomeEnvelope();
  envelope.reverse_path = "";
  envelope.envelope_id = "a b=c";
  envelope.ret = "HDRS";
  envelope.notify = "SUCCESS,DELAY";
  envelope.body_is_8bit = true;
  envelope.verp_delimiters = "-=";
  const absl::StatusOr<std::string> text = FormatEnvelope(envelope);
  ASSERT_TRUE(text.ok());
  const absl::StatusOr<ParsedEnvelope> parsed = ParseEnvelope(*text + "message");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->octets, text->size());
  EXPECT_EQ(parsed->envelope.reverse_path, "");
  EXPECT_THAT(parsed->envelope.recipients, ElementsAre("bob", "carol@example.test"));
  EXPECT_EQ(parsed->envelope.envelope_id, "a b=c");
  EXPECT_EQ(parsed->envelope.ret, "HDRS");
  EXPECT_EQ(parsed->envelope.notify, "SUCCESS,DELAY");
  EXPECT_TRUE(parsed->envelope.body_is_8bit);
  EXPECT_EQ(parsed->envelope.verp_delimiters, "-=");
}

TEST(EnvelopeTest, RefusesWhatItDoesNotKnow) {
  struct Row {
    const char* name;
    const char* text;
  };
  constexpr Row kRows[] = {
      {"empty", ""},
      {"other file", "root:x:0:0\n\n"},
      {"other version", "posthorn-maildrop 2\nto bob\n\n"},
      {"no recipient", "posthorn-maildrop 1\nfrom bob\n\n"},
      {"no end", "posthorn-maildrop 1\nto bob\n"},
      {"unknown word", "posthorn-maildrop 1\nto bob\nas root\n\n"},
      {"two senders", "posthorn-maildrop 1\nfrom a\nfrom b\nto bob\n\n"},
      {"no value", "posthorn-maildrop 1\nto\n\n"},
      {"empty value", "posthorn-maildrop 1\nto \n\n"},
      {"control character", "posthorn-maildrop 1\nto b\rob\n\n"},
      {"notify", "posthorn-maildrop 1\nto bob\nnotify NEVER,DELAY\n\n"},
      {"ret", "posthorn-maildrop 1\nto bob\nret BODY\n\n"},
  };
  for (const Row& row : kRows) EXPECT_FALSE(ParseEnvelope(row.text).ok()) << row.name;
  Envelope envelope = SomeEnvelope();
  envelope.recipients.front() = "bob\nfrom root";
  EXPECT_FALSE(FormatEnvelope(envelope).ok());
  envelope.recipients.assign(kMaxRecipients + 1, "bob");
  EXPECT_FALSE(FormatEnvelope(envelope).ok());
}

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() {
    char pattern[] = "/tmp/maildrop-test-XXXXXX";
    root_ = mkdtemp(pattern);
    directory_ = root_ + "/maildrop";
    EXPECT_TRUE(Prepare(directory_).ok());
  }
  ~DirectoryTest() override { std::filesystem::remove_all(root_); }

  std::string Put(std::string_view message) {
    absl::StatusOr<Writer> writer = Writer::Create(directory_, SomeEnvelope());
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(writer->Append(message).ok());
    EXPECT_TRUE(writer->Commit().ok());
    return writer->name();
  }
  std::vector<std::string> Names() {
    const std::vector<Entry> entries = List(directory_).value();
    std::vector<std::string> names;
    for (const Entry& entry : entries) names.push_back(entry.name);
    return names;
  }

  std::string root_;
  std::string directory_;
};

TEST_F(DirectoryTest, IsForAllAndSticky) {
  struct stat info;
  ASSERT_EQ(stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, kDirectoryMode);
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  EXPECT_TRUE(Prepare(directory_).ok());
  ASSERT_EQ(stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, kDirectoryMode);
}

TEST_F(DirectoryTest, KeepsAMessage) {
  const std::string name = Put("Subject: x\r\n\r\ntext\r\n");
  const std::vector<Entry> entries = List(directory_).value();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].name, name);
  EXPECT_EQ(entries[0].owner, geteuid());
  EXPECT_LT(absl::AbsDuration(absl::Now() - entries[0].spooled_at), absl::Minutes(1));
  const absl::StatusOr<Reader> reader = Reader::Open(directory_, name);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(reader->envelope().recipients, ElementsAre("bob", "carol@example.test"));
  EXPECT_FALSE(reader->envelope().reverse_path.has_value());
  EXPECT_EQ(reader->message_octets(), 20u);
  EXPECT_EQ(reader->Read(0, 100).value(), "Subject: x\r\n\r\ntext\r\n");
  EXPECT_EQ(reader->Read(14, 4).value(), "text");
  EXPECT_EQ(reader->Read(20, 4).value(), "");
  struct stat info;
  ASSERT_EQ(stat((directory_ + "/" + name).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0007, 0u);
}

TEST_F(DirectoryTest, ShowsNothingBeforeItIsComplete) {
  {
    absl::StatusOr<Writer> writer = Writer::Create(directory_, SomeEnvelope());
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->Append("half").ok());
    EXPECT_THAT(Names(), IsEmpty());
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(DirectoryTest, ReadsLongEnvelopes) {
  Envelope envelope;
  for (std::size_t i = 0; i < kMaxRecipients; ++i) {
    envelope.recipients.push_back(std::string(200, 'a') + std::to_string(i) + "@example.test");
  }
  absl::StatusOr<Writer> writer = Writer::Create(directory_, envelope);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append("text").ok());
  ASSERT_TRUE(writer->Commit().ok());
  const absl::StatusOr<Reader> reader = Reader::Open(directory_, writer->name());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->envelope().recipients, envelope.recipients);
  EXPECT_EQ(reader->Read(0, 100).value(), "text");
}

TEST_F(DirectoryTest, TrustsOnlyFilesMadeHere) {
  const std::string name = Put("text");
  const std::string file = directory_ + "/" + name;
  std::filesystem::create_symlink(file, directory_ + "/symlink");
  EXPECT_EQ(FailureOf(Reader::Open(directory_, "symlink").status()), Failure::kInvalidArgument);
  std::filesystem::create_hard_link(file, root_ + "/elsewhere");
  EXPECT_EQ(FailureOf(Reader::Open(directory_, name).status()), Failure::kInvalidArgument);
  std::filesystem::remove(root_ + "/elsewhere");
  EXPECT_TRUE(Reader::Open(directory_, name).ok());
  ASSERT_EQ(mkfifo((directory_ + "/fifo").c_str(), 0644), 0);
  EXPECT_EQ(FailureOf(Reader::Open(directory_, "fifo").status()), Failure::kInvalidArgument);
  std::ofstream(directory_ + "/noise") << "hello";
  EXPECT_EQ(FailureOf(Reader::Open(directory_, "noise").status()), Failure::kInvalidArgument);
  EXPECT_EQ(FailureOf(Reader::Open(directory_, "../" + name).status()),
            Failure::kInvalidArgument);
  EXPECT_TRUE(absl::IsNotFound(Reader::Open(directory_, "gone").status()));
  EXPECT_THAT(Names(), testing::UnorderedElementsAre(name, "noise"));
}

TEST_F(DirectoryTest, TakesAwayWhatIsLeftOver) {
  const std::string name = Put("text");
  std::ofstream(directory_ + "/.half") << "x";
  std::filesystem::create_symlink("/etc/passwd", directory_ + "/link");
  RemoveLeftovers(directory_, absl::Now() - absl::Hours(1));
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/.half"));
  RemoveLeftovers(directory_, absl::Now() + absl::Hours(1));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/.half"));
  EXPECT_FALSE(std::filesystem::is_symlink(directory_ + "/link"));
  EXPECT_THAT(Names(), ElementsAre(name));
}

TEST_F(DirectoryTest, RefusesADirectoryInWhichOthersCouldTakeMailAway) {
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Writer::Create(directory_, SomeEnvelope()).status()));
  EXPECT_TRUE(absl::IsNotFound(Writer::Create(root_ + "/none", SomeEnvelope()).status()));
}

}  // namespace
}  // namespace posthorn::maildrop
