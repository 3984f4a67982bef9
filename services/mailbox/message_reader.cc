#include "services/mailbox/message_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/structure.h"
#include "services/mailbox/previews.h"
#include "services/mailbox/rows.h"
#include "services/mailbox/threads.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

// Bounds of a batch: messages, and octets where bodies are asked for.
constexpr int kBatchMessages = 1000;
constexpr std::int64_t kBatchOctets = 2 * 1024 * 1024;

enum Column : int {
  kUid, kSize, kReceivedAt, kPrefixSize, kTotal, kEnvelope, kStructure, kPrefix, kSha256, kData,
  kSavedAt, kEmailId, kThreadId, kPreview
};

// The mailbox must be the account's.
constexpr char kOwnMailbox[] =
    "(SELECT o.mailbox_id FROM mailbox.mailbox o"
    " WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.mailbox_id = $3)";

std::string FetchSql(const FetchItems& items, bool is_large) {
  const bool content = items.header || items.body;
  // What a message adds to the batch; a body that is not inline is not read.
  const std::string cost = items.body ? "least(e.size, 65536)" : items.header ? "4096" : "1024";
  const std::string source =
      is_large ? absl::StrCat("FROM mailbox.entry e WHERE e.tenant_id = $1 AND e.mailbox_id = ",
                              kOwnMailbox, " AND e.uid BETWEEN $4 AND $5")
               : absl::StrCat("FROM unnest($4, $5) r (f, l) CROSS JOIN LATERAL ("
                              "SELECT * FROM mailbox.entry WHERE tenant_id = $1 AND mailbox_id = ",
                              kOwnMailbox, " AND uid BETWEEN r.f AND r.l OFFSET 0) e");
  return absl::StrCat(
      "SELECT e.uid, e.size, e.received_at, length(m.prefix), e.total, ",
      items.envelope ? "m.envelope" : "NULL::bytea", ", ",
      items.structure || items.header ? "m.structure" : "NULL::bytea", ", ",
      content ? "m.prefix, m.sha256, b.data" : "NULL::bytea, NULL::bytea, NULL::bytea",
      ", e.saved_at, e.email_id, coalesce(m.thread_id, e.email_id), ",
      items.preview ? "m.preview" : "NULL::text",
      " FROM (SELECT e.tenant_id, e.uid, e.size, e.received_at, e.saved_at, e.email_id,"
      " sum(", cost, ") OVER (ORDER BY e.uid)::bigint AS total, ", cost, " AS cost ", source,
      " ORDER BY e.uid LIMIT $6) e"
      // OFFSET 0 keeps the joins in this order, whatever the statistics say.
      " CROSS JOIN LATERAL (SELECT * FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
      " AND email_id = e.email_id OFFSET 0) m ",
      content ? "CROSS JOIN LATERAL (SELECT data FROM mailbox.body WHERE tenant_id = $1"
                " AND sha256 = m.sha256 OFFSET 0) b "
              : "",
      "WHERE e.total - e.cost < $7 ORDER BY e.uid");
}

absl::Status AddContent(const Result& rows, int row, const FetchItems& items,
                        FetchedMessage& message) {
  absl::StatusOr<std::string> body =
      postgres::Decompress(rows.Bytes(row, kData), postgres::kInlineOctets);
  if (!body.ok()) return body.status();
  const std::string_view prefix = rows.Bytes(row, kPrefix);
  if (items.header) {
    const std::size_t size = mime::HeaderSize(*body).value_or(body->size());
    message.header.reserve(prefix.size() + size);
    message.header.append(prefix).append(*body, 0, size);
  }
  if (items.body) {
    message.body.reserve(prefix.size() + body->size());
    message.body.append(prefix).append(*body);
    message.body_complete = true;
  }
  return absl::OkStatus();
}

// `out` outlives the task.
Task<bool> AppendTo(std::string& out, std::string piece) {
  out += piece;
  co_return true;
}

}  // namespace

FetchCursor::FetchCursor(postgres::BodyStore& bodies, Account account, MailboxId mailbox,
                         std::vector<UidRange> uids, FetchItems items)
    : bodies_(bodies),
      account_(account),
      mailbox_(mailbox),
      left_(std::move(uids)),
      items_(items) {}

std::vector<UidRange> FetchCursor::NextRanges(bool& is_large) const {
  const UidRange& first = left_[position_];
  is_large = first.last - first.first >= kBatchMessages;
  if (is_large) return {first};
  std::vector<UidRange> ranges;
  std::uint64_t span = 0;
  for (std::size_t i = position_; i < left_.size() && span < kBatchMessages; ++i) {
    if (left_[i].last - left_[i].first >= kBatchMessages) break;
    ranges.push_back(left_[i]);
    span += left_[i].last - left_[i].first + 1;
  }
  return ranges;
}

void FetchCursor::DropUpTo(Uid uid) {
  while (position_ < left_.size() && left_[position_].last <= uid) ++position_;
  if (position_ < left_.size()) {
    left_[position_].first = std::max(left_[position_].first, uid + 1);
  }
}

