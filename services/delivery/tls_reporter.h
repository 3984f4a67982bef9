#ifndef POSTHORN_SERVICES_DELIVERY_TLS_REPORTER_H_
#define POSTHORN_SERVICES_DELIVERY_TLS_REPORTER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/dns/resolver.h"
#include "lib/tlsrpt/record.h"
#include "lib/tlsrpt/report.h"
#include "services/delivery/https_client.h"
#include "services/delivery/ports.h"
#include "services/delivery/tls_counts.h"

namespace posthorn::delivery {

// A report that is this worker's to make.
struct DueTlsReport {
  int day = 0;  // since 1970-01-01, UTC
  std::string domain;
  int attempt = 0;  // the fence
  MessageId message_id;
  std::vector<tlsrpt::PolicyResults> policies;
};

enum class TlsReportResult { kSent, kNotWanted, kFailed };

// Where counts are kept for all workers, and which reports are due.
class TlsReportPort {
 public:
  virtual ~TlsReportPort() = default;
  // `batch`: 16 octets; what was added under it is not added again.
  virtual Task<absl::Status> Add(std::string batch, const std::vector<TlsCount>& counts) = 0;
  virtual Task<absl::StatusOr<std::optional<DueTlsReport>>> Lease() = 0;
  virtual Task<absl::Status> Finish(const DueTlsReport& report, TlsReportResult result,
                                    std::string note) = 0;
};

struct TlsReporterOptions {
  std::string from;               // address
  std::string organization_name;
  std::string contact_info;
  absl::Duration flush_every = absl::Seconds(5);
  absl::Duration look_every = absl::Seconds(10);
};

// Passes the counts on, and makes the reports that are due (RFC 8460 sections 4 and 5): by mail, under
// an id that the queue takes once, and to web servers. Belongs to one executor, which with all that it
// is given outlives it; destroyed only when idle() or with the executor stopped.
class TlsReporter {
 public:
  TlsReporter(TlsReporterOptions options, Executor& executor, TlsCounts& counts,
              TlsReportPort& port, dns::Resolver& resolver, HttpsClient& https, QueuePort& queue,
              DirectoryPort& directory, const Clock& clock);
  ~TlsReporter();
  TlsReporter(const TlsReporter&) = delete;
  TlsReporter& operator=(const TlsReporter&) = delete;

  // The rest is called on the executor.
  void Start();
  // Makes no more reports, and passes on what was counted until now, once.
  void Drain();
  // Drained, and nothing under way.
  bool idle() const { return draining_ && tasks_ == 0; }

 private:
  // What became of a report, for operators.
  struct Sent {
    TlsReportResult result = TlsReportResult::kFailed;
    std::string note;
  };
  void ScheduleFlush();
  void ScheduleLook();
  Task<void> Flush();
  Task<void> Look();
  Task<void> Make(DueTlsReport due);
  Task<Sent> Send(const DueTlsReport& due);
  Task<absl::Status> Mail(tlsrpt::Report report, std::vector<std::string> addresses,
                          std::string compressed, MessageId id);
  Task<absl::Status> Post(std::string url, std::string compressed);

  const TlsReporterOptions options_;
  const std::string submitter_;  // the domain of options_.from
  Executor& executor_;
  TlsCounts& counts_;
  TlsReportPort& port_;
  dns::Resolver& resolver_;
  HttpsClient& https_;
  QueuePort& queue_;
  DirectoryPort& directory_;
  const Clock& clock_;
  // Taken from the counts, until the queue has them.
  std::vector<TlsCount> batch_;
  std::string batch_id_;
  bool flushing_ = false;
  int tasks_ = 0;  // coroutines that refer to this
  bool draining_ = false;
  std::shared_ptr<TlsReporter*> self_;  // cleared when destroyed, for timers
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TLS_REPORTER_H_
