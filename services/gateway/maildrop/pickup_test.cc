#include "services/gateway/maildrop/pickup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/testing/fake_backends.h"
#include "services/gateway/testing/fake_directory.h"

namespace posthorn::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PickupTest : public testing::Test {
 protected:
  PickupTest() {
    char pattern[] = "/tmp/pickup-test-XXXXXX";
    root_ = mkdtemp(pattern);
    maildrop_ = root_ + "/maildrop";
    EXPECT_TRUE(maildrop::Prepare(maildrop_).ok());
    staging_ = net::StagingArea::Open(root_ + "/staging", 64 << 20).value();
    me_ = FindLocalUser(geteuid()).name;
    directory_.AddTenant("demo", TenantId(1));
    directory_.AddDomain("example.test", TenantId(1));
    directory_.AddAccount("alice@example.test", "x", AccountId(11));
    directory_.AddAccount("bob@example.test", "x", AccountId(12));
    directory_.AddAccount(me_ + "@example.test", "x", AccountId(13));
    listener_.role = SmtpRole::kLocal;
    listener_.local_domain = "example.test";
    listener_.from_policy = FromPolicy::kRewrite;
    listener_.bare_newlines = smtp::BareNewlines::kNormalize;
    SmtpDependencies dependencies;
    dependencies.directory = &directory_;
    dependencies.acceptor = &acceptor_;
    dependencies.staging = staging_.get();
    dependencies.clock = &clock_;
    dependencies.hostname = "mx.example";
    dependencies.queue_extensions = smtp::ExtensionSet{smtp::Extension::kDsn};
    limits_.message_octets = 1 << 20;
    server_ = std::make_unique<SmtpServer>(std::move(dependencies), limits_);
    Restart();
  }
  ~PickupTest() override {
    executor_.RunUntilIdle();
    acceptor_.messages.clear();
    std::filesystem::remove_all(root_);
  }
  // A new process, which remembers nothing.
  void Restart() {
    PickupDependencies parts;
    parts.server = server_.get();
    parts.listener = &listener_;
    parts.directory = &directory_;
    parts.acceptor = &acceptor_;
    parts.staging = staging_.get();
    parts.clock = &clock_;
    PickupOptions options;
    options.directory = maildrop_;
    options.refused_directory = root_ + "/refused";
    options.hostname = "mx.example";
    pickup_ = std::make_shared<Pickup>(executor_, parts, std::move(options));
  }
  static maildrop::Envelope To(std::vector<std::string> recipients) {
    maildrop::Envelope envelope;
    envelope.recipients = std::move(recipients);
    return envelope;
  }
  std::string Put(const maildrop::Envelope& envelope,
                  std::string_view message = "Subject: x\r\n\r\n.hi\r\n") {
    absl::StatusOr<maildrop::Writer> writer = maildrop::Writer::Create(maildrop_, envelope);
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(writer->Append(message).ok());
    EXPECT_TRUE(writer->Commit().ok());
    return writer->name();
  }
  bool Look() {
    const std::optional<bool> taken = executor_.Run(pickup_->RunOnce());
    EXPECT_TRUE(taken.has_value());
    return taken.value_or(false);
  }
  std::size_t Waiting() { return maildrop::List(maildrop_).value().size(); }
  std::size_t PutAside() {
    if (!std::filesystem::exists(root_ + "/refused")) return 0;
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(root_ + "/refused")) {
      ++count;
    }
    return count;
  }

  std::string root_;
  std::string maildrop_;
  std::string me_;
  std::unique_ptr<net::StagingArea> staging_;
  ManualExecutor executor_;
  FakeDirectory directory_;
  FakeAcceptor acceptor_;
  FakeClock clock_{absl::Now()};
  SmtpLimits limits_;
  SmtpListenerOptions listener_;
  std::unique_ptr<SmtpServer> server_;
  std::shared_ptr<Pickup> pickup_;
};

