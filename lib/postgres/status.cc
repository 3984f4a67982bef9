#include "lib/postgres/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::postgres {
namespace {

constexpr char kInDoubtUrl[] = "posthorn/in-doubt";
constexpr char kSqlStateUrl[] = "posthorn/sqlstate";
constexpr char kDetailUrl[] = "posthorn/postgres-detail";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status WithDetail(Failure failure, std::string_view detail) {
  absl::Status status = MakeFailure(failure);
  status.SetPayload(kDetailUrl, absl::Cord(View(detail)));
  return status;
}

}  // namespace

absl::Status ConnectionLost(std::string_view detail) {
  return WithDetail(Failure::kStorageDown, detail);
}

absl::Status CommitInDoubt(std::string_view detail) {
  absl::Status status = ConnectionLost(detail);
  status.SetPayload(kInDoubtUrl, absl::Cord("1"));
  return status;
}

absl::Status FromSqlState(std::string_view sql_state, std::string_view message) {
  absl::Status status;
  const std::string_view sql_class = sql_state.substr(0, 2);
  if (sql_class == "08" || sql_state == "57P01" || sql_state == "57P02" || sql_state == "57P03" ||
      sql_state == "53300" || sql_state == "25006") {
    status = WithDetail(Failure::kStorageDown, message);
  } else if (sql_state == "40001" || sql_state == "40P01" || sql_state == "55P03" ||
             // A partition was attached while the row was on its way to the default one.
             (sql_state == "23514" &&
              message.find("violates partition constraint") != std::string_view::npos)) {
    status = WithDetail(Failure::kConflict, message);
  } else if (sql_state == "57014") {
    status = WithDetail(Failure::kDeadlineExceeded, message);
  } else if (sql_class == "53" || sql_state == "58030") {
    status = WithDetail(Failure::kInsufficientStorage, message);
  } else {
    status = absl::InternalError(absl::StrCat("SQL error ", View(sql_state), ": ", View(message)));
  }
  status.SetPayload(kSqlStateUrl, absl::Cord(View(sql_state)));
  return status;
}

bool IsInDoubt(const absl::Status& status) { return status.GetPayload(kInDoubtUrl).has_value(); }

std::string SqlState(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kSqlStateUrl);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace posthorn::postgres
