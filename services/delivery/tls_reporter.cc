#include "services/delivery/tls_reporter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/delivery/string_reader.h"

namespace posthorn::delivery {
namespace {

constexpr std::size_t kBatch = 1000;
constexpr std::size_t kMaxInline = 64 * 1024;
constexpr std::size_t kMaxNote = 500;
constexpr int kHttpsPort = 443;

std::string Short(std::string text) {
  if (text.size() > kMaxNote) text.resize(kMaxNote);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x7f || static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  return text;
}

void Count(const char* result) {
  metrics::MakeCounter(
      "posthorn_delivery_tls_reports_total",
      "Reports to other domains about TLS: sent, not wanted (the domain asks for none), failed (tried "
      "again in an hour). Failures of all: is the domain of delivery.tls_reports.from one of this "
      "platform? The log and posthornctl tls-reports list say why.",
      {{"result", result}})
      .Increment();
}

// "https://host[:port]/path?query" as a request. Its form was checked when the record was read.
absl::StatusOr<HttpsRequest> RequestFor(absl::string_view url) {
  HttpsRequest request;
  url.remove_prefix(sizeof("https://") - 1);
  url = url.substr(0, url.find('#'));
  const std::size_t end = std::min(url.find_first_of("/?"), url.size());
  absl::string_view authority = url.substr(0, end);
  absl::string_view target = url.substr(end);
  const std::size_t colon = authority.rfind(':');
  request.port = kHttpsPort;
  if (colon != absl::string_view::npos) {
    if (!absl::SimpleAtoi(authority.substr(colon + 1), &request.port) || request.port < 1 ||
        request.port > 65535) {
      return absl::InvalidArgumentError("no such port");
    }
    authority = authority.substr(0, colon);
  }
  request.host = std::string(authority);
  request.target = absl::StrCat(target.empty() || target.front() != '/' ? "/" : "", target);
  return request;
}

}  // namespace

TlsReporter::TlsReporter(TlsReporterOptions options, Executor& executor, TlsCounts& counts,
                         TlsReportPort& port, dns::Resolver& resolver, HttpsClient& https,
                         QueuePort& queue, DirectoryPort& directory, const Clock& clock)
    : options_(std::move(options)),
      submitter_(options_.from.substr(options_.from.rfind('@') + 1)),
      executor_(executor),
      counts_(counts),
      port_(port),
      resolver_(resolver),
      https_(https),
      queue_(queue),
      directory_(directory),
      clock_(clock),
      self_(std::make_shared<TlsReporter*>(this)) {}

TlsReporter::~TlsReporter() { *self_ = nullptr; }

void TlsReporter::Start() {
  ScheduleFlush();
  ScheduleLook();
}

void TlsReporter::Drain() {
  if (std::exchange(draining_, true)) return;
  if (flushing_) return;  // it takes what there is
  flushing_ = true;
  ++tasks_;
  Spawn(executor_, Flush());
}

void TlsReporter::ScheduleFlush() {
  executor_.PostAfter(options_.flush_every, [self = self_] {
    TlsReporter* const reporter = *self;
    if (reporter == nullptr || reporter->draining_ || reporter->flushing_) return;
    reporter->flushing_ = true;
    ++reporter->tasks_;
    Spawn(reporter->executor_, reporter->Flush());
  });
}

void TlsReporter::ScheduleLook() {
  executor_.PostAfter(options_.look_every, [self = self_] {
    TlsReporter* const reporter = *self;
    if (reporter == nullptr || reporter->draining_) return;
    ++reporter->tasks_;
    Spawn(reporter->executor_, reporter->Look());
  });
}

Task<void> TlsReporter::Flush() {
  for (;;) {
    if (batch_.empty()) {
      batch_ = counts_.Take(kBatch);
      if (batch_.empty()) break;
      batch_id_ = MessageId::Generate(clock_.Now()).bytes();
    }
    const absl::Status added = co_await port_.Add(batch_id_, batch_);
    if (!added.ok()) {
      if (!IsPermanent(added)) {
        // The same batch again later, so that nothing counts twice.
        log::Debug("delivery", "results of TLS wait", {{"error", added}});
        break;
      }
      log::Error("delivery", "the queue refuses results of TLS", {{"error", added}});
    }
    batch_.clear();
  }
  flushing_ = false;
  --tasks_;
  if (!draining_) ScheduleFlush();
}

Task<void> TlsReporter::Look() {
  while (!draining_) {
    absl::StatusOr<std::optional<DueTlsReport>> due = co_await port_.Lease();
    if (!due.ok()) log::Debug("delivery", "no report about TLS", {{"error", due.status()}});
    if (!due.ok() || !due->has_value()) break;
    DueTlsReport next = **std::move(due);
    co_await Make(std::move(next));
  }
  --tasks_;
  if (!draining_) ScheduleLook();
}

Task<void> TlsReporter::Make(DueTlsReport due) {
  Sent sent = co_await Send(due);
  sent.note = Short(std::move(sent.note));
  switch (sent.result) {
    case TlsReportResult::kSent:
      Count("sent");
      log::Info("delivery", "report about TLS",
                {{"domain", due.domain}, {"id", due.message_id.ToString()}, {"to", sent.note}});
      break;
    case TlsReportResult::kNotWanted:
      Count("not wanted");
      break;
    case TlsReportResult::kFailed:
      Count("failed");
      log::Warn("delivery", "no report about TLS could be sent",
                {{"domain", due.domain}, {"error", sent.note}});
      break;
  }
  const absl::Status finished = co_await port_.Finish(due, sent.result, std::move(sent.note));
  if (!finished.ok()) {
    // It is leased again; its mail has the same id then.
    log::Warn("delivery", "a report about TLS will be made again",
              {{"domain", due.domain}, {"error", finished}});
  }
}

Task<TlsReporter::Sent> TlsReporter::Send(const DueTlsReport& due) {
  Sent sent;
  if (due.policies.empty()) {
    sent.result = TlsReportResult::kNotWanted;
    sent.note = "nothing was counted";
    co_return sent;
  }
  const dns::Answer<std::string> records =
      co_await resolver_.QueryTxt(absl::StrCat("_smtp._tls.", due.domain));
  if (records.outcome == dns::Outcome::kTemporary) {
    sent.note = absl::StrCat("_smtp._tls.", due.domain, ": ", records.error);
    co_return sent;
  }
  const tlsrpt::Destinations destinations = tlsrpt::ParseRecords(records.records);
  if (destinations.empty()) {
    sent.result = TlsReportResult::kNotWanted;
    co_return sent;
  }
  tlsrpt::Report report;
  report.organization_name = options_.organization_name;
  report.contact_info = options_.contact_info;
  report.id = absl::StrCat(due.message_id.ToString(), "@", submitter_);
  report.domain = due.domain;
  const absl::CivilDay day = absl::CivilDay(1970, 1, 1) + due.day;
  report.start = absl::FromCivil(day, absl::UTCTimeZone());
  report.end = absl::FromCivil(day + 1, absl::UTCTimeZone()) - absl::Seconds(1);
  report.policies = due.policies;
  const std::string compressed = tlsrpt::Gzip(tlsrpt::ToJson(report));
  // One way is enough for it to count as sent: what is repeated would come twice the other way.
  std::vector<std::string> done, failed;
  for (const std::string& url : destinations.urls) {
    const absl::Status posted = co_await Post(url, compressed);
    if (posted.ok()) {
      done.push_back(url);
    } else {
      failed.push_back(absl::StrCat(url, ": ", posted.message()));
    }
  }
  if (!destinations.addresses.empty()) {
    const absl::Status mailed = co_await Mail(std::move(report), destinations.addresses,
                                              compressed, due.message_id);
    if (mailed.ok()) {
      done.insert(done.end(), destinations.addresses.begin(), destinations.addresses.end());
    } else {
      failed.push_back(std::string(mailed.message()));
    }
  }
  if (!done.empty()) sent.result = TlsReportResult::kSent;
  sent.note = absl::StrCat(absl::StrJoin(done, ", "), done.empty() || failed.empty() ? "" : "; ",
                           failed.empty() ? "" : "not: ", absl::StrJoin(failed, ", "));
  co_return sent;
}

Task<absl::Status> TlsReporter::Mail(tlsrpt::Report report, std::vector<std::string> addresses,
                                     std::string compressed, MessageId id) {
  const absl::StatusOr<Resolution> sender = co_await directory_.Resolve(options_.from);
  if (!sender.ok()) co_return sender.status();
  if (!sender->tenant || sender->kind == Resolution::Kind::kRemote) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("delivery.tls_reports.from: the domain of ", options_.from,
                     " is none of this platform"));
  }
  const absl::Time now = clock_.Now();
  tlsrpt::Mail mail;
  mail.from = options_.from;
  mail.to = addresses;
  mail.submitter = submitter_;
  mail.message_id = report.id;
  mail.date = now;
  const std::string text = tlsrpt::ComposeMail(report, mail, compressed);

  OutboundMessage message;
  message.tenant = sender->tenant;
  message.message_id = id;
  message.reverse_path = options_.from;
  for (const std::string& address : addresses) {
    OutboundRecipient& recipient = message.recipients.emplace_back();
    recipient.address = recipient.original_address = address;
    // Nobody waits for an answer; the log of events has what became of it.
    recipient.options.notify_given = recipient.options.never = true;
  }
  message.received_at = now;
  // Section 5.3: trouble with TLS keeps no report about it back; nor is it in the next one, so that
  // reports are not about reports.
  message.options.tls_optional = true;
  if (text.size() <= kMaxInline) {
    message.inline_body = text;
  } else {
    StringReader reader(text);
    absl::StatusOr<BodyRef> stored = co_await queue_.PutBody(message.tenant, reader);
    if (!stored.ok()) co_return stored.status();
    message.stored_body = *std::move(stored);
  }
  const absl::Status queued = co_await queue_.Enqueue(std::move(message));
  co_return queued;
}

Task<absl::Status> TlsReporter::Post(std::string url, std::string compressed) {
  absl::StatusOr<HttpsRequest> request = RequestFor(url);
  if (!request.ok()) co_return request.status();
  request->content_type = "application/tlsrpt+gzip";
  request->content = std::move(compressed);
  const absl::StatusOr<HttpsAnswer> answer = co_await https_.Ask(*std::move(request));
  if (!answer.ok()) co_return answer.status();
  // Section 5.4: 200 and 201 are success.
  if (answer->status / 100 == 2) co_return absl::OkStatus();
  co_return absl::UnavailableError(absl::StrCat("status ", answer->status));
}

}  // namespace posthorn::delivery
