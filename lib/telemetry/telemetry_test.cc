#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <thread>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"

namespace posthorn {
namespace {

using ::testing::HasSubstr;

TEST(LogTest, WritesFieldsAsKeyAndValue) {
  const std::string id = "0190";
  EXPECT_EQ(log::FormatLine("smtp", "accepted",
                            {{"id", id}, {"octets", std::uint64_t{18446744073709551615u}},
                             {"delta", -4}, {"tls", true}},
                            log::Format::kText),
            "smtp: accepted id=0190 octets=18446744073709551615 delta=-4 tls=true");
}

TEST(LogTest, PeersCannotForgeLines) {
  EXPECT_EQ(log::FormatLine("smtp", "refused", {{"from", "a\r\nb\"\xff"}}, log::Format::kText),
            "smtp: refused from=\"a\\u000d\\u000ab\\\"\\u00ff\"");
}

TEST(LogTest, WritesJson) {
  EXPECT_EQ(log::FormatLine("smtp", "accepted", {{"id", "x"}, {"n", 1}}, log::Format::kJson),
            R"("component":"smtp","message":"accepted","id":"x","n":1)");
}

TEST(LogTest, NamesTheFailureOfAStatus) {
  const absl::Status status = MakeFailure(Failure::kOverQuota, "full");
  EXPECT_EQ(log::FormatLine("m", "x", {{"error", status}}, log::Format::kText),
            "m: x error=\"over_quota: full\"");
}

TEST(LogTest, LevelsBelowTheMinimumAreOff) {
  EXPECT_FALSE(log::Enabled(log::Level::kDebug));
  EXPECT_TRUE(log::Enabled(log::Level::kInfo));
  log::Level level = log::Level::kInfo;
  EXPECT_TRUE(log::ParseLevel("debug", level).ok());
  EXPECT_EQ(level, log::Level::kDebug);
  EXPECT_FALSE(log::ParseLevel("loud", level).ok());
}

TEST(MetricsTest, CountsFromSeveralThreads) {
  metrics::Counter& counter = metrics::MakeCounter("posthorn_test_events_total", "Help.");
  std::thread other([&counter] {
    for (int i = 0; i < 1000; ++i) counter.Increment();
  });
  for (int i = 0; i < 1000; ++i) counter.Increment();
  other.join();
  EXPECT_THAT(metrics::Render(), HasSubstr("posthorn_test_events_total 2000"));
}

TEST(MetricsTest, TheSameNameAndLabelsGiveTheSameMetric) {
  metrics::Gauge& a = metrics::MakeGauge("posthorn_test_size", "Help.", {{"kind", "a"}});
  metrics::Gauge& b = metrics::MakeGauge("posthorn_test_size", "Help.", {{"kind", "b"}});
  EXPECT_EQ(&a, &metrics::MakeGauge("posthorn_test_size", "Help.", {{"kind", "a"}}));
  EXPECT_NE(&a, &b);
  a.Set(7);
  metrics::MakeHistogram("posthorn_test_seconds", "Help.", metrics::LatencyBuckets()).Observe(0.2);
  const std::string text = metrics::Render();
  EXPECT_THAT(text, HasSubstr("posthorn_test_size{kind=\"a\"} 7"));
  EXPECT_THAT(text, HasSubstr("posthorn_test_seconds_count 1"));
}

}  // namespace
}  // namespace posthorn
