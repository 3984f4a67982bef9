#include "services/mailbox/previews.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/mime/preview.h"
#include "lib/mime/structure.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

// Emails of one read: bodies of up to 64 KiB come with it.
constexpr std::size_t kBatch = 50;

enum Column : int { kEmailId, kStructure, kSha256, kData };

constexpr char kSelectBodies[] =
    "SELECT m.email_id, m.structure, m.sha256, b.data FROM mailbox.email m"
    " CROSS JOIN LATERAL (SELECT data FROM mailbox.body WHERE tenant_id = $1"
    "  AND sha256 = m.sha256 OFFSET 0) b"
    " WHERE m.tenant_id = $1 AND m.account_id = $2 AND m.email_id = ANY ($3)";
constexpr char kKeep[] =
    "UPDATE mailbox.email SET preview = ($4::text[])[array_position($3::bigint[], email_id)]"
    " WHERE tenant_id = $1 AND account_id = $2 AND email_id = ANY ($3) AND preview IS NULL";

// `out` outlives the task.
Task<bool> AppendTo(std::string& out, std::string piece) {
  out += piece;
  co_return true;
}

// Of one row; empty where there is no text, or the structure is of another version.
Task<absl::StatusOr<std::string>> PreviewOfRow(postgres::BodyStore& bodies, TenantId tenant,
                                               const Result& rows, int row) {
  const absl::StatusOr<mime::Structure> structure =
      mime::ParseStructure(rows.Bytes(row, kStructure));
  if (!structure.ok()) co_return std::string();
  const mime::Part* part = mime::PreviewPart(*structure);
  if (part == nullptr || part->body_size == 0) co_return std::string();
  const std::uint64_t size = std::min<std::uint64_t>(part->body_size, mime::kPreviewOctets);
  std::string text;
  if (!rows.IsNull(row, kData)) {
    absl::StatusOr<std::string> body =
        postgres::Decompress(rows.Bytes(row, kData), postgres::kInlineOctets);
    if (!body.ok()) co_return body.status();
    text = body->substr(std::min<std::uint64_t>(part->body_offset, body->size()), size);
  } else {
    std::function<Task<bool>(std::string)> sink = [&text](std::string piece) {
      return AppendTo(text, std::move(piece));
    };
    const absl::Status read = co_await bodies.Read(tenant, rows.Text(row, kSha256),
                                                   part->body_offset, size, std::move(sink));
    if (!read.ok()) co_return read;
  }
  co_return mime::PreviewOf(*part, text);
}

// `previews` outlives the task.
Task<absl::Status> MakeSome(postgres::BodyStore& bodies, Account account,
                            std::vector<std::int64_t> ids,
                            absl::flat_hash_map<std::int64_t, std::string>& previews) {
  Params wanted = Params::Of(account.tenant, account.account);
  wanted.AddInts(ids);
  absl::StatusOr<Result> rows =
      co_await bodies.database().QueryFor(account.tenant, kSelectBodies, std::move(wanted));
  if (!rows.ok()) co_return rows.status();
  std::vector<std::int64_t> made;
  std::vector<std::string> texts;
  for (int i = 0; i < rows->rows(); ++i) {
    absl::StatusOr<std::string> text = co_await PreviewOfRow(bodies, account.tenant, *rows, i);
    if (!text.ok()) co_return text.status();
    made.push_back(rows->Int(i, kEmailId));
    texts.push_back(*text);
    previews[made.back()] = *std::move(text);
  }
  if (made.empty()) co_return absl::OkStatus();
  Params keep = Params::Of(account.tenant, account.account);
  keep.AddInts(made).AddTexts(texts);
  absl::StatusOr<Result> kept =
      co_await bodies.database().QueryFor(account.tenant, kKeep, std::move(keep));
  co_return kept.status();
}

}  // namespace

Task<absl::Status> MakePreviews(postgres::BodyStore& bodies, Account account,
                                std::vector<FetchedMessage>& messages) {
  std::vector<std::int64_t> missing;
  for (const FetchedMessage& message : messages) {
    if (!message.preview) missing.push_back(message.email_id);
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  absl::flat_hash_map<std::int64_t, std::string> previews;
  for (std::size_t at = 0; at < missing.size(); at += kBatch) {
    const auto begin = missing.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end =
        missing.begin() + static_cast<std::ptrdiff_t>(std::min(at + kBatch, missing.size()));
    std::vector<std::int64_t> some(begin, end);
    absl::Status made = co_await MakeSome(bodies, account, std::move(some), previews);
    if (!made.ok()) co_return made;
  }
  for (FetchedMessage& message : messages) {
    if (!message.preview) message.preview = previews[message.email_id];
  }
  co_return absl::OkStatus();
}

}  // namespace posthorn::mailbox
