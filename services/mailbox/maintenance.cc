#include "services/mailbox/maintenance.h"

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr int kBatch = 5000;
constexpr absl::Duration kInterval = absl::Minutes(1);
constexpr absl::Duration kWarningInterval = absl::Seconds(5);
// Of a round: the rest waits for the next one.
constexpr int kWarnings = 1000;
constexpr std::int64_t kPurged = 100000;
// The longest that Stop waits for the task.
constexpr absl::Duration kTick = absl::Milliseconds(200);

constexpr char kTenantsToCollect[] =
    "SELECT lookup.mailbox_tenants_to_collect($1 * interval '1 second')";
constexpr char kPruneDeliveries[] =
    "SELECT lookup.mailbox_prune_deliveries($1 * interval '1 second', $2::int)";
constexpr char kPruneExpunged[] =
    "SELECT lookup.mailbox_prune_expunged($1 * interval '1 second', $2::int)";

}  // namespace

Task<absl::StatusOr<std::int64_t>> Maintenance::Prune(std::string sql, absl::Duration age) {
  std::int64_t total = 0;
  for (;;) {
    absl::StatusOr<Result> row = co_await bodies_.database().Query(
        std::vector<TenantId>(), sql, Params::Of(absl::ToInt64Seconds(age), kBatch));
    if (!row.ok()) co_return row.status();
    total += row->Int(0, 0);
    if (row->Int(0, 0) < kBatch || stopping_) co_return total;
  }
}

Task<absl::StatusOr<std::int64_t>> Maintenance::RunOnce(absl::Duration body_grace,
                                                        absl::Duration delivery_age,
                                                        absl::Duration expunged_age) {
  absl::StatusOr<std::int64_t> deliveries = co_await Prune(kPruneDeliveries, delivery_age);
  if (!deliveries.ok()) co_return deliveries.status();
  absl::StatusOr<std::int64_t> expunged = co_await Prune(kPruneExpunged, expunged_age);
  if (!expunged.ok()) co_return expunged.status();
  // What this releases is collected after its grace.
  absl::StatusOr<std::int64_t> purged = co_await deleted_.Purge(keep_deleted_, kPurged);
  if (!purged.ok()) co_return purged.status();
  std::int64_t total = *deliveries + *expunged + *purged;
  absl::StatusOr<Result> tenants =
      co_await bodies_.database().Query(std::vector<TenantId>(), kTenantsToCollect,
                                        Params::Of(absl::ToInt64Seconds(body_grace)));
  if (!tenants.ok()) co_return tenants.status();
  for (int i = 0; i < tenants->rows() && !stopping_; ++i) {
    const TenantId tenant(tenants->Int(i, 0));
    int collected = kBatch;
    while (collected == kBatch && !stopping_) {
      absl::StatusOr<int> count = co_await bodies_.Collect(tenant, body_grace, kBatch);
      if (!count.ok()) co_return count.status();
      collected = *count;
      total += collected;
    }
  }
  co_return total;
}

Task<void> Maintenance::Run() {
  absl::Duration waited = absl::ZeroDuration();
  absl::Duration unwarned = absl::ZeroDuration();
  while (!stopping_) {
    co_await SleepFor(kTick);
    waited += kTick;
    unwarned += kTick;
    if (unwarned >= kWarningInterval) {
      unwarned = absl::ZeroDuration();
      absl::StatusOr<int> warned = co_await warnings_.RunOnce(kWarnings);
      if (!warned.ok() && FailureOf(warned.status()) != Failure::kStorageDown) {
        log::Warn("mailbox", "quota warnings failed", {{"status", warned.status()}});
      }
    }
    if (waited < kInterval) continue;
    waited = absl::ZeroDuration();
    absl::StatusOr<std::int64_t> removed =
        co_await RunOnce(kBodyGrace, kDeliveryAge, kExpungedAge);
    if (!removed.ok() && FailureOf(removed.status()) != Failure::kStorageDown) {
      log::Warn("mailbox", "maintenance failed", {{"status", removed.status()}});
    }
  }
}

}  // namespace posthorn::mailbox
