#include "lib/postgres/body_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_replace.h"
#include "lib/base/failure.h"

namespace posthorn::postgres {
namespace {

constexpr char kSelectBody[] =
    "SELECT size, chunks_id, data FROM $schema.body WHERE tenant_id = $1 AND sha256 = $2";
constexpr char kSelectChunk[] =
    "SELECT data FROM $schema.body_chunk "
    "WHERE tenant_id = $1 AND chunks_id = $2 AND number = $3::int";
constexpr char kStartUpload[] =
    "INSERT INTO $schema.body_upload (tenant_id, chunks_id) "
    "VALUES ($1, nextval('$schema.body_chunks_id')) RETURNING chunks_id";
constexpr char kInsertChunk[] =
    "INSERT INTO $schema.body_chunk (tenant_id, chunks_id, number, data) "
    "VALUES ($1, $2, $3::int, $4)";
// A body that is there already gets a new hour of grace.
constexpr char kInsertBody[] =
    "INSERT INTO $schema.body AS b (tenant_id, sha256, size, refs, marked_at, chunks_id, data, info)"
    " VALUES ($1, $2, $3, 0, now(), $4, $5, $6) ON CONFLICT (tenant_id, sha256) DO UPDATE"
    " SET marked_at = CASE WHEN b.refs = 0 THEN now() END, info = coalesce(b.info, EXCLUDED.info)"
    " RETURNING chunks_id";
constexpr char kEndUpload[] =
    "DELETE FROM $schema.body_upload WHERE tenant_id = $1 AND chunks_id = $2";
constexpr char kDeleteChunks[] =
    "DELETE FROM $schema.body_chunk WHERE tenant_id = $1 AND chunks_id = ANY($2)";
constexpr char kCollectBodies[] =
    "DELETE FROM $schema.body WHERE tenant_id = $1 AND refs = 0 AND marked_at < $2 AND sha256 IN "
    "(SELECT sha256 FROM $schema.body WHERE tenant_id = $1 AND marked_at < $2 AND refs = 0 "
    " ORDER BY sha256 LIMIT $3) RETURNING chunks_id";
constexpr char kCollectUploads[] =
    "DELETE FROM $schema.body_upload WHERE tenant_id = $1 AND started_at < now() - interval '1 day'"
    " RETURNING chunks_id";

std::string In(std::string_view schema, std::string_view sql) {
  return absl::StrReplaceAll(absl::string_view(sql.data(), sql.size()),
                             {{"$schema", absl::string_view(schema.data(), schema.size())}});
}

}  // namespace

BodyStore::BodyStore(Database& database, std::string schema)
    : database_(database), schema_(std::move(schema)) {}

Task<absl::Status> BodyStore::Read(TenantId tenant, std::string sha256, std::uint64_t offset,
                                   std::uint64_t length,
                                   std::function<Task<bool>(std::string)> sink) {
  Params key = Params::Of(tenant, Bytes(sha256));
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(tenant, In(schema_, kSelectBody), std::move(key));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound);
  const std::uint64_t size = static_cast<std::uint64_t>(row->Int(0, 0));
  offset = std::min(offset, size);
  std::uint64_t end = length == 0 || length > size - offset ? size : offset + length;
  if (row->IsNull(0, 1)) {
    absl::StatusOr<std::string> data = Decompress(row->Bytes(0, 2), kInlineOctets);
    if (!data.ok()) co_return data.status();
    if (end > data->size()) co_return absl::DataLossError("body shorter than its size");
    std::string piece = data->substr(offset, end - offset);
    if (!piece.empty()) co_await sink(std::move(piece));
    co_return absl::OkStatus();
  }
  const std::int64_t chunks = row->Int(0, 1);
  while (offset < end) {
    const std::uint64_t number = offset / kChunkOctets;
    Params chunk_key = Params::Of(tenant, chunks, number);
    absl::StatusOr<Result> chunk =
        co_await database_.QueryFor(tenant, In(schema_, kSelectChunk), std::move(chunk_key));
    if (!chunk.ok()) co_return chunk.status();
    if (chunk->empty()) co_return MakeFailure(Failure::kNotFound);
    absl::StatusOr<std::string> data = Decompress(chunk->Bytes(0, 0), kChunkOctets);
    if (!data.ok()) co_return data.status();
    const std::uint64_t from = offset - number * kChunkOctets;
    const std::uint64_t to = std::min<std::uint64_t>(end - number * kChunkOctets, data->size());
    if (from >= to) co_return absl::DataLossError("body chunk shorter than its size");
    offset += to - from;
    std::string piece = data->substr(from, to - from);
    const bool more = co_await sink(std::move(piece));
    if (!more) co_return absl::OkStatus();
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<int>> BodyStore::Collect(TenantId tenant, absl::Duration grace, int limit) {
  const absl::Time before = absl::Now() - grace;
  std::function<absl::StatusOr<int>(Transaction&)> work =
      [this, tenant, before, limit](Transaction& transaction) -> absl::StatusOr<int> {
    absl::StatusOr<Result> bodies =
        transaction.Exec(In(schema_, kCollectBodies), Params::Of(tenant, before, limit));
    if (!bodies.ok()) return bodies.status();
    absl::StatusOr<Result> uploads =
        transaction.Exec(In(schema_, kCollectUploads), Params::Of(tenant));
    if (!uploads.ok()) return uploads.status();
    std::vector<std::int64_t> chunks;
    for (const Result* result : {&*bodies, &*uploads}) {
      for (int i = 0; i < result->rows(); ++i) {
        if (!result->IsNull(i, 0)) chunks.push_back(result->Int(i, 0));
      }
    }
    if (!chunks.empty()) {
      Params params = Params::Of(tenant);
      params.AddInts(chunks);
      absl::StatusOr<Result> deleted = transaction.Exec(In(schema_, kDeleteChunks), params);
      if (!deleted.ok()) return deleted.status();
    }
    return bodies->rows();
  };
  absl::StatusOr<int> collected = co_await database_.TransactFor<int>(tenant, std::move(work));
  co_return collected;
}

struct BodyWriter::Impl {
  Impl(BodyStore& store_in, TenantId tenant_in) : store(store_in), tenant(tenant_in) {}
  BodyStore& store;
  const TenantId tenant;
  Sha256Stream sha256;
  std::uint64_t size = 0;
  std::string buffer;
  std::optional<std::int64_t> chunks;
  int next_chunk = 0;
};

BodyWriter::BodyWriter(BodyStore& store, TenantId tenant)
    : impl_(std::make_unique<Impl>(store, tenant)) {}

BodyWriter::~BodyWriter() = default;

Task<absl::Status> BodyWriter::Write(std::string data) {
  impl_->sha256.Update(data);
  impl_->size += data.size();
  std::string_view rest = data;
  while (!rest.empty()) {
    const std::size_t take = std::min(rest.size(), kChunkOctets - impl_->buffer.size());
    impl_->buffer += rest.substr(0, take);
    rest.remove_prefix(take);
    if (impl_->buffer.size() == kChunkOctets) {
      absl::Status status = co_await Flush();
      if (!status.ok()) co_return status;
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> BodyWriter::Flush() {
  Impl& impl = *impl_;
  const std::string schema = impl.store.schema();
  if (!impl.chunks.has_value()) {
    Params params = Params::Of(impl.tenant);
    absl::StatusOr<Result> started = co_await impl.store.database().QueryFor(
        impl.tenant, In(schema, kStartUpload), std::move(params));
    if (!started.ok()) co_return started.status();
    impl.chunks = started->Int(0, 0);
  }
  const std::string frame = Compress(impl.buffer);
  Params params = Params::Of(impl.tenant, *impl.chunks, impl.next_chunk, Bytes(frame));
  absl::StatusOr<Result> inserted = co_await impl.store.database().QueryFor(
      impl.tenant, In(schema, kInsertChunk), std::move(params));
  if (!inserted.ok()) co_return inserted.status();
  ++impl.next_chunk;
  impl.buffer.clear();
  co_return absl::OkStatus();
}

Task<absl::StatusOr<StoredBody>> BodyWriter::Finish(std::string info) {
  Impl& impl = *impl_;
  const bool is_inline = !impl.chunks.has_value() && impl.size <= kInlineOctets;
  if (!is_inline && !impl.buffer.empty()) {
    absl::Status status = co_await Flush();
    if (!status.ok()) co_return status;
  }
  StoredBody body;
  body.sha256 = impl.sha256.Finish();
  body.size = impl.size;
  const std::string frame = is_inline ? Compress(impl.buffer) : std::string();
  std::optional<Bytes> inline_data;
  if (is_inline) inline_data.emplace(frame);
  std::function<absl::StatusOr<Nothing>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<Nothing> {
    const std::string& schema = impl.store.schema();
    absl::StatusOr<Result> kept = transaction.Exec(
        In(schema, kInsertBody),
        Params::Of(impl.tenant, Bytes(body.sha256), body.size, impl.chunks, inline_data,
                   Bytes(info)));
    if (!kept.ok()) return kept.status();
    if (!impl.chunks.has_value()) return Nothing();
    absl::StatusOr<Result> ended =
        transaction.Exec(In(schema, kEndUpload), Params::Of(impl.tenant, *impl.chunks));
    if (!ended.ok()) return ended.status();
    if (kept->IsNull(0, 0) || kept->Int(0, 0) != *impl.chunks) {
      Params params = Params::Of(impl.tenant);
      params.AddInts({*impl.chunks});
      absl::StatusOr<Result> deleted = transaction.Exec(In(schema, kDeleteChunks), params);
      if (!deleted.ok()) return deleted.status();
    }
    return Nothing();
  };
  absl::StatusOr<Nothing> stored =
      co_await impl.store.database().TransactFor<Nothing>(impl.tenant, std::move(work));
  if (!stored.ok()) co_return stored.status();
  co_return body;
}

}  // namespace posthorn::postgres
