#include "services/mailbox/rows.h"

#include "lib/base/failure.h"
#include "lib/postgres/status.h"

namespace posthorn::mailbox {

MailboxInfo InfoOf(const postgres::Result& result, int row) {
  MailboxInfo info;
  info.id = MailboxId(result.Int(row, 0));
  info.name = result.Text(row, 1);
  info.special_use = result.Text(row, 2);
  info.subscribed = result.Bool(row, 3);
  info.uid_validity = static_cast<std::uint32_t>(result.Int(row, 4));
  info.uid_next = static_cast<Uid>(result.Int(row, 5));
  info.messages = static_cast<std::uint32_t>(result.Int(row, 6));
  info.unseen = static_cast<std::uint32_t>(result.Int(row, 7));
  info.recent = static_cast<std::uint32_t>(result.Int(row, 8));
  info.highest_modseq = result.Int(row, 9);
  info.size = static_cast<std::uint64_t>(result.Int(row, 10));
  return info;
}

Entry EntryOf(const postgres::Result& result, int row) {
  Entry entry;
  entry.uid = static_cast<Uid>(result.Int(row, 0));
  entry.modseq = result.Int(row, 1);
  entry.flags = static_cast<std::uint32_t>(result.Int(row, 2));
  if (!result.IsNull(row, 3)) entry.keywords = result.Texts(row, 3);
  entry.size = static_cast<std::uint64_t>(result.Int(row, 4));
  entry.email = EmailId(result.Int(row, 5));
  entry.received_at = result.Time(row, 6);
  return entry;
}

std::vector<Entry> EntriesOf(const postgres::Result& result) {
  std::vector<Entry> entries;
  entries.reserve(static_cast<std::size_t>(result.rows()));
  for (int i = 0; i < result.rows(); ++i) entries.push_back(EntryOf(result, i));
  return entries;
}

std::vector<Uid> UidsOf(const std::vector<std::int64_t>& values) {
  std::vector<Uid> uids;
  uids.reserve(values.size());
  for (const std::int64_t value : values) uids.push_back(static_cast<Uid>(value));
  return uids;
}

void AddRanges(const std::vector<UidRange>& ranges, postgres::Params& params) {
  std::vector<std::int64_t> firsts;
  std::vector<std::int64_t> lasts;
  for (const UidRange& range : ranges) {
    firsts.push_back(range.first);
    lasts.push_back(range.last);
  }
  params.AddInts(firsts).AddInts(lasts);
}

absl::Status OrOverQuota(absl::Status status) {
  constexpr std::string_view kOverLimit = "PH001";  // migration 0051
  return postgres::SqlState(status) == kOverLimit ? MakeFailure(Failure::kOverQuota) : status;
}

}  // namespace posthorn::mailbox
