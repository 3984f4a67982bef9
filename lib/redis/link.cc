#include "lib/redis/link.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/executor.h"
#include "lib/base/one_shot.h"
#include "lib/net/listener.h"
#include "lib/telemetry/log.h"

namespace posthorn::redis {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(20);

struct HostPort {
  std::string host;
  int port = 6379;
};

// "host:port" or "[host]:port"; the port may be left out.
absl::StatusOr<HostPort> ParseAddress(const std::string& address) {
  HostPort result;
  const std::size_t colon = address.rfind(':');
  const bool bracketed = !address.empty() && address.front() == '[';
  const std::size_t close = bracketed ? address.find(']') : std::string::npos;
  const bool has_port = colon != std::string::npos && (!bracketed || colon > close);
  if (has_port && !absl::SimpleAtoi(address.substr(colon + 1), &result.port)) {
    return absl::InvalidArgumentError(absl::StrCat("Redis address: ", address));
  }
  result.host = has_port ? address.substr(0, colon) : address;
  if (bracketed) result.host = address.substr(1, close - 1);
  return result;
}

}  // namespace

// A sleep that Stop cuts short. Only on the loop.
struct Link::Nap {
  void Wake() {
    if (!std::exchange(woken, true)) done.Set(true);
  }
  bool woken = false;
  OneShot<bool> done;
};

void Link::Start(std::shared_ptr<Handler> handler) {
  handler_ = handler;
  Spawn(loop_, Run(std::move(handler)));
}

void Link::Stop() {
  if (stopping_.exchange(true)) return;
  std::shared_ptr<Handler> keep = handler_.lock();
  loop_.Post([this, keep] {
    if (stream_) stream_->Close();
    if (nap_) nap_->Wake();
  });
  if (Executor::Current() == &loop_) return;
  // An attempt to connect is not interrupted, only bounded.
  const absl::Duration bound = options_.connect_timeout * 3 + absl::Seconds(2);
  ended_.get_future().wait_for(absl::ToChronoMilliseconds(bound));
}

void Link::Write(std::string_view bytes) {
  if (!stream_) return;
  out_.append(bytes);
  if (writing_) return;
  writing_ = true;
  Spawn(loop_, WriteOut(handler_.lock(), stream_));
}

void Link::Break() {
  if (stream_) stream_->Close();
}

Task<void> Link::WriteOut([[maybe_unused]] std::shared_ptr<Handler> handler,
                          std::shared_ptr<net::Stream> stream) {
  while (stream == stream_ && !out_.empty()) {
    std::string bytes = std::exchange(out_, {});
    const absl::Status status =
        co_await stream->WriteAll(std::move(bytes), options_.command_timeout);
    if (!status.ok()) {
      stream->Close();
      break;
    }
  }
  if (stream == stream_) writing_ = false;
}

Task<void> Link::Sleep(absl::Duration duration) {
  auto nap = std::make_shared<Nap>();
  nap_ = nap;
  loop_.PostAfter(duration, [nap] { nap->Wake(); });
  co_await nap->done;
  nap_.reset();
}

Task<absl::Status> Link::Open() {
  absl::StatusOr<std::unique_ptr<net::Stream>> stream = absl::UnknownError("");
  if (!options_.address.empty() && options_.address.front() == '/') {
    stream = co_await net::ConnectUnix(options_.address, options_.connect_timeout);
  } else {
    absl::StatusOr<HostPort> to = ParseAddress(options_.address);
    if (!to.ok()) co_return to.status();
    stream = co_await net::Connect(to->host, to->port, "", options_.connect_timeout);
  }
  if (!stream.ok()) co_return stream.status();
  stream_ = *std::move(stream);
  out_.clear();
  writing_ = false;
  if (options_.password.empty()) co_return absl::OkStatus();

  const std::vector<std::string> auth = {"AUTH", options_.password};
  absl::Status written = co_await stream_->WriteAll(FormatCommand(auth), options_.command_timeout);
  if (!written.ok()) co_return written;
  ReplyParser parser;
  for (;;) {
    absl::StatusOr<std::string> bytes = co_await stream_->ReadSome(options_.command_timeout);
    if (!bytes.ok()) co_return bytes.status();
    if (bytes->empty()) co_return absl::UnavailableError("closed");
    absl::Status fed = parser.Feed(*bytes);
    if (!fed.ok()) co_return fed;
    absl::StatusOr<std::optional<Reply>> reply = parser.Next();
    if (!reply.ok()) co_return reply.status();
    if (!reply->has_value()) continue;
    if ((*reply)->is_error()) co_return absl::UnauthenticatedError((*reply)->text);
    co_return absl::OkStatus();
  }
}

Task<absl::Status> Link::Serve(Handler& handler) {
  ReplyParser parser;
  for (;;) {
    // Whoever waits for a reply bounds the wait and calls Break.
    absl::StatusOr<std::string> bytes = co_await stream_->ReadSome(absl::Hours(24));
    if (!bytes.ok()) co_return bytes.status();
    if (bytes->empty()) co_return absl::UnavailableError("closed by the server");
    absl::Status fed = parser.Feed(*bytes);
    if (!fed.ok()) co_return fed;
    for (;;) {
      absl::StatusOr<std::optional<Reply>> reply = parser.Next();
      if (!reply.ok()) co_return reply.status();
      if (!reply->has_value()) break;
      handler.OnReply(**std::move(reply));
    }
  }
}

Task<void> Link::Run(std::shared_ptr<Handler> handler) {
  absl::Duration backoff = kFirstBackoff;
  bool reported = false;
  while (!stopping_) {
    absl::Status status = co_await Open();
    if (status.ok() && !stopping_) {
      log::Info("redis", "connected", {{"address", options_.address}});
      backoff = kFirstBackoff;
      reported = false;
      up_ = true;
      handler->OnUp();
      status = co_await Serve(*handler);
      up_ = false;
    }
    if (stream_) stream_->Close();
    stream_.reset();
    out_.clear();
    writing_ = false;
    handler->OnDown();
    if (stopping_) break;
    if (!std::exchange(reported, true)) {
      log::Warn("redis", "away", {{"address", options_.address}, {"error", status}});
    }
    co_await Sleep(backoff);
    backoff = std::min(backoff * 2, options_.max_backoff);
  }
  ended_.set_value();
}

}  // namespace posthorn::redis
