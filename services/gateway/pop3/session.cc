#include "services/gateway/pop3/session.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "lib/telemetry/log.h"

namespace posthorn::gateway {
namespace {

// Output waits for more up to this many octets; messages are stuffed in pieces of this size.
constexpr std::size_t kPiece = 64 * 1024;

void AppendRetrievalStart(const Pop3Reply::Retrieval& retrieval, std::string& out) {
  pop3::AppendOk(retrieval.body_lines ? "Top of message follows"
                                      : std::to_string(retrieval.size) + " octets",
                 out);
}

}  // namespace

Pop3Session::Pop3Session(const Pop3Dependencies& dependencies, const Pop3Limits& limits,
                         const Pop3ListenerOptions& options, net::Stream& stream,
                         const std::atomic<bool>& draining)
    : stream_(stream),
      draining_(draining),
      state_(dependencies, limits, options, stream),
      ahead_(*dependencies.store, *dependencies.clock) {}

Task<void> Pop3Session::Run() {
  pop3::AppendOk("Posthorn POP3 ready", output_);
  co_await Flush();
  while (!closing_) {
    co_await Read();
    co_await RunCommands();
    co_await Flush();
  }
  // A session that ends without QUIT deletes nothing (RFC 1939 section 6).
  co_await ReleaseLock(state_);
}

Task<void> Pop3Session::Read() {
  const absl::Duration limit = state_.phase == Pop3Phase::kTransaction
                                   ? state_.limits.idle_timeout
                                   : state_.limits.login_timeout;
  const absl::Time deadline = state_.deps.clock->Now() + limit;
  while (!closing_) {
    if (draining_.load()) {
      pop3::AppendError(MakeFailure(Failure::kShuttingDown), output_);
      closing_ = true;
      co_return;
    }
    const absl::Duration left = deadline - state_.deps.clock->Now();
    if (left <= absl::ZeroDuration()) {
      // RFC 1939 section 3: without a word.
      closing_ = true;
      co_return;
    }
    // Wakes up to renew the lock.
    const absl::Duration wait =
        state_.lock_holder.empty() ? left : std::min(left, state_.limits.lock_lease / 3);
    absl::StatusOr<std::string> bytes = co_await stream_.ReadSome(wait);
    const absl::Status renewed = co_await RenewLock(state_);
    if (!renewed.ok()) {
      pop3::AppendError(renewed, output_);
      closing_ = true;
      co_return;
    }
    if (bytes.ok()) {
      closing_ = bytes->empty();
      receiver_.Feed(*bytes);
      co_return;
    }
    const bool waited =
        absl::IsCancelled(bytes.status()) || FailureOf(bytes.status()) == Failure::kTimeout;
    if (!waited) closing_ = true;
    // A client that pauses this long gets its messages read again.
    ahead_.Clear();
  }
}

Task<void> Pop3Session::RunCommands() {
  while (!closing_) {
    Pop3Reply reply;
    std::optional<absl::StatusOr<pop3::Command>> next;
    std::optional<absl::StatusOr<std::string>> line;
    if (state_.auth != nullptr) {
      line = receiver_.NextLine();
    } else {
      next = receiver_.Next();
    }
    if (!next && !line) co_return;
    if (line) {
      if (line->ok()) {
        std::string response = **std::move(line);
        reply = co_await HandleAuthResponse(std::move(response), state_);
      } else {
        state_.auth.reset();
        reply = ErrorReply(line->status());
      }
    } else if (next->ok()) {
      pop3::Command command = **std::move(next);
      reply = co_await RunCommand(std::move(command), state_);
    } else {
      reply = ErrorReply(next->status());
    }
    const bool failed = reply.failed;
    const bool tls = reply.start_tls;
    co_await Send(std::move(reply));
    if (failed && ++state_.errors >= state_.limits.errors && !closing_) {
      pop3::AppendError(MakeFailure(Failure::kTooManyErrors), output_);
      closing_ = true;
    }
    if (tls && !closing_) co_await StartTls();
  }
}

Task<void> Pop3Session::Send(Pop3Reply reply) {
  output_ += reply.text;
  if (reply.listing != Pop3Reply::Listing::kNone) co_await SendListing(reply.listing);
  if (reply.retrieval) co_await SendMessage(*reply.retrieval);
  if (output_.size() >= kPiece) co_await Flush();
  if (reply.close) closing_ = true;
}

Task<void> Pop3Session::SendListing(Pop3Reply::Listing listing) {
  const std::vector<Maildrop::Message>& messages = state_.maildrop.messages();
  for (std::size_t i = 0; i < messages.size() && !closing_; ++i) {
    if (messages[i].deleted) continue;
    output_ += std::to_string(i + 1);
    output_ += ' ';
    output_ += listing == Pop3Reply::Listing::kSizes ? std::to_string(messages[i].size)
                                                     : state_.maildrop.UniqueId(messages[i]);
    output_ += "\r\n";
    if (output_.size() >= kPiece) co_await Flush();
  }
  pop3::AppendEnd(output_);
}

Task<void> Pop3Session::SendMessage(Pop3Reply::Retrieval retrieval) {
  const std::string* const message = co_await ahead_.Find(
      state_.login.tenant, state_.login.account, state_.maildrop, retrieval.index);
  if (message == nullptr) {
    co_await StreamMessage(retrieval);
    co_return;
  }
  std::string_view octets = *message;
  if (retrieval.body_lines) {
    pop3::TopFilter top(*retrieval.body_lines);
    octets = octets.substr(0, top.Feed(octets));
  }
  AppendRetrievalStart(retrieval, output_);
  pop3::DotStuffer stuffer;
  stuffer.Feed(octets, output_);
  stuffer.Finish(output_);
  // A slow client takes its time.
  const absl::Status renewed = co_await RenewLock(state_);
  if (!renewed.ok()) closing_ = true;
}

Task<void> Pop3Session::StreamMessage(Pop3Reply::Retrieval retrieval) {
  const std::unique_ptr<Reader<std::string>> reader =
      state_.deps.store->ReadMessage(state_.login.tenant, state_.login.account,
                                     state_.maildrop.mailbox(), retrieval.uid, 0, 0);
  pop3::DotStuffer stuffer;
  std::optional<pop3::TopFilter> top;
  if (retrieval.body_lines) top.emplace(*retrieval.body_lines);
  bool started = false;
  while (!closing_) {
    absl::StatusOr<std::optional<std::string>> piece = co_await reader->Next();
    if (!piece.ok()) {
      log::Info("pop3", "message cannot be read",
                {{"account", state_.login.account.value()},
                 {"uid", retrieval.uid},
                 {"status", piece.status()}});
      // Once it has begun only the end of the connection can tell of the error.
      if (started) {
        closing_ = true;
      } else {
        pop3::AppendError(piece.status(), output_);
      }
      co_return;
    }
    if (!started) {
      started = true;
      AppendRetrievalStart(retrieval, output_);
    }
    if (!piece->has_value()) break;
    std::string_view rest = **piece;
    if (top) rest = rest.substr(0, top->Feed(rest));
    while (!rest.empty() && !closing_) {
      stuffer.Feed(rest.substr(0, kPiece), output_);
      rest.remove_prefix(std::min(kPiece, rest.size()));
      if (output_.size() >= kPiece) co_await Flush();
      // A slow client takes its time.
      const absl::Status renewed = co_await RenewLock(state_);
      if (!renewed.ok()) closing_ = true;
    }
    if (top && top->done()) break;
  }
  if (!closing_) stuffer.Finish(output_);
}

Task<void> Pop3Session::StartTls() {
  co_await Flush();
  if (closing_) co_return;
  receiver_.Discard();
  const absl::Status secured =
      co_await stream_.StartTlsServer(*state_.deps.tls, state_.limits.login_timeout);
  if (!secured.ok()) {
    log::Info("pop3", "TLS handshake failed",
              {{"client", stream_.peer().ip}, {"status", secured}});
    closing_ = true;
  }
}

Task<void> Pop3Session::Flush() {
  if (output_.empty()) co_return;
  std::string output = std::exchange(output_, std::string());
  const absl::Status written =
      co_await stream_.WriteAll(std::move(output), state_.limits.write_timeout);
  if (!written.ok()) closing_ = true;
}

}  // namespace posthorn::gateway
