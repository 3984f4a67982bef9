#include "services/queue/pauses.h"

#include <utility>

namespace posthorn::queue {
namespace {

constexpr char kLoad[] =
    "SELECT pattern, paused_until, reason FROM queue.pause WHERE tenant_id = 0"
    " AND paused_until > $1 ORDER BY pattern";
constexpr char kSet[] =
    "INSERT INTO queue.pause (tenant_id, pattern, paused_until, reason, made_at)"
    " VALUES (0, $1, $2, $3, $4) ON CONFLICT (tenant_id, pattern) DO UPDATE"
    " SET paused_until = excluded.paused_until, reason = excluded.reason,"
    " made_at = excluded.made_at";
constexpr char kRemove[] =
    "DELETE FROM queue.pause WHERE tenant_id = 0 AND (pattern = $1 OR paused_until <= $2)"
    " RETURNING pattern";

// Pauses are for all tenants.
std::vector<TenantId> EveryTenant() { return {TenantId(0)}; }

bool Fits(std::string_view pattern, std::string_view name) {
  if (pattern == "*") return true;
  if (!pattern.starts_with("*.")) return name == pattern;
  pattern.remove_prefix(1);
  return name.size() > pattern.size() && name.ends_with(pattern);
}

}  // namespace

std::optional<Pause> Pauses::Find(std::string_view domain, std::string_view site) const {
  const absl::Time now = clock_.Now();
  std::lock_guard lock(mutex_);
  for (const Pause& pause : known_) {
    if (pause.until > now && (Fits(pause.pattern, domain) || Fits(pause.pattern, site))) {
      return pause;
    }
  }
  return std::nullopt;
}

std::vector<Pause> Pauses::All() const {
  std::lock_guard lock(mutex_);
  return known_;
}

Task<absl::Status> Pauses::Set(Pause pause) {
  postgres::Params params =
      postgres::Params::Of(pause.pattern, pause.until, pause.reason, clock_.Now());
  const absl::StatusOr<postgres::Result> set =
      co_await database_.Query(EveryTenant(), kSet, std::move(params));
  if (!set.ok()) co_return set.status();
  co_return co_await Load();
}

Task<absl::StatusOr<bool>> Pauses::Remove(std::string pattern) {
  postgres::Params params = postgres::Params::Of(pattern, clock_.Now());
  const absl::StatusOr<postgres::Result> removed =
      co_await database_.Query(EveryTenant(), kRemove, std::move(params));
  if (!removed.ok()) co_return removed.status();
  bool found = false;
  for (int row = 0; row < removed->rows(); ++row) found |= removed->Text(row, 0) == pattern;
  const absl::Status loaded = co_await Load();
  if (!loaded.ok()) co_return loaded;
  co_return found;
}

Task<absl::Status> Pauses::Load() {
  std::uint64_t turn = 0;
  {
    std::lock_guard lock(mutex_);
    turn = ++begun_;
  }
  postgres::Params params = postgres::Params::Of(clock_.Now());
  const absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(EveryTenant(), kLoad, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<Pause> pauses;
  for (int row = 0; row < rows->rows(); ++row) {
    Pause pause;
    pause.pattern = rows->Text(row, 0);
    pause.until = rows->Time(row, 1);
    pause.reason = rows->Text(row, 2);
    pauses.push_back(std::move(pause));
  }
  std::lock_guard lock(mutex_);
  // One that began before a change may answer after another that has seen it.
  if (turn < applied_) co_return absl::OkStatus();
  applied_ = turn;
  known_ = std::move(pauses);
  co_return absl::OkStatus();
}

}  // namespace posthorn::queue
