#ifndef POSTHORN_LIB_POSTGRES_BODY_STORE_H_
#define POSTHORN_LIB_POSTGRES_BODY_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"

namespace posthorn::postgres {

// Message bodies of one schema, addressed by their SHA-256 within a tenant. The tables
// <schema>.body, <schema>.body_chunk and <schema>.body_upload have the shape that the SQL function
// posthorn.create_body_tables(schema) gives them. Up to kInlineOctets a body is one zstd frame in
// its row (written by whoever refers to it, in the same transaction); larger ones are chunks of
// kChunkOctets, one frame each, written by BodyWriter before the transaction that refers to them.
// `body.refs` counts what refers to a body: who adds a reference locks the row, raises it and clears
// `marked_at`; who drops one lowers it and sets `marked_at` when it comes to 0. Both take the rows
// in the order of (tenant_id, sha256). The collector removes bodies that were marked an hour ago and
// are still unreferenced.
inline constexpr std::size_t kInlineOctets = 64 * 1024;
inline constexpr std::size_t kChunkOctets = 256 * 1024;

// 32 octets.
std::string Sha256(std::string_view data);
// One zstd frame. Thread-safe.
std::string Compress(std::string_view data);
// At most `max_size` octets come out; anything else is DataLoss.
absl::StatusOr<std::string> Decompress(std::string_view frame, std::size_t max_size);
// The same, behind what is in `out`; after an error `out` is anything.
absl::Status DecompressTo(std::string_view frame, std::size_t max_size, std::string& out);

struct StoredBody {
  std::string sha256;
  std::uint64_t size = 0;
};

// SHA-256 of what comes in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void Update(std::string_view data);
  std::string Finish();

 private:
  void* context_;
};

// Reads and collects bodies of one schema. Thread-safe.
class BodyStore {
 public:
  BodyStore(Database& database, std::string schema);

  // Octets [offset, offset + length) in pieces of at most kChunkOctets; length 0: to the end.
  // `sink` takes each piece and returns false to stop. kNotFound: no such body of this tenant.
  // The functions are called on the caller's executor.
  Task<absl::Status> Read(TenantId tenant, std::string sha256, std::uint64_t offset,
                          std::uint64_t length, std::function<Task<bool>(std::string)> sink);

  // Removes what is unreferenced since an hour, and uploads that were given up a day ago. Removes
  // at most `limit` bodies; returns how many.
  Task<absl::StatusOr<int>> Collect(TenantId tenant, absl::Duration grace, int limit);

  const std::string& schema() const { return schema_; }
  Database& database() { return database_; }

 private:
  Database& database_;
  const std::string schema_;
};

// Takes one body in pieces and stores it. For one coroutine at a time; keeps at most one chunk in
// memory. Destroyed without Finish it leaves an upload that the collector removes.
class BodyWriter {
 public:
  BodyWriter(BodyStore& store, TenantId tenant);
  ~BodyWriter();

  Task<absl::Status> Write(std::string data);
  // Makes the body visible, unreferenced. The same body again is stored once. `info` goes into the
  // column of that name.
  Task<absl::StatusOr<StoredBody>> Finish(std::string info);

 private:
  struct Impl;
  Task<absl::Status> Flush();
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_BODY_STORE_H_
