#include "services/gateway/session/connection_limiter.h"

#include <optional>

#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {
namespace {

TEST(ConnectionLimiterTest, LimitsTheTotal) {
  ConnectionLimiter limiter(2, 10);
  absl::StatusOr<ConnectionLimiter::Slot> a = limiter.Acquire("192.0.2.1");
  absl::StatusOr<ConnectionLimiter::Slot> b = limiter.Acquire("");
  ASSERT_TRUE(a.ok());
  ASSERT_TRUE(b.ok());
  const absl::StatusOr<ConnectionLimiter::Slot> c = limiter.Acquire("192.0.2.2");
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(FailureOf(c.status()), Failure::kTooManyConnections);
}

TEST(ConnectionLimiterTest, LimitsOneAddressAndFreesItsPlaces) {
  ConnectionLimiter limiter(10, 1);
  {
    absl::StatusOr<ConnectionLimiter::Slot> a = limiter.Acquire("192.0.2.1");
    ASSERT_TRUE(a.ok());
    EXPECT_FALSE(limiter.Acquire("192.0.2.1").ok());
    EXPECT_TRUE(limiter.Acquire("192.0.2.2").ok());
    ConnectionLimiter::Slot moved = *std::move(a);
    EXPECT_EQ(limiter.connections(), 1);
  }
  EXPECT_EQ(limiter.connections(), 0);
  EXPECT_TRUE(limiter.Acquire("192.0.2.1").ok());
}

}  // namespace
}  // namespace posthorn::gateway
