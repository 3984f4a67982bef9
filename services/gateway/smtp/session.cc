#include "services/gateway/smtp/session.h"

#include <algorithm>
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
                         const SmtpListenerOptions& options, SmtpShared& shared,
                         net::Stream& stream, const std::atomic<bool>& draining,
                         std::optional<LocalUser> user)
    : context_(dependencies, limits, options, shared, stream),
      stream_(stream),
      draining_(draining) {
  if (user.has_value()) context_.local.emplace(*std::move(user), options);
}

Task<void> SmtpSession::Run() {
  bool greet = true;
  if (context_.options.role == SmtpRole::kSubmissions) {
    const absl::Status secured = co_await Handshake();
    if (!secured.ok()) co_return;
  } else {
    greet = co_await WaitBeforeGreeting();
  }
  if (greet) Say(Greeting(context_));
  for (;;) {
    // The time for a command begins when the replies before it have left.
    const absl::Status written = co_await Flush();
    if (!written.ok() || closing_) co_return;
    if (draining_.load() && IsIdle()) {
      Say(smtp::ReplyFor(MakeFailure(Failure::kShuttingDown)));
      continue;
    }
    co_await Read();
    if (!closing_) co_await Work();
  }
}

bool SmtpSession::IsIdle() const {
  return !context_.transaction.has_value() && context_.input != SmtpInput::kChunk;
}

Task<bool> SmtpSession::WaitBeforeGreeting() {
  bool early = stream_.HasInput();
  if (!early && context_.options.greeting_delay > absl::ZeroDuration()) {
    const absl::StatusOr<std::string> bytes =
        co_await stream_.ReadSome(context_.options.greeting_delay);
    early = bytes.ok() && !bytes->empty();
  }
  if (early) Say(RefuseEarlyTalk("before the greeting", context_));
  co_return !early;
}

Task<absl::Status> SmtpSession::Handshake() {
  if (context_.deps.tls == nullptr) co_return absl::FailedPreconditionError("no certificate");
  const absl::Status status =
      co_await stream_.StartTlsServer(*context_.deps.tls, context_.limits.command_timeout);
  if (!status.ok()) {
    log::Info("smtp", "TLS handshake failed",
              {{"client", context_.client().ip}, {"error", status}});
  }
  co_return status;
}

absl::Duration SmtpSession::TimeLeft() const {
  const SmtpLimits& limits = context_.limits;
  const absl::Time now = context_.deps.clock->Now();
  if (context_.input != SmtpInput::kData && context_.input != SmtpInput::kChunk) {
    return line_deadline_ - now;
  }
  // A chunk that is refused belongs to no message.
  const bool message = context_.data != nullptr;
  const absl::Time began = message ? context_.data->began() : context_.chunk->began;
  const std::uint64_t octets =
      message ? context_.data->octets() : context_.chunk->octets - context_.chunk->left;
  const absl::Duration earned =
      limits.min_data_octets_per_second > 0
          ? absl::Seconds(octets / static_cast<std::uint64_t>(limits.min_data_octets_per_second))
          : absl::InfiniteDuration();
  const absl::Duration allowed =
      std::min(limits.data_timeout + earned, limits.data_total_timeout);
  return std::min(limits.data_timeout, began + allowed - now);
}

Task<void> SmtpSession::Read() {
  const bool data = context_.input == SmtpInput::kData || context_.input == SmtpInput::kChunk;
  const absl::Duration timeout = TimeLeft();
  absl::StatusOr<std::string> bytes = MakeFailure(Failure::kTimeout);
  if (timeout > absl::ZeroDuration()) bytes = co_await stream_.ReadSome(timeout);
  if (!bytes.ok()) {
    // An interrupt: Drain wants to be noticed. Run looks, between transactions.
    if (absl::IsCancelled(bytes.status())) co_return;
    if (FailureOf(bytes.status()) == Failure::kTimeout) {
      if (data) log::Info("smtp", "message too slow", {{"client", context_.client().ip}});
      Say(smtp::ReplyFor(bytes.status()));
    }
    closing_ = true;
    co_return;
  }
  if (bytes->empty()) {
    closing_ = true;
    co_return;
  }
  reader_.Feed(*std::move(bytes));
}

Task<void> SmtpSession::Work() {
  waiting_ = false;
  while (!waiting_ && !closing_) {
    switch (context_.input) {
      case SmtpInput::kData: co_await WorkOnData(); break;
      case SmtpInput::kChunk: co_await WorkOnChunk(); break;
      case SmtpInput::kTlsHandshake: co_await StartTls(); break;
      case SmtpInput::kCommand:
      case SmtpInput::kAuthResponse: co_await WorkOnLine(); break;
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
  line_deadline_ = absl::InfinitePast();  // the next one has its own time
  if (draining_.load() && IsIdle()) {
    Say(smtp::ReplyFor(MakeFailure(Failure::kShuttingDown)));
    co_return;
  }
  if (result.outcome == smtp::LineReader::Outcome::kTooLong) {
    Say(RefuseLongLine(context_));
    co_return;
  }
  std::string line(result.line);
  const bool more_waits = !reader_.empty();
  Task<smtp::Reply> run = auth ? RunAuthResponse(std::move(line), more_waits, context_)
                               : RunCommand(std::move(line), more_waits, context_);
  const smtp::Reply reply = co_await std::move(run);
  if (reply.code != 0) Say(reply);
}

Task<void> SmtpSession::WorkOnData() {
  const std::string_view bytes = reader_.Peek();
  if (bytes.empty()) {
    waiting_ = true;
    co_return;
  }
  const std::size_t used = context_.data->Feed(bytes);
  reader_.Consume(used);
  if (!context_.data->done()) co_return;
  const std::vector<smtp::Reply> replies = co_await FinishData(context_);
  for (const smtp::Reply& reply : replies) Say(reply);
  line_deadline_ = absl::InfinitePast();
}

Task<void> SmtpSession::WorkOnChunk() {
  SmtpChunk& chunk = *context_.chunk;
  const std::string_view bytes = reader_.Peek().substr(0, chunk.left);
  if (bytes.empty() && chunk.left > 0) {
    waiting_ = true;
    co_return;
  }
  if (!chunk.refusal.has_value()) context_.data->FeedChunk(bytes);
  chunk.left -= bytes.size();
  reader_.Consume(bytes.size());
  if (chunk.left > 0) co_return;
  const std::vector<smtp::Reply> replies = co_await FinishChunk(context_);
  for (const smtp::Reply& reply : replies) Say(reply);
  line_deadline_ = absl::InfinitePast();
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
  line_deadline_ = absl::InfinitePast();
}

void SmtpSession::Say(const smtp::Reply& reply) {
  smtp::AppendReply(reply, output_);
  if (reply.Closes()) closing_ = true;
}

Task<absl::Status> SmtpSession::Flush() {
  absl::Status status;
  if (!output_.empty()) {
    std::string output = std::exchange(output_, std::string());
    status = co_await stream_.WriteAll(std::move(output), context_.limits.command_timeout);
  }
  if (line_deadline_ == absl::InfinitePast()) {
    line_deadline_ = context_.deps.clock->Now() + context_.limits.command_timeout;
  }
  co_return status;
}

}  // namespace posthorn::gateway
