#ifndef POSTHORN_LIB_POSTGRES_RESULT_H_
#define POSTHORN_LIB_POSTGRES_RESULT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

struct pg_result;

namespace posthorn::postgres {

// The rows of one statement, in binary format. Move-only; views point into it. Columns count from
// 0 in the order of the SELECT list. NULL reads as 0, empty or the epoch: ask IsNull where it
// matters. Numeric results (sum of bigint) must be cast to bigint in SQL.
class Result {
 public:
  Result() = default;
  explicit Result(pg_result* result) : result_(result) {}
  Result(Result&& other) noexcept;
  Result& operator=(Result&& other) noexcept;
  ~Result();

  int rows() const;
  bool empty() const { return rows() == 0; }
  // Rows an INSERT, UPDATE or DELETE changed.
  std::int64_t affected() const;

  bool IsNull(int row, int column) const;
  std::int64_t Int(int row, int column) const;  // smallint, int, bigint, oid
  bool Bool(int row, int column) const;
  double Double(int row, int column) const;     // double precision
  std::string_view Bytes(int row, int column) const;  // bytea, text, uuid: as sent
  std::string Text(int row, int column) const { return std::string(Bytes(row, column)); }
  absl::Time Time(int row, int column) const;   // timestamptz; infinity is InfiniteFuture
  std::vector<std::int64_t> Ints(int row, int column) const;  // bigint[] or int[], no NULLs
  std::vector<std::string> Texts(int row, int column) const;  // text[] or bytea[], NULL: empty

 private:
  pg_result* result_ = nullptr;
};

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_RESULT_H_
