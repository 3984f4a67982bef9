#include "services/mailbox/text_feed.h"

#include <utility>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr int kPage = 500;
constexpr int kGone = 100;
constexpr absl::Duration kInterval = absl::Seconds(2);
// The longest that Stop waits for the task between two accounts.
constexpr absl::Duration kTick = absl::Milliseconds(200);

constexpr char kTails[] =
    "SELECT tenant_id, account_id, has_tail"
    " FROM lookup.mailbox_word_tails($1, $2, $3::int, $4::int)";
constexpr char kGoneAccounts[] =
    "SELECT tenant_id, account_id FROM lookup.mailbox_words_gone($1::int)";

}  // namespace

void TextFeed::Changed(Account account, ModSeq modseq) {
  next_.Changed(account, modseq);
  const std::lock_guard lock(mutex_);
  if (changed_.size() < kMaxChanged) {
    changed_.emplace(account.tenant.value(), account.account.value());
  }
}

Task<absl::Status> TextFeed::CatchUp(Account account) {
  absl::Status status = co_await index_.CatchUp(account, stopping_);
  // One account's trouble is not the others'.
  if (!status.ok() && FailureOf(status) != Failure::kStorageDown) {
    log::Warn("mailbox", "a mailbox could not be indexed",
              {{"account", account.account.value()}, {"status", status}});
    co_return absl::OkStatus();
  }
  co_return status;
}

Task<absl::Status> TextFeed::RunOnce() {
  absl::flat_hash_set<std::pair<std::int64_t, std::int64_t>> changed;
  {
    const std::lock_guard lock(mutex_);
    changed.swap(changed_);
  }
  for (const auto& [tenant, account] : changed) {
    if (stopping_) co_return absl::OkStatus();
    const Account one{TenantId(tenant), AccountId(account)};
    absl::Status status = co_await CatchUp(one);
    if (!status.ok()) co_return status;
  }
  absl::StatusOr<Result> page =
      co_await database_.Query(std::vector<TenantId>(), kTails,
                               Params::Of(page_.tenant, page_.account, TextIndex::kTail, kPage));
  if (!page.ok()) co_return page.status();
  page_ = Account();
  for (int i = 0; i < page->rows() && !stopping_; ++i) {
    const Account one{TenantId(page->Int(i, 0)), AccountId(page->Int(i, 1))};
    if (page->rows() == kPage) page_ = one;
    if (!page->Bool(i, 2)) continue;
    absl::Status status = co_await CatchUp(one);
    if (!status.ok()) co_return status;
  }
  absl::StatusOr<Result> gone =
      co_await database_.Query(std::vector<TenantId>(), kGoneAccounts, Params::Of(kGone));
  if (!gone.ok()) co_return gone.status();
  for (int i = 0; i < gone->rows() && !stopping_; ++i) {
    const Account one{TenantId(gone->Int(i, 0)), AccountId(gone->Int(i, 1))};
    absl::StatusOr<bool> rewritten = co_await index_.RewriteSome(one);
    if (!rewritten.ok()) co_return rewritten.status();
  }
  co_return absl::OkStatus();
}

Task<void> TextFeed::Run() {
  absl::Duration waited = absl::ZeroDuration();
  while (!stopping_) {
    co_await SleepFor(kTick);
    waited += kTick;
    if (waited < kInterval) continue;
    waited = absl::ZeroDuration();
    absl::Status status = co_await RunOnce();
    if (!status.ok() && FailureOf(status) != Failure::kStorageDown) {
      log::Warn("mailbox", "indexing failed", {{"status", status}});
    }
  }
}

}  // namespace posthorn::mailbox
