#include "services/gateway/pop3/read_ahead.h"

#include <algorithm>
#include <utility>

namespace posthorn::gateway {
namespace {

// A batch has at least one message. It is asked for while no more than kRest are ready.
constexpr std::size_t kFirstBatch = 8 * 1024;
constexpr std::size_t kBatch = 128 * 1024;
constexpr std::size_t kRest = ReadAhead::kOctets - kBatch;
// What a message takes beside its octets, so that tiny ones are counted as what they are.
constexpr std::size_t kOverhead = 512;
// Larger ones come by ReadMessage: Fetch has bodies of up to 64 KiB.
constexpr std::uint64_t kMaxMessage = 64 * 1024;

std::size_t CostOf(std::size_t octets) { return octets + kOverhead; }

}  // namespace

ReadAhead::ReadAhead(MailStore& store, const Clock& clock) : store_(store), clock_(clock) {}

Task<const std::string*> ReadAhead::Find(TenantId tenant, AccountId account, const Maildrop& drop,
                                         std::size_t index) {
  // TOP and RETR of the same message count as one.
  const bool same = last_ == index;
  const bool next = last_.has_value() && *last_ + 1 == index;
  last_ = index;
  if ((!same && !next) || HasExpired()) Clear();
  last_ = index;
  const Uid uid = drop.messages()[index].uid;
  if (index >= end_) {
    // Also after a message that was too large for a batch.
    end_ = index;
    if (next) Start(tenant, account, drop);
  }
  DropBefore(uid);
  if (under_way_ != nullptr && (ready_.empty() || ready_.back().uid < uid)) {
    co_await Receive();
    DropBefore(uid);
  }
  if (under_way_ == nullptr && batch_octets_ > 0 && octets_ <= kRest) Start(tenant, account, drop);
  const bool found = !ready_.empty() && ready_.front().uid == uid;
  co_return found ? &ready_.front().body : nullptr;
}

void ReadAhead::Clear() {
  under_way_.reset();
  ready_.clear();
  ready_.shrink_to_fit();
  octets_ = 0;
  batch_octets_ = 0;
  end_ = 0;
  last_.reset();
}

void ReadAhead::Start(TenantId tenant, AccountId account, const Maildrop& drop) {
  const std::size_t wanted = std::clamp(batch_octets_ * 2, kFirstBatch, kBatch);
  const std::size_t begin = end_;
  std::size_t octets = 0;
  for (; end_ < drop.messages().size(); ++end_) {
    const std::uint64_t size = drop.messages()[end_].size;
    if (size > kMaxMessage || (end_ > begin && octets + CostOf(size) > wanted)) break;
    octets += CostOf(size);
  }
  if (end_ == begin) return;
  // No message has a UID between those of two neighbours.
  std::vector<UidRange> uids;
  uids.emplace_back(drop.messages()[begin].uid, drop.messages()[end_ - 1].uid);
  batch_octets_ = wanted;
  FetchParts parts;
  parts.body = true;
  started_ = clock_.Now();
  under_way_ = store_.Fetch(tenant, account, drop.mailbox(), std::move(uids), parts);
}

Task<void> ReadAhead::Receive() {
  for (;;) {
    absl::StatusOr<std::optional<std::vector<MessageData>>> batch = co_await under_way_->Next();
    if (!batch.ok()) {
      // The message asked for is read alone now, which tells of the error, and the next begins anew.
      const std::optional<std::size_t> last = last_;
      Clear();
      last_ = last;
      co_return;
    }
    if (!batch->has_value()) break;
    for (MessageData& data : **batch) {
      if (!data.body_complete || (!ready_.empty() && data.uid <= ready_.back().uid)) continue;
      octets_ += CostOf(data.body.size());
      ready_.emplace_back(data.uid, std::move(data.body), started_);
    }
  }
  under_way_.reset();
}

void ReadAhead::DropBefore(Uid uid) {
  while (!ready_.empty() && ready_.front().uid < uid) {
    octets_ -= CostOf(ready_.front().body.size());
    ready_.pop_front();
  }
}

bool ReadAhead::HasExpired() const {
  const absl::Time oldest = clock_.Now() - kFresh;
  return (under_way_ != nullptr && started_ < oldest) ||
         (!ready_.empty() && ready_.front().read_at < oldest);
}

}  // namespace posthorn::gateway
