// Redis holds the schedule, never the truth (I2).

#include "lib/base/failure.h"
#include "lib/redis/client.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class RepairTest : public QueueTest {
 protected:
  void FlushAll() {
    net::EventLoop loop;
    redis::Client client(loop, redis::Options(redis_server_.address(), ""));
    ASSERT_TRUE(queue_->Run(client.Command({"FLUSHALL"})).ok());
  }
  std::vector<LeasedJob> LeaseAll() {
    std::vector<LeasedJob> all;
    for (;;) {
      std::vector<LeasedJob> some = queue_->Lease();
      if (some.empty()) return all;
      for (LeasedJob& job : some) all.push_back(std::move(job));
    }
  }
  void EnqueueSome(int count) {
    for (int i = 0; i < count; ++i) {
      queue_->Enqueue(To({"a@d" + std::to_string(i) + ".example"}, 1 + i % 3));
    }
  }
};

TEST_F(RepairTest, FlushAllLosesNothing) {
  EnqueueSome(30);
  EXPECT_EQ(queue_->Lease(10).size(), 10u);
  FlushAll();
  EXPECT_EQ(queue_->Reconcile().rebuilt, 4);
  // What workers hold is not handed out before its lease ends.
  EXPECT_EQ(LeaseAll().size(), 20u);
  clock_.Advance(absl::Seconds(61));
  EXPECT_EQ(LeaseAll().size(), 30u);
}

TEST_F(RepairTest, HeartbeatsHoldLeasesThroughARebuild) {
  EnqueueSome(1);
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  FlushAll();
  clock_.Advance(absl::Seconds(50));
  LeaseKey key;
  key.ref = jobs[0].ref;
  key.attempt = jobs[0].attempt;
  ASSERT_TRUE(queue_->Run(queue_->core().Heartbeat({key}))->empty());
  queue_->Reconcile();
  clock_.Advance(absl::Seconds(50));
  EXPECT_TRUE(queue_->Lease().empty());
}

TEST_F(RepairTest, DeferredJobsKeepTheirTime) {
  EnqueueSome(3);
  for (const LeasedJob& job : LeaseAll()) {
    queue_->Report({Outcome(job, RecipientState::kDeferred)});
  }
  FlushAll();
  queue_->Reconcile();
  EXPECT_TRUE(LeaseAll().empty());
  clock_.Advance(absl::Seconds(61));
  EXPECT_EQ(LeaseAll().size(), 3u);
}

TEST_F(RepairTest, AcceptsAndRepairsWithoutRedis) {
  EnqueueSome(2);
  redis_server_.Kill();
  const absl::Time before = absl::Now();
  EnqueueSome(5);  // each is accepted
  EXPECT_LT(absl::Now() - before, absl::Seconds(20));
  EXPECT_TRUE(queue_->Lease().empty());
  redis_server_.Start();  // empty
  // By itself: the connection comes back and asks for a pass.
  std::vector<LeasedJob> jobs;
  EXPECT_TRUE(Eventually([&] {
    for (LeasedJob& job : queue_->Lease()) jobs.push_back(std::move(job));
    return jobs.size() == 7;
  }));
}

TEST_F(RepairTest, StartsWithoutRedisAndWithoutPostgres) {
  Core::Options options = Options();
  options.redis = redis::Options("/tmp/posthorn-no-such-redis", "");
  Replica without_redis(clock_, options);
  EXPECT_TRUE(without_redis.TryEnqueue(To({"a@one.example"})).ok());
  options.postgres_url = "host=/tmp/posthorn-no-such-postgres";
  Replica without_both(clock_, options);
  EXPECT_EQ(FailureOf(without_both.TryEnqueue(To({"a@one.example"}))), Failure::kStorageDown);
}

TEST_F(RepairTest, JobUnknownToRedisIsFound) {
  Core::Options options = Options();
  options.redis = redis::Options("/tmp/posthorn-no-such-redis", "");
  queue_->Reconcile();  // all shards known
  // A crash between commit and scheduling looks like this.
  Replica crashed(clock_, options);
  crashed.Enqueue(To({"a@one.example"}));
  EXPECT_TRUE(queue_->Lease().empty());
  EXPECT_EQ(queue_->Reconcile().added, 1);
  EXPECT_EQ(queue_->Lease().size(), 1u);
}

TEST_F(RepairTest, JobUnknownToPostgresIsDropped) {
  EnqueueSome(3);
  ASSERT_TRUE(Superuser()->Exec("DELETE FROM queue.job").ok());
  EXPECT_TRUE(LeaseAll().empty());
  EXPECT_TRUE(LeaseAll().empty());
}

TEST_F(RepairTest, OldScheduleIsCorrectedByTheSpool) {
  // Redis comes back with what it knew some time ago: a job that has been deferred since is due in
  // it. PostgreSQL says when it really is.
  EnqueueSome(1);
  std::vector<LeasedJob> jobs = LeaseAll();
  queue_->Report({Outcome(jobs[0], RecipientState::kDeferred)});
  {
    net::EventLoop loop;
    redis::Client client(loop, redis::Options(redis_server_.address(), ""));
    Schedule schedule(client, 4, Schedule::Weights());
    std::vector<Schedule::Change> changes;
    changes.emplace_back(Schedule::Change::Kind::kDue, jobs[0].ref, clock_.Now());
    // After the report's own change has arrived.
    absl::SleepFor(absl::Milliseconds(100));
    ASSERT_TRUE(queue_->Run(schedule.Apply(std::move(changes), clock_.Now())).ok());
  }
  EXPECT_TRUE(LeaseAll().empty());
  clock_.Advance(absl::Seconds(61));
  EXPECT_TRUE(Eventually([&] { return LeaseAll().size() == 1; }));
}

TEST_F(RepairTest, OnlyOneReplicaReconcilesAShard) {
  queue_->Reconcile();
  const std::unique_ptr<Replica> other = Another();
  EXPECT_EQ(other->Reconcile().rebuilt, 0);
  FlushAll();
  queue_->Reconcile();  // takes the locks again
  EXPECT_EQ(other->Reconcile().rebuilt, 0);
}

TEST_F(RepairTest, SurvivesPostgresBeingKilled) {
  testing::PostgresServer& server = Postgres();
  EnqueueSome(5);
  EXPECT_EQ(queue_->Lease(2).size(), 2u);
  server.Kill();
  EXPECT_FALSE(queue_->TryEnqueue(To({"a@one.example"})).ok());
  EXPECT_FALSE(
      queue_->Run(queue_->core().Lease("w", 10, absl::Seconds(1), [] { return false; })).ok());
  server.Start();
  ASSERT_TRUE(Eventually([&] { return queue_->TryEnqueue(To({"z@one.example"})).ok(); }));
  EXPECT_TRUE(Eventually([&] { return Count("SELECT count(*) FROM queue.job") == 6; }));
  // What was taken when the spool failed has gone back.
  std::size_t got = 0;
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Eventually([&] {
    // Each pool of connections finds the server again for itself.
    const auto jobs =
        queue_->Run(queue_->core().Lease("w", 100, absl::ZeroDuration(), [] { return false; }));
    if (jobs.ok()) {
      got += jobs->size();
    } else {
      // Taken in vain once more: they are due again in a second.
      clock_.Advance(absl::Seconds(2));
      absl::SleepFor(absl::Milliseconds(200));
    }
    return got >= 4;
  })) << got;
}

}  // namespace
}  // namespace posthorn::queue