TEST_F(PickupTest, HandsOverInTheOwnersName) {
  maildrop::Envelope envelope = To({"bob", "a@far.example"});
  envelope.envelope_id = "id=1";
  envelope.ret = "HDRS";
  envelope.notify = "SUCCESS,FAILURE";
  envelope.body_is_8bit = true;
  Put(envelope);
  EXPECT_TRUE(Look());
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  const AcceptRequest& request = acceptor_.messages[0].request;
  EXPECT_EQ(request.reverse_path, me_ + "@example.test");
  ASSERT_EQ(request.recipients.size(), 2u);
  EXPECT_EQ(request.recipients[0].address, "bob@example.test");
  EXPECT_TRUE(request.recipients[0].options.notify.success);
  EXPECT_EQ(request.recipients[1].address, "a@far.example");
  EXPECT_EQ(request.options.envelope_id, "id=1");
  EXPECT_EQ(request.options.ret, smtp::DsnReturn::kHeaders);
  EXPECT_THAT(acceptor_.messages[0].body, HasSubstr("Subject: x\r\n"));
  EXPECT_TRUE(absl::EndsWith(acceptor_.messages[0].body, "\r\n\r\n.hi\r\n"));
  EXPECT_EQ(Waiting(), 0u);
  EXPECT_FALSE(Look());
}

