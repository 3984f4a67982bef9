#ifndef POSTHORN_SERVICES_QUEUE_TLS_REPORTS_H_
#define POSTHORN_SERVICES_QUEUE_TLS_REPORTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"

namespace posthorn::queue {

// Sessions with one outcome, as workers count them (transport.proto).
struct TlsResult {
  int day = 0;  // since 1970-01-01, UTC
  std::string domain;
  std::string type;
  std::string policy_domain;
  std::string policy;  // lines
  std::string mx;      // lines
  std::string result;  // empty: success
  std::string sending_ip;
  std::string mx_host;
  std::string receiving_ip;
  std::string reason;
  std::int64_t sessions = 0;
};

struct TlsPolicySum {
  TlsResult policy;  // the fields of a policy
  std::int64_t successful = 0;
  std::int64_t failed = 0;
  std::vector<TlsResult> failures;
};

struct DueTlsReport {
  int day = 0;
  std::string domain;
  int attempt = 0;
  MessageId message_id;
  std::vector<TlsPolicySum> policies;
};

enum class TlsReportOutcome { kFailed = 0, kSent = 1, kNotWanted = 2, kGivenUp = 3 };

struct TlsReportRow {
  int day = 0;
  std::string domain;
  TlsReportOutcome state = TlsReportOutcome::kFailed;  // here: it waits
  absl::Time due_at;
  std::optional<absl::Time> finished_at;
  std::int64_t successful = 0;
  std::int64_t failed = 0;
  std::string note;
  std::optional<MessageId> message_id;
};

// The counts for reports about TLS, and which worker makes which report. Thread-safe; `database` and
// `clock` outlive it. All calls: kStorageDown while PostgreSQL is away.
class TlsReports {
 public:
  TlsReports(postgres::Database& database, const Clock& clock)
      : database_(database), clock_(clock) {}

  Task<absl::Status> Add(std::string batch, std::vector<TlsResult> results);
  // One that is due; it is the caller's until it is finished, at most for five minutes.
  Task<absl::StatusOr<std::optional<DueTlsReport>>> Lease();
  // Nothing happens where another has it by now. kFailed: again in an hour.
  Task<absl::Status> Finish(int day, std::string domain, int attempt, TlsReportOutcome outcome,
                            std::string note);
  Task<absl::StatusOr<std::vector<TlsReportRow>>> List(std::string domain, int limit);
  // Makes those due that wait or were given up, of days before today; the number. `day`: none: all.
  Task<absl::StatusOr<int>> MakeDue(std::optional<int> day, std::string domain);
  Task<absl::Status> Forget(int days);

 private:
  postgres::Database& database_;
  const Clock& clock_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_TLS_REPORTS_H_
