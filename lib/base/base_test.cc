#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>

#include "lib/base/failure.h"
#include "lib/base/ids.h"
#include "lib/base/manual_executor.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"

namespace posthorn {
namespace {

Task<int> Ready(int value) { co_return value; }

Task<int> SumOfReady(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await Ready(1);
  co_return sum;
}

TEST(TaskTest, ManySynchronousCompletionsDoNotOverflowTheStack) {
  ManualExecutor executor;
  EXPECT_EQ(executor.Run(SumOfReady(300'000)), 300'000);
}

Task<int> SleepThenReturn(absl::Duration delay, int value) {
  co_await SleepFor(delay);
  co_return value;
}

TEST(TaskTest, SleepWaitsForTheExecutorsTime) {
  ManualExecutor executor;
  std::optional<int> got;
  struct Runner {
    static Task<void> Go(std::optional<int>& got) { got = co_await SleepThenReturn(absl::Seconds(5), 7); }
  };
  Spawn(executor, Runner::Go(got));
  executor.RunUntilIdle();
  EXPECT_EQ(got, std::nullopt);
  executor.Advance(absl::Seconds(4));
  EXPECT_EQ(got, std::nullopt);
  executor.Advance(absl::Seconds(1));
  EXPECT_EQ(got, 7);
}

Task<std::string> Await(OneShot<std::string>& shot) { co_return co_await shot; }

TEST(OneShotTest, ResumesOnTheAwaitersExecutorWhenSetFromAnotherThread) {
  ManualExecutor executor;
  OneShot<std::string> shot;
  std::optional<std::string> got;
  struct Runner {
    static Task<void> Go(OneShot<std::string>& shot, std::optional<std::string>& got) {
      got = co_await Await(shot);
    }
  };
  Spawn(executor, Runner::Go(shot, got));
  executor.RunUntilIdle();
  std::thread([&shot] { shot.Set("done"); }).join();
  EXPECT_EQ(got, std::nullopt) << "nothing runs on the setting thread";
  executor.RunUntilIdle();
  EXPECT_EQ(got, "done");
}

TEST(OneShotTest, AValueSetBeforeTheAwaitIsNotLost) {
  ManualExecutor executor;
  OneShot<std::string> shot;
  shot.Set("early");
  EXPECT_EQ(executor.Run(Await(shot)), "early");
}

TEST(MessageIdTest, TextAndBytesRoundTripAndCarryTheTime) {
  const absl::Time now = absl::FromUnixMillis(1'700'000'000'123);
  const MessageId id = MessageId::Generate(now);
  EXPECT_EQ(*MessageId::Parse(id.ToString()), id);
  EXPECT_EQ(*MessageId::FromBytes(id.bytes()), id);
  EXPECT_EQ(id.time(), now);
  EXPECT_EQ(id.ToString()[14], '7');
  EXPECT_LT(id, MessageId::Generate(now + absl::Milliseconds(1)));
}

TEST(MessageIdTest, MalformedTextIsRefused) {
  for (const char* text : {"", "0190", "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz",
                           "01900000-0000-7000-8000-00000000000", "0190000000000-7000-8000-000000000",
                           "01900000-0000-7000-8000-0000000000000"}) {
    EXPECT_FALSE(MessageId::Parse(text).ok()) << text;
  }
}

TEST(FailureTest, EveryRowIsCompleteAndConsistent) {
  std::set<int> seen;
  const FailureTable table = AllFailures();
  for (std::size_t i = 0; i < table.size; ++i) {
    const FailureRow& row = table.rows[i];
    SCOPED_TRACE(std::string(row.name));
    EXPECT_TRUE(seen.insert(static_cast<int>(row.failure)).second) << "one row a value";
    EXPECT_EQ(&RowOf(row.failure), &row);
    EXPECT_FALSE(row.text.empty());
    EXPECT_EQ(row.permanent ? 5 : 4, row.smtp_code / 100);
    EXPECT_EQ(row.enhanced.front(), row.permanent ? '5' : '4');
  }
}

// Lists every value once more; the compiler refuses a missing case (-Werror=switch).
bool IsListed(Failure failure) {
  switch (failure) {
    case Failure::kUnknown: case Failure::kNoSuchRecipient: case Failure::kRelayDenied:
    case Failure::kSenderNotAllowed: case Failure::kBadAddress: case Failure::kNoSuchDomain:
    case Failure::kTooManyRecipients: case Failure::kMessageTooLarge: case Failure::kOverQuota:
    case Failure::kAccountDisabled: case Failure::kPolicyRejected: case Failure::kBareNewline:
    case Failure::kLineTooLong: case Failure::kMailLoop: case Failure::kAuthenticationFailed:
    case Failure::kAuthenticationRequired: case Failure::kEncryptionRequired:
    case Failure::kAuthenticationBusy: case Failure::kPermissionDenied: case Failure::kSyntax:
    case Failure::kUnknownCommand: case Failure::kBadSequence: case Failure::kBadParameter:
    case Failure::kParameterNotImplemented: case Failure::kTooManyErrors:
    case Failure::kTooManyConnections: case Failure::kTimeout: case Failure::kLimitExceeded:
    case Failure::kNotFound: case Failure::kAlreadyExists: case Failure::kNoSuchMailbox:
    case Failure::kMailboxExists: case Failure::kMailboxNameInvalid:
    case Failure::kMailboxHasChildren: case Failure::kMailboxInUse: case Failure::kReadOnly:
    case Failure::kBadCharset: case Failure::kInvalidArgument: case Failure::kStorageDown:
    case Failure::kDeadlineExceeded: case Failure::kOverloaded: case Failure::kInsufficientStorage:
    case Failure::kShuttingDown: case Failure::kUnavailable: case Failure::kConflict:
    case Failure::kDnsTemporary: case Failure::kDnsNoSuchDomain: case Failure::kNullMx:
    case Failure::kConnectFailed: case Failure::kRemoteTemporary: case Failure::kRemotePermanent:
    case Failure::kExpired: case Failure::kTlsFailed: case Failure::kCancelled:
    case Failure::kNonAsciiAddress: case Failure::kTlsRequired: case Failure::kPipelining:
    case Failure::kRateLimited: case Failure::kTooManyUnknownRecipients:
    case Failure::kDomainSuspended: case Failure::kAccountSuspendedForNow:
    case Failure::kDomainSuspendedForNow: case Failure::kMailboxFull:
    case Failure::kPostNotAllowed:
    case Failure::kQueueFull: case Failure::kRequireTlsUnmet:
      return true;
  }
  return false;
}

TEST(FailureTest, EveryValueHasItsRow) {
  int listed = 0;
  for (int number = 0; number < 1000; ++number) {
    const auto failure = static_cast<Failure>(number);
    if (!IsListed(failure)) continue;
    ++listed;
    EXPECT_EQ(RowOf(failure).failure, failure) << number;
  }
  EXPECT_EQ(listed, static_cast<int>(AllFailures().size));
}

TEST(FailureTest, AStatusWithoutPayloadIsTemporaryAndTellsThePeerNothing) {
  const absl::Status status = absl::InternalError("password=hunter2 at db.cc:12");
  EXPECT_EQ(FailureOf(status), Failure::kUnknown);
  EXPECT_FALSE(IsPermanent(status));
  EXPECT_EQ(PeerText(status), RowOf(Failure::kUnknown).text);
}

TEST(FailureTest, APayloadKeepsItsFailureAndText) {
  const absl::Status status = MakeFailure(Failure::kNoSuchRecipient, "No such user bob");
  EXPECT_EQ(FailureOf(status), Failure::kNoSuchRecipient);
  EXPECT_TRUE(IsPermanent(status));
  EXPECT_EQ(PeerText(status), "No such user bob");
}

}  // namespace
}  // namespace posthorn
