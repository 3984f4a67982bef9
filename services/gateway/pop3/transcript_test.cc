// Dialogues with the server over a memory stream.

#include "services/gateway/pop3/read_ahead.h"
#include "services/gateway/pop3/transcript_test_base.h"

namespace posthorn::gateway {
namespace {

TEST_F(Pop3TranscriptTest, ReadsAndDeletes) {
  Deliver("Subject: one\r\n\r\n.dot\r\nline\r\nlast\r\n");
  Deliver("Subject: two\r\n\r\nno line end");
  LogIn();
  EXPECT_EQ(Say("STAT\r\n"), "+OK 2 63\r\n");
  EXPECT_EQ(Say("LIST\r\n"), "+OK 2 messages (63 octets)\r\n1 34\r\n2 29\r\n.\r\n");
  EXPECT_EQ(Say("LIST 2\r\n"), "+OK 2 29\r\n");
  EXPECT_EQ(Say("RETR 1\r\n"),
            "+OK 34 octets\r\nSubject: one\r\n\r\n..dot\r\nline\r\nlast\r\n.\r\n");
  EXPECT_EQ(Say("RETR 2\r\n"), "+OK 29 octets\r\nSubject: two\r\n\r\nno line end\r\n.\r\n");
  EXPECT_EQ(Say("TOP 1 1\r\n"), "+OK Top of message follows\r\nSubject: one\r\n\r\n..dot\r\n.\r\n");
  EXPECT_EQ(Say("TOP 1 0\r\n"), "+OK Top of message follows\r\nSubject: one\r\n\r\n.\r\n");
  EXPECT_EQ(Say("DELE 1\r\n"), "+OK Marked as deleted\r\n");
  EXPECT_EQ(Say("RETR 1\r\n"), "-ERR [SYS/PERM] Message is deleted\r\n");
  EXPECT_EQ(Say("LIST\r\n"), "+OK 1 messages (29 octets)\r\n2 29\r\n.\r\n");
  EXPECT_EQ(Say("RSET\r\n"), "+OK 2 63\r\n");
  EXPECT_EQ(Say("DELE 2\r\n"), "+OK Marked as deleted\r\n");
  EXPECT_EQ(Say("NOOP\r\n"), "+OK\r\n");
  EXPECT_EQ(Say("QUIT\r\n"), "+OK Bye\r\n<closed>");
  EXPECT_EQ(server_->active_sessions(), 0);
  LogIn();
  EXPECT_EQ(Say("STAT\r\n"), "+OK 1 34\r\n");
}

TEST_F(Pop3TranscriptTest, TypedByHand) {
  Deliver("Subject: one\r\n\r\nhi\r\n");
  Connect();
  Receive();
  EXPECT_EQ(Say("user alice@example.test\n"), "+OK Password, please\r\n");
  EXPECT_EQ(Say("pass se cret\n"), "+OK 1 messages\r\n");
  EXPECT_EQ(Say("list \n"), "+OK 1 messages (20 octets)\r\n1 20\r\n.\r\n");
  EXPECT_EQ(Say("wat\n"), "-ERR Unknown command\r\n");
  EXPECT_EQ(Say("retr\n").substr(0, 4), "-ERR");
  EXPECT_EQ(Say("retr 2\n"), "-ERR [SYS/PERM] No such message\r\n");
  EXPECT_EQ(Say("quit\n"), "+OK Bye\r\n<closed>");
}

TEST_F(Pop3TranscriptTest, CommandsMayBePipelined) {
  Deliver("Subject: one\r\n\r\nhi\r\n");
  Connect();
  Receive();
  EXPECT_EQ(Say("USER alice@example.test\r\nPASS se cret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"),
            "+OK Password, please\r\n+OK 1 messages\r\n+OK 1 20\r\n+OK 20 octets\r\n"
            "Subject: one\r\n\r\nhi\r\n.\r\n+OK Marked as deleted\r\n+OK Bye\r\n<closed>");
}

TEST_F(Pop3TranscriptTest, UniqueIdsAreStable) {
  Deliver("Subject: one\r\n\r\nhi\r\n");
  Deliver("Subject: two\r\n\r\nhi\r\n");
  LogIn();
  const std::string first = Say("UIDL\r\n");
  EXPECT_EQ(Say("UIDL 2\r\n"), "+OK " + first.substr(first.find("2 "), 18) + "\r\n");
  Say("DELE 1\r\nQUIT\r\n");
  LogIn();
  const std::string second = Say("UIDL\r\n");
  EXPECT_EQ(second.substr(second.find("1 ") + 2, 16), first.substr(first.find("2 ") + 2, 16));
}

TEST_F(Pop3TranscriptTest, NoPasswordsWithoutTls) {
  options_.allow_plaintext_auth_on_loopback = false;
  Connect();
  Receive();
  EXPECT_EQ(Say("USER alice@example.test\r\n").substr(0, 11), "-ERR [AUTH]");
  EXPECT_EQ(Say("PASS se cret\r\n").substr(0, 4), "-ERR");
  EXPECT_EQ(Say("CAPA\r\n").find("\r\nUSER\r\n"), std::string::npos);
  // The exception is for loopback only.
  options_.allow_plaintext_auth_on_loopback = true;
  Connect("192.0.2.1");
  Receive();
  EXPECT_EQ(Say("USER alice@example.test\r\n").substr(0, 11), "-ERR [AUTH]");
}

TEST_F(Pop3TranscriptTest, StlsDiscardsWhatCameBefore) {
  // The memory stream's TLS needs no certificate, only a context to be there.
  alignas(16) static const char context[64] = {};
  dependencies_.tls = reinterpret_cast<const net::TlsContext*>(context);
  options_.allow_plaintext_auth_on_loopback = false;
  Connect();
  Receive();
  EXPECT_NE(Say("CAPA\r\n").find("\r\nSTLS\r\n"), std::string::npos);
  EXPECT_EQ(Say("STLS\r\nUSER injected\r\n"), "+OK Begin TLS\r\n");
  const std::optional<absl::Status> secured = executor_.Run(
      client_->StartTlsClient(*dependencies_.tls, "pop.example.test", absl::Seconds(1)));
  ASSERT_TRUE(secured.has_value() && secured->ok());
  const std::string capabilities = Say("CAPA\r\n");
  EXPECT_EQ(capabilities.find("STLS"), std::string::npos);
  EXPECT_NE(capabilities.find("\r\nUSER\r\n"), std::string::npos);
  EXPECT_EQ(Say("PASS se cret\r\n"), "-ERR USER first\r\n");
  EXPECT_EQ(Say("STLS\r\n"), "-ERR TLS is active already\r\n");
  EXPECT_EQ(Say("USER alice@example.test\r\nPASS se cret\r\n"),
            "+OK Password, please\r\n+OK 0 messages\r\n");
}

TEST_F(Pop3TranscriptTest, WrongPasswordsEndTheSession) {
  Connect();
  Receive();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Say("USER alice@example.test\r\n"), "+OK Password, please\r\n");
    EXPECT_EQ(Say("PASS wrong\r\n"), "");
    Advance(absl::Seconds(1 << i));  // each takes longer
    const std::string answer = Receive();
    EXPECT_EQ(answer.substr(0, 11), "-ERR [AUTH]");
    EXPECT_EQ(answer.find("<closed>") != std::string::npos, i == 2);
  }
}