TEST_F(PickupTest, LargeMessagesArriveWhole) {
  std::string message = "Subject: x\r\n\r\n";
  while (message.size() < 700'000) message += "..a line of text, like so many others\r\n";
  Put(To({"bob"}), message);
  EXPECT_TRUE(Look());
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  const std::string& body = acceptor_.messages[0].body;
  EXPECT_TRUE(body.substr(body.find("\r\n\r\n")) == message.substr(message.find("\r\n\r\n")));
}

TEST_F(PickupTest, AMessageHandedOverTwiceHasOneKey) {
  const std::string name = Put(To({"bob"}));
  const std::string kept = root_ + "/kept";
  std::filesystem::copy_file(maildrop_ + "/" + name, kept);
  Look();
  // As if the process had died before the file was gone.
  std::filesystem::copy_file(kept, maildrop_ + "/" + name);
  std::filesystem::remove(kept);
  Restart();
  Look();
  ASSERT_EQ(acceptor_.messages.size(), 2u);
  ASSERT_TRUE(acceptor_.messages[0].request.resend_key.has_value());
  EXPECT_FALSE(acceptor_.messages[0].request.resend_key->empty());
  EXPECT_EQ(acceptor_.messages[0].request.resend_key, acceptor_.messages[1].request.resend_key);
  Put(To({"bob"}));
  Look();
  EXPECT_NE(acceptor_.messages[2].request.resend_key, acceptor_.messages[0].request.resend_key);
}

TEST_F(PickupTest, WaitsWhileThePlatformIsAway) {
  Put(To({"bob", "alice"}));
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  EXPECT_FALSE(Look());
  EXPECT_EQ(Waiting(), 1u);
  directory_.FailWith(std::nullopt);
  EXPECT_FALSE(Look());  // not yet
  acceptor_.answers["bob@example.test"] = MakeFailure(Failure::kStorageDown);
  clock_.Advance(absl::Seconds(3));
  EXPECT_FALSE(Look());
  EXPECT_EQ(Waiting(), 1u);
  acceptor_.answers.clear();
  clock_.Advance(absl::Seconds(3));
  EXPECT_FALSE(Look());  // the second time it waits longer
  clock_.Advance(absl::Seconds(3));
  EXPECT_TRUE(Look());
  EXPECT_EQ(Waiting(), 0u);
}

TEST_F(PickupTest, ReturnsWhatIsRefused) {
  Put(To({"nobody", "bob"}), "Subject: for nobody\r\n\r\nx\r\n");
  EXPECT_TRUE(Look());
  EXPECT_EQ(Waiting(), 0u);
  ASSERT_EQ(acceptor_.messages.size(), 2u);
  EXPECT_EQ(acceptor_.messages[0].request.recipients.at(0).address, "bob@example.test");
  const AcceptRequest& bounce = acceptor_.messages[1].request;
  EXPECT_EQ(bounce.reverse_path, "");
  EXPECT_EQ(bounce.recipients.at(0).address, me_ + "@example.test");
  EXPECT_EQ(bounce.recipients.at(0).tenant, TenantId(1));
  const std::string& body = acceptor_.messages[1].body;
  EXPECT_THAT(body, HasSubstr("Final-Recipient: rfc822; nobody@example.test\r\n"));
  EXPECT_THAT(body, HasSubstr("Status: 5.1.1\r\n"));
  EXPECT_THAT(body, HasSubstr("Subject: for nobody\r\n"));
  EXPECT_THAT(body, testing::Not(HasSubstr("rfc822; bob")));
}

TEST_F(PickupTest, ForgersAreToldThemselves) {
  maildrop::Envelope envelope = To({"bob"});
  envelope.reverse_path = "alice@example.test";
  Put(envelope);
  EXPECT_TRUE(Look());
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  EXPECT_EQ(acceptor_.messages[0].request.reverse_path, "");
  EXPECT_EQ(acceptor_.messages[0].request.recipients.at(0).address, me_ + "@example.test");
  listener_.trusted_users.push_back(me_);
  Put(envelope);
  EXPECT_TRUE(Look());
  ASSERT_EQ(acceptor_.messages.size(), 2u);
  EXPECT_EQ(acceptor_.messages[1].request.reverse_path, "alice@example.test");
}

TEST_F(PickupTest, NobodyIsToldWhoDoesNotWantTo) {
  maildrop::Envelope envelope = To({"nobody"});
  envelope.notify = "NEVER";
  Put(envelope);
  EXPECT_TRUE(Look());
  EXPECT_TRUE(acceptor_.messages.empty());
  EXPECT_EQ(Waiting(), 0u);
  EXPECT_EQ(PutAside(), 0u);
}

TEST_F(PickupTest, KeepsForTheAdministratorWhatCannotBeReturned) {
  maildrop::Envelope envelope = To({"nobody"});
  envelope.reverse_path = "";
  Put(envelope);
  Look();
  EXPECT_EQ(PutAside(), 1u);
  std::ofstream(maildrop_ + "/noise") << "hello";
  Look();
  EXPECT_EQ(PutAside(), 2u);
  EXPECT_EQ(Waiting(), 0u);
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(PickupTest, TheReturnIsTriedAgainToo) {
  Put(To({"nobody"}));
  acceptor_.answers[me_ + "@example.test"] = MakeFailure(Failure::kStorageDown);
  EXPECT_FALSE(Look());
  EXPECT_EQ(Waiting(), 1u);
  acceptor_.answers.clear();
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Look());
  EXPECT_EQ(Waiting(), 0u);
  ASSERT_EQ(acceptor_.messages.size(), 2u);
  // One notification, whoever counts.
  EXPECT_EQ(acceptor_.messages[0].body, acceptor_.messages[1].body);
  EXPECT_EQ(acceptor_.messages[0].request.message_id_header,
            acceptor_.messages[1].request.message_id_header);
  EXPECT_FALSE(acceptor_.messages[0].request.message_id_header.empty());
}

TEST_F(PickupTest, GivesUpAfterFiveDays) {
  Put(To({"bob"}));
  acceptor_.answers["bob@example.test"] = MakeFailure(Failure::kStorageDown);
  clock_.Advance(absl::Hours(24 * 4));
  EXPECT_FALSE(Look());
  clock_.Advance(absl::Hours(25));
  EXPECT_TRUE(Look());
  EXPECT_EQ(Waiting(), 0u);
  EXPECT_EQ(acceptor_.messages.back().request.recipients.at(0).address, me_ + "@example.test");
  EXPECT_THAT(acceptor_.messages.back().body, HasSubstr("Status: 5.4.7\r\n"));
}

TEST_F(PickupTest, TooLargeIsReturned) {
  Put(To({"bob"}), "Subject: x\r\n\r\n" + std::string(2 << 20, 'x') + "\r\n");
  EXPECT_TRUE(Look());
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  EXPECT_EQ(acceptor_.messages[0].request.reverse_path, "");
  EXPECT_THAT(acceptor_.messages[0].body, HasSubstr("Status: 5.3.4\r\n"));
}

TEST(InTurnsTest, OneUserDoesNotHoldUpTheOthers) {
  std::vector<maildrop::Entry> entries;
  const auto add = [&entries](uid_t owner, const char* name) {
    maildrop::Entry entry;
    entry.owner = owner;
    entry.name = name;
    entries.push_back(entry);
  };
  add(1, "a1");
  add(1, "a2");
  add(1, "a3");
  add(2, "b1");
  add(3, "c1");
  add(2, "b2");
  std::vector<std::string> names;
  for (const maildrop::Entry& entry : InTurns(std::move(entries))) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("a1", "b1", "c1", "a2", "b2", "a3"));
}

}  // namespace
}  // namespace posthorn::gateway
