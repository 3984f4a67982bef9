#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/show.h"

namespace posthorn::ctl {
namespace {

using queue::v1::TlsReportState;
using Stub = Session::Stub;

Columns<TlsReportState> ReportColumns() {
  return {{"DAY", "DOMAIN", "STATE", "AT", "GOOD", "FAILED", "NOTE"},
          [](const TlsReportState& report) {
            const bool waits = report.has_due_at();
            const std::int64_t at =
                waits ? report.due_at().seconds() : report.finished_at().seconds();
            return std::vector<std::string>{
                report.day(),
                report.domain(),
                report.state(),
                FormatTime(at),
                waits ? absl::StrCat(report.successful()) : "-",
                waits ? absl::StrCat(report.failed()) : "-",
                report.note().empty() ? "-" : report.note()};
          }};
}

}  // namespace

absl::Status ListTlsReports(Session& session, const std::string& domain) {
  queue::v1::ListTlsReportsRequest request;
  request.set_domain(domain);
  request.set_limit(1000);
  const auto found = session.Call(&Stub::ListTlsReports, request);
  if (!found.ok()) return found.status();
  const std::vector<TlsReportState> reports(found->reports().begin(), found->reports().end());
  ShowList(session, ReportColumns(), reports);
  return absl::OkStatus();
}

absl::Status SendTlsReports(Session& session, const std::string& day, const std::string& domain) {
  queue::v1::SendTlsReportsRequest request;
  request.set_day(day);
  request.set_domain(domain);
  const auto sent = session.Call(&Stub::SendTlsReports, request);
  if (!sent.ok()) return sent.status();
  if (session.json()) {
    std::cout << ToJson(*sent) << "\n";
  } else {
    std::cout << sent->reports() << " reports are due now\n";
  }
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