TEST_F(Pop3TranscriptTest, CommandsHaveTheirPhase) {
  Connect();
  Receive();
  EXPECT_EQ(Say("STAT\r\n"), "-ERR Log in first\r\n");
  EXPECT_EQ(Say("QUIT\r\n"), "+OK Bye\r\n<closed>");
  LogIn();
  EXPECT_EQ(Say("USER x\r\n"), "-ERR Logged in already\r\n");
  EXPECT_EQ(Say("STLS\r\n"), "-ERR Logged in already\r\n");
}

TEST_F(Pop3TranscriptTest, OneSessionAnAccount) {
  LogIn();
  std::unique_ptr<net::Stream> first = std::move(client_);
  Connect();
  Receive();
  Say("USER alice@example.test\r\n");
  EXPECT_EQ(Say("PASS se cret\r\n").substr(0, 13), "-ERR [IN-USE]");
  // The first one leaves without QUIT.
  std::swap(first, client_);
  client_->Close();
  executor_.RunUntilIdle();
  std::swap(first, client_);
  Say("USER alice@example.test\r\n");
  EXPECT_EQ(Say("PASS se cret\r\n").substr(0, 3), "+OK");
  first.reset();
}

TEST_F(Pop3TranscriptTest, LeavingWithoutQuitDeletesNothing) {
  Deliver("Subject: one\r\n\r\nhi\r\n");
  LogIn();
  Say("DELE 1\r\n");
  client_->Close();
  executor_.RunUntilIdle();
  LogIn();
  EXPECT_EQ(Say("STAT\r\n"), "+OK 1 20\r\n");
}