Task<absl::Status> FetchCursor::AddHeaderOfLargeBody(std::string sha256, FetchedMessage& message) {
  absl::StatusOr<mime::Structure> structure = mime::ParseStructure(message.structure);
  if (!structure.ok()) co_return structure.status();
  const std::uint64_t size = structure->root.header_size;
  if (size == 0) co_return absl::OkStatus();
  std::function<Task<bool>(std::string)> sink = [&message](std::string piece) {
    return AppendTo(message.header, std::move(piece));
  };
  absl::Status status =
      co_await bodies_.Read(account_.tenant, std::move(sha256), 0, size, std::move(sink));
  co_return status;
}

Task<absl::StatusOr<std::vector<FetchedMessage>>> FetchCursor::Next() {
  if (items_.ids && !std::exchange(threads_assigned_, true)) {
    absl::Status assigned = co_await AssignThreads(bodies_.database(), account_);
    if (!assigned.ok()) co_return assigned;
  }
  while (position_ < left_.size()) {
    bool is_large = false;
    const std::vector<UidRange> ranges = NextRanges(is_large);
    Params params = Params::Of(account_.tenant, account_.account, mailbox_);
    if (is_large) {
      params.Add(ranges[0].first).Add(ranges[0].last);
    } else {
      AddRanges(ranges, params);
    }
    params.Add(kBatchMessages).Add(kBatchOctets);
    absl::StatusOr<Result> rows = co_await bodies_.database().QueryFor(
        account_.tenant, FetchSql(items_, is_large), std::move(params));
    if (!rows.ok()) co_return rows.status();
    const int count = rows->rows();
    const bool cut =
        count == kBatchMessages || (count > 0 && rows->Int(count - 1, kTotal) >= kBatchOctets);
    DropUpTo(cut ? static_cast<Uid>(rows->Int(count - 1, kUid)) : ranges.back().last);
    std::vector<FetchedMessage> batch(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      FetchedMessage& message = batch[static_cast<std::size_t>(i)];
      message.uid = static_cast<Uid>(rows->Int(i, kUid));
      message.size = static_cast<std::uint64_t>(rows->Int(i, kSize));
      message.received_at = rows->Time(i, kReceivedAt);
      message.prefix_size = static_cast<std::uint32_t>(rows->Int(i, kPrefixSize));
      message.envelope = rows->Text(i, kEnvelope);
      message.structure = rows->Text(i, kStructure);
      message.saved_at = rows->Time(i, kSavedAt);
      message.email_id = rows->Int(i, kEmailId);
      message.thread_id = rows->Int(i, kThreadId);
      if (!rows->IsNull(i, kPreview)) message.preview = rows->Text(i, kPreview);
      if (!items_.header && !items_.body) continue;
      if (!rows->IsNull(i, kData)) {
        absl::Status status = AddContent(*rows, i, items_, message);
        if (!status.ok()) co_return status;
      } else if (items_.header) {
        message.header = rows->Text(i, kPrefix);
        absl::Status status = co_await AddHeaderOfLargeBody(rows->Text(i, kSha256), message);
        if (!status.ok()) co_return status;
      }
      if (!items_.structure) message.structure.clear();
    }
    if (!batch.empty()) {
      found_any_ = true;
      if (items_.preview && items_.make_previews) {
        absl::Status made = co_await MakePreviews(bodies_, account_, batch);
        if (!made.ok()) co_return made;
      }
      co_return batch;
    }
  }
  if (!found_any_) {
    // Nothing there, or not this account's mailbox: the two read differently.
    absl::StatusOr<Result> own = co_await bodies_.database().QueryFor(
        account_.tenant, absl::StrCat("SELECT ", kOwnMailbox),
        Params::Of(account_.tenant, account_.account, mailbox_));
    if (!own.ok()) co_return own.status();
    if (own->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound);
  }
  co_return std::vector<FetchedMessage>();
}

Task<absl::Status> ReadMessage(postgres::BodyStore& bodies, Account account, MailboxId mailbox,
                               Uid uid, std::uint64_t offset, std::uint64_t length,
                               std::function<Task<bool>(std::string)> sink) {
  std::string sql = absl::StrCat(
      "SELECT m.prefix, m.sha256, e.size FROM mailbox.entry e CROSS JOIN LATERAL ("
      "SELECT * FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
      " AND email_id = e.email_id OFFSET 0) m"
      " WHERE e.tenant_id = $1 AND e.mailbox_id = ", kOwnMailbox, " AND e.uid = $4");
  Params params = Params::Of(account.tenant, account.account, mailbox, uid);
  absl::StatusOr<Result> row =
      co_await bodies.database().QueryFor(account.tenant, std::move(sql), std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound);
  const std::string_view prefix = row->Bytes(0, 0);
  const std::uint64_t size = static_cast<std::uint64_t>(row->Int(0, 2));
  offset = std::min(offset, size);
  const std::uint64_t end = length == 0 || length > size - offset ? size : offset + length;
  if (offset < prefix.size() && offset < end) {
    const std::uint64_t to = std::min<std::uint64_t>(end, prefix.size());
    std::string piece(prefix.substr(offset, to - offset));
    offset = to;
    const bool more = co_await sink(std::move(piece));
    if (!more) co_return absl::OkStatus();
  }
  if (offset >= end) co_return absl::OkStatus();
  absl::Status status = co_await bodies.Read(account.tenant, row->Text(0, 1),
                                             offset - prefix.size(), end - offset, std::move(sink));
  co_return status;
}

}  // namespace posthorn::mailbox
