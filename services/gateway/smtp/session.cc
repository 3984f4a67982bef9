#include "services/gateway/smtp/session.h"

#include <utility>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/gateway/smtp/handlers.h"
#include "services/gateway/smtp/run_command.h"

namespace posthorn::gateway {
namespace {

// Replies wait for each other up to this many octets.
constexpr std::size_t kMaxOutput = 64 * 1024;

}  // namespace

SmtpSession::SmtpSession(const SmtpDependencies& dependencies, const SmtpLimits& limits,
                         const SmtpListenerOptions& options, net::Stream& stream,
                         const std::atomic<bool>& draining)
    : context_(dependencies, limits, options, stream), stream_(stream), draining_(draining) {}

Task<void> SmtpSession::Run() {
  if (context_.options.role == SmtpRole::kSubmissions) {
    const absl::Status secured = co_await Handshake();
    if (!secured.ok()) co_return;
  }
  Say(Greeting(context_));
  for (;;) {
    const absl::Status written = co_await Flush();
    if (!written.ok() || closing_) co_return;
    co_await Read();
    if (!closing_) co_await Work();
  }
}

Task<absl::Status> SmtpSession::Handshake() {
  if (context_.deps.tls == nullptr) co_return absl::FailedPreconditionError("no certificate");
  const absl::Status status =
      co_await stream_.StartTlsServer(*context_.deps.tls, context_.limits.command_timeout);
  if (!status.ok()) {
    log::Info("smtp", "TLS handshake failed",
              {{"client", stream_.peer().ip}, {"error", status}});
  }
  co_return status;
}

Task<void> SmtpSession::Read() {
  const bool data = context_.input == SmtpInput::kData;
  const absl::Duration timeout =
      data ? context_.limits.data_timeout : context_.limits.command_timeout;
  absl::StatusOr<std::string> bytes = co_await stream_.ReadSome(timeout);
  if (!bytes.ok()) {
    // An interrupt: Drain wants to be noticed. A message under way may still be finished.
    if (absl::IsCancelled(bytes.status())) {
      if (!draining_.load() || data) co_return;
      Say(smtp::ReplyFor(MakeFailure(Failure::kShuttingDown)));
    } else if (FailureOf(bytes.status()) == Failure::kTimeout) {
      Say(smtp::ReplyFor(bytes.status()));
    }
    closing_ = true;
    co_return;
  }
  if (bytes->empty()) {
    closing_ = true;
    co_return;
  }
  if (data) {
    data_ = *std::move(bytes);
  } else {
    reader_.Feed(*std::move(bytes));
  }
}

Task<void> SmtpSession::Work() {
  waiting_ = false;
  while (!waiting_ && !closing_) {
    if (context_.input == SmtpInput::kData) {
      co_await WorkOnData();
    } else if (context_.input == SmtpInput::kTlsHandshake) {
      co_await StartTls();
    } else {
      co_await WorkOnLine();
    }
    if (output_.size() > kMaxOutput) {
      const absl::Status written = co_await Flush();
      if (!written.ok()) closing_ = true;
    }
  }
}

Task<void> SmtpSession::WorkOnLine() {
  const bool auth = context_.input == SmtpInput::kAuthResponse;
  reader_.set_max_line(auth || context_.IsSubmission() ? smtp::kMaxAuthLine
                                                       : smtp::kMaxCommandLine);
  const smtp::LineReader::Result result = reader_.Next();
  if (result.outcome == smtp::LineReader::Outcome::kNeedMore) {
    waiting_ = true;
    co_return;
  }
  if (draining_.load()) {
    Say(smtp::ReplyFor(MakeFailure(Failure::kShuttingDown)));
    co_return;
  }
  if (result.outcome == smtp::LineReader::Outcome::kTooLong) {
    Say(RefuseLongLine(context_));
    co_return;
  }
  std::string line(result.line);
  Task<smtp::Reply> run = auth ? RunAuthResponse(std::move(line), context_)
                               : RunCommand(std::move(line), context_);
  const smtp::Reply reply = co_await std::move(run);
  Say(reply);
  // Impatient clients send data with DATA; what was read as lines-to-be is data.
  if (context_.input == SmtpInput::kData) data_ = reader_.TakeRest();
}

Task<void> SmtpSession::WorkOnData() {
  if (data_.empty()) {
    waiting_ = true;
    co_return;
  }
  const std::size_t used = context_.data->Feed(data_);
  if (!context_.data->done()) {
    data_ = std::string();
    co_return;
  }
  std::string rest = data_.substr(used);
  data_ = std::string();
  const std::vector<smtp::Reply> replies = co_await FinishData(context_);
  for (const smtp::Reply& reply : replies) Say(reply);
  if (!rest.empty()) reader_.Feed(std::move(rest));
}

Task<void> SmtpSession::StartTls() {
  const absl::Status written = co_await Flush();
  if (!written.ok()) {
    closing_ = true;
    co_return;
  }
  // Nothing that arrived in clear text is executed under TLS (RFC 3207 section 4.2).
  reader_.Discard();
  const absl::Status secured = co_await Handshake();
  if (!secured.ok()) {
    closing_ = true;
    co_return;
  }
  ForgetClient(context_);
}

void SmtpSession::Say(const smtp::Reply& reply) {
  smtp::AppendReply(reply, output_);
  if (reply.Closes()) closing_ = true;
}

Task<absl::Status> SmtpSession::Flush() {
  if (output_.empty()) co_return absl::OkStatus();
  std::string output = std::exchange(output_, std::string());
  co_return co_await stream_.WriteAll(std::move(output), context_.limits.command_timeout);
}

}  // namespace posthorn::gateway