TEST_F(Pop3TranscriptTest, FailedDeletionIsToldAndDeletesNothing) {
  Deliver("Subject: one\r\n\r\nhi\r\n");
  LogIn();
  Say("DELE 1\r\n");
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  EXPECT_EQ(Say("QUIT\r\n").substr(0, 15), "-ERR [SYS/TEMP]");
}

TEST_F(Pop3TranscriptTest, ATemporaryErrorIsNotTheEnd) {
  Deliver("Subject: one\r\n\r\nhi\r\n");
  LogIn();
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  EXPECT_EQ(Say("RETR 1\r\n").substr(0, 15), "-ERR [SYS/TEMP]");
  store_.FailWith(std::nullopt);
  EXPECT_EQ(Say("RETR 1\r\n"), "+OK 20 octets\r\nSubject: one\r\n\r\nhi\r\n.\r\n");
}

TEST_F(Pop3TranscriptTest, LargeMessagesArriveWhole) {
  std::string body = "Subject: large\r\n\r\n";
  for (int i = 0; body.size() < 1000000; ++i) {
    body += (i % 7 == 0 ? "." : "") + std::to_string(i) + "\r\n";
  }
  Deliver(body);
  LogIn();
  const std::string answer = Say("RETR 1\r\n");
  const std::string first_line = "+OK " + std::to_string(body.size()) + " octets\r\n";
  ASSERT_EQ(answer.substr(0, first_line.size()), first_line);
  std::string unstuffed;
  for (std::size_t begin = first_line.size(); begin < answer.size();) {
    const std::size_t end = answer.find('\n', begin) + 1;
    const bool stuffed = answer[begin] == '.' && answer[begin + 1] == '.';
    unstuffed += answer.substr(begin + (stuffed ? 1 : 0), end - begin - (stuffed ? 1 : 0));
    begin = end;
  }
  EXPECT_TRUE(unstuffed == body + ".\r\n");
}

// One after the other, as nearly all clients do, most of what is sent was read before it was asked for.
TEST_F(Pop3TranscriptTest, InOrderOrNotEachNumberIsItsMessage) {
  std::vector<std::string> answers(1);
  for (int i = 1; i <= 60; ++i) {
    const std::string body = "Subject: " + std::to_string(i) + "\r\n\r\n" +
                             std::string(static_cast<std::size_t>(i % 9) * 700, 'x') + "\r\n";
    answers.push_back("+OK " + std::to_string(body.size()) + " octets\r\n" + body + ".\r\n");
    Deliver(body);
  }
  LogIn();
  const int before = store_.calls();
  for (std::size_t i = 1; i <= 20; ++i) {
    EXPECT_EQ(Say("TOP " + std::to_string(i) + " 0\r\n"),
              "+OK Top of message follows\r\nSubject: " + std::to_string(i) + "\r\n\r\n.\r\n");
    EXPECT_EQ(Say("RETR " + std::to_string(i) + "\r\n"), answers[i]);
    EXPECT_EQ(Say("DELE " + std::to_string(i) + "\r\n"), "+OK Marked as deleted\r\n");
  }
  EXPECT_LT(store_.calls() - before, 10);
  EXPECT_EQ(Say("RETR 20\r\n"), "-ERR [SYS/PERM] Message is deleted\r\n");
  // At once, and not in order.
  std::string commands;
  std::string expected;
  for (const std::size_t i : {21, 22, 23, 25, 24, 60, 59, 26, 27, 27, 28, 31, 30, 29, 30, 31, 32}) {
    commands += "RETR " + std::to_string(i) + "\r\n";
    expected += answers[i];
  }
  EXPECT_EQ(Say(commands), expected);
  EXPECT_EQ(Say("QUIT\r\n"), "+OK Bye\r\n<closed>");
  EXPECT_EQ(store_.fetching(), 0);
  LogIn();
  EXPECT_EQ(Say("RETR 1\r\n"), answers[21]);
  EXPECT_EQ(Say("RETR 2\r\n"), answers[22]);
}

