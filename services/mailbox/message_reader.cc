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
// Of a piece of a batch.
constexpr std::size_t kPieceOctets = 256 * 1024;

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
      content ? "m.prefix, " : "NULL::bytea, ", items.header ? "m.sha256, " : "NULL::bytea, ",
      content ? "b.data, " : "NULL::bytea, ", items.saved_at ? "e.saved_at" : "NULL::timestamptz",
      ", e.email_id, coalesce(m.thread_id, e.email_id), ",
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
  // BODY[] in place, where the header is cut from if only that is asked for.
  std::string whole(rows.Bytes(row, kPrefix));
  const std::size_t prefix = whole.size();
  absl::Status status =
      postgres::DecompressTo(rows.Bytes(row, kData), postgres::kInlineOctets, whole);
  if (!status.ok()) return status;
  if (items.header) {
    const std::string_view body = std::string_view(whole).substr(prefix);
    message.header = whole.substr(0, prefix + mime::HeaderSize(body).value_or(body.size()));
  }
  if (items.body) {
    message.body = std::move(whole);
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

Task<void> FetchCursor::Run(postgres::Database& database, TenantId tenant, std::string sql,
                            Params params, Query& query) {
  absl::StatusOr<Result> rows =
      co_await database.QueryFor(tenant, std::move(sql), std::move(params));
  query.rows.Set(std::move(rows));
}

void FetchCursor::Start() {
  under_way_ = std::make_unique<Query>();
  bool is_large = false;
  under_way_->ranges = NextRanges(is_large);
  Params params = Params::Of(account_.tenant, account_.account, mailbox_);
  if (is_large) {
    params.Add(under_way_->ranges[0].first).Add(under_way_->ranges[0].last);
  } else {
    AddRanges(under_way_->ranges, params);
  }
  params.Add(kBatchMessages).Add(kBatchOctets);
  Spawn(*Executor::Current(), Run(bodies_.database(), account_.tenant, FetchSql(items_, is_large),
                                  std::move(params), *under_way_));
}

Task<void> FetchCursor::Stop() {
  if (under_way_ == nullptr) co_return;
  // Named: g++ 12 looks the operand up again, wrongly, when it resumes.
  OneShot<absl::StatusOr<Result>>& received = under_way_->rows;
  (void)co_await received;
  under_way_.reset();
}

Task<absl::Status> FetchCursor::Receive() {
  if (under_way_ == nullptr) Start();
  OneShot<absl::StatusOr<Result>>& received = under_way_->rows;  // named, as in Stop
  absl::StatusOr<Result> rows = co_await received;
  const std::unique_ptr<Query> query = std::move(under_way_);
  if (!rows.ok()) co_return rows.status();
  rows_ = *std::move(rows);
  row_ = 0;
  const int count = rows_.rows();
  const bool cut =
      count == kBatchMessages || (count > 0 && rows_.Int(count - 1, kTotal) >= kBatchOctets);
  DropUpTo(cut ? static_cast<Uid>(rows_.Int(count - 1, kUid)) : query->ranges.back().last);
  if (reads_ahead_ && position_ < left_.size()) Start();
  co_return absl::OkStatus();
}

absl::StatusOr<FetchedMessage> FetchCursor::MessageOf(int row) {
  FetchedMessage message;
  message.uid = static_cast<Uid>(rows_.Int(row, kUid));
  message.size = static_cast<std::uint64_t>(rows_.Int(row, kSize));
  message.received_at = rows_.Time(row, kReceivedAt);
  message.prefix_size = static_cast<std::uint32_t>(rows_.Int(row, kPrefixSize));
  message.envelope = rows_.Text(row, kEnvelope);
  message.structure = rows_.Text(row, kStructure);
  if (items_.saved_at) message.saved_at = rows_.Time(row, kSavedAt);
  message.email_id = rows_.Int(row, kEmailId);
  message.thread_id = rows_.Int(row, kThreadId);
  if (!rows_.IsNull(row, kPreview)) message.preview = rows_.Text(row, kPreview);
  if ((items_.header || items_.body) && !rows_.IsNull(row, kData)) {
    absl::Status status = AddContent(rows_, row, items_, message);
    if (!status.ok()) return status;
  }
  return message;
}

Task<absl::StatusOr<std::vector<FetchedMessage>>> FetchCursor::Next() {
  if (items_.ids && !std::exchange(threads_assigned_, true)) {
    absl::Status assigned = co_await AssignThreads(bodies_.database(), account_);
    if (!assigned.ok()) co_return assigned;
  }
  while (row_ == rows_.rows() && (under_way_ != nullptr || position_ < left_.size())) {
    absl::Status received = co_await Receive();
    if (!received.ok()) co_return received;
  }
  std::vector<FetchedMessage> batch;
  batch.reserve(static_cast<std::size_t>(rows_.rows() - row_));
  for (std::size_t octets = 0; row_ < rows_.rows() && !(reads_ahead_ && octets >= kPieceOctets);
       ++row_) {
    absl::StatusOr<FetchedMessage> message = MessageOf(row_);
    if (!message.ok()) co_return message.status();
    if (items_.header && rows_.IsNull(row_, kData)) {
      message->header = rows_.Text(row_, kPrefix);
      absl::Status status = co_await AddHeaderOfLargeBody(rows_.Text(row_, kSha256), *message);
      if (!status.ok()) co_return status;
    }
    if (!items_.structure) message->structure.clear();
    octets += message->body.size() + message->header.size();
    batch.push_back(*std::move(message));
  }
  if (!batch.empty()) {
    found_any_ = true;
    if (items_.preview && items_.make_previews) {
      absl::Status made = co_await MakePreviews(bodies_, account_, batch);
      if (!made.ok()) co_return made;
    }
    co_return batch;
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