TEST_F(Pop3TranscriptTest, WhatIsExpungedMeanwhileIsNotThere) {
  for (int i = 1; i <= 9; ++i) Deliver("Subject: " + std::to_string(i) + "\r\n\r\nhi\r\n");
  LogIn();
  Say("RETR 1\r\n");
  EXPECT_NE(Say("RETR 2\r\n").find("Subject: 2\r\n"), std::string::npos);
  std::vector<UidRange> uids;
  uids.emplace_back(4, 5);
  EXPECT_TRUE((*executor_.Run(store_.Expunge(kTenant, kAlice, MailboxId(1), std::move(uids), false)))
                  .ok());
  EXPECT_NE(Say("RETR 3\r\n").find("Subject: 3\r\n"), std::string::npos);
  Advance(ReadAhead::kFresh + absl::Seconds(1));
  EXPECT_EQ(Say("RETR 4\r\n").substr(0, 15), "-ERR [SYS/PERM]");
  EXPECT_EQ(Say("TOP 5 0\r\n").substr(0, 15), "-ERR [SYS/PERM]");
  EXPECT_NE(Say("RETR 6\r\n").find("Subject: 6\r\n"), std::string::npos);
  EXPECT_NE(Say("RETR 7\r\n").find("Subject: 7\r\n"), std::string::npos);
}

TEST_F(Pop3TranscriptTest, WhoPausesOrLeavesHasNothingReadAhead) {
  for (int i = 1; i <= 99; ++i) Deliver("Subject: x\r\n\r\n" + std::string(4000, 'x') + "\r\n");
  LogIn();
  Say("RETR 1\r\nRETR 2\r\n");
  EXPECT_EQ(store_.fetching(), 1);
  Advance(limits_.lock_lease / 2);
  executor_.RunUntilIdle();
  EXPECT_EQ(store_.fetching(), 0);
  Say("RETR 3\r\nRETR 4\r\n");
  EXPECT_EQ(store_.fetching(), 1);
  client_->Close();
  executor_.RunUntilIdle();
  EXPECT_EQ(store_.fetching(), 0);
  EXPECT_EQ(server_->active_sessions(), 0);
}

TEST_F(Pop3TranscriptTest, AnErrorMeanwhileIsToldAndNotTheEnd) {
  for (int i = 1; i <= 40; ++i) {
    Deliver("Subject: " + std::to_string(i) + "\r\n\r\n" + std::string(4000, 'x') + "\r\n");
  }
  LogIn();
  Say("RETR 1\r\nRETR 2\r\n");
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  int failed = 3;
  while (failed < 20 && Say("RETR " + std::to_string(failed) + "\r\n").substr(0, 3) == "+OK") {
    ++failed;
  }
  ASSERT_LT(failed, 20);
  EXPECT_EQ(Say("RETR " + std::to_string(failed) + "\r\n").substr(0, 15), "-ERR [SYS/TEMP]");
  store_.FailWith(std::nullopt);
  for (int i = failed; i <= 40; ++i) {
    EXPECT_NE(Say("RETR " + std::to_string(i) + "\r\n")
                  .find("\r\nSubject: " + std::to_string(i) + "\r\n"),
              std::string::npos);
  }
}

TEST_F(Pop3TranscriptTest, IdleSessionsEndWithoutAWord) {
  Connect();
  Receive();
  Advance(limits_.login_timeout);
  EXPECT_EQ(Receive(), "<closed>");
  LogIn();
  for (int i = 0; i < 9; ++i) Advance(absl::Minutes(1));
  EXPECT_EQ(Say("NOOP\r\n"), "+OK\r\n");
  for (int i = 0; i < 11; ++i) Advance(absl::Minutes(1));
  EXPECT_EQ(Receive(), "<closed>");
}

TEST_F(Pop3TranscriptTest, TooManyErrorsEndTheSession) {
  limits_.errors = 3;
  Connect();
  Receive();
  EXPECT_EQ(Say("a\r\n"), "-ERR Unknown command\r\n");
  EXPECT_EQ(Say(std::string(5000, 'x') + "\r\n"), "-ERR Line too long\r\n");
  const std::string answer = Say("c\r\nNOOP\r\n");
  EXPECT_NE(answer.find("<closed>"), std::string::npos);
  EXPECT_EQ(answer.find("+OK"), std::string::npos);
}

TEST_F(Pop3TranscriptTest, DrainEndsSessions) {
  LogIn();
  server_->Drain();
  const std::string answer = Receive();
  EXPECT_EQ(answer.substr(0, 15), "-ERR [SYS/TEMP]");
  EXPECT_NE(answer.find("<closed>"), std::string::npos);
  EXPECT_EQ(server_->active_sessions(), 0);
}

}  // namespace
}  // namespace posthorn::gateway
