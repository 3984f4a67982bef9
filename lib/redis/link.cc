#include "lib/redis/link.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/base/executor.h"
#include "lib/telemetry/log.h"

namespace posthorn::redis {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(20);

}  // namespace

void Link::Start(std::shared_ptr<Handler> handler) {
  handler_ = handler;
  Spawn(loop_, Run(std::move(handler)));
}

void Link::Stop() {
  if (stopping_.exchange(true)) return;
  std::shared_ptr<Handler> keep = handler_.lock();
  loop_.Post([this, keep] {
    if (stream_) stream_->Close();
    backoff_nap_.Wake();
    watch_nap_.Wake();
  });
  if (Executor::Current() == &loop_) return;
  // An attempt to connect is not interrupted, only bounded.
  const absl::Duration bound = options_.connect_timeout * 4 + absl::Seconds(2);
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

Task<Link::Opened> Link::Open() {
  if (options_.topology == Topology::kSentinel) {
    std::function<bool()> wanted = [this] { return !stopping_.load(); };
    const absl::StatusOr<Endpoint> master =
        co_await FindMaster(options_, next_, std::move(wanted));
    if (!master.ok()) co_return master.status();
    endpoint_ = *master;
    co_return co_await OpenMaster(options_, endpoint_);
  }
  const bool cluster = options_.topology == Topology::kCluster;
  const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(
      cluster ? options_.addresses[next_++ % options_.addresses.size()] : options_.address);
  if (!endpoint.ok()) co_return endpoint.status();
  endpoint_ = *endpoint;
  if (cluster) co_return co_await OpenClusterNode(options_, endpoint_);
  co_return co_await OpenConnection(options_, endpoint_, options_.user, options_.password);
}

Task<void> Link::WatchMaster(std::shared_ptr<net::Stream> stream,
                             std::shared_ptr<OneShot<bool>> ended) {
  const std::function<bool()> wanted = [this, &stream] {
    return !stopping_.load() && up_ && stream_ == stream;
  };
  while (wanted()) {
    co_await watch_nap_.Sleep(loop_, options_.master_check);
    if (!wanted()) break;
    const absl::StatusOr<Endpoint> master = co_await FindMaster(options_, next_, wanted);
    // Sentinels that are away say nothing of the master.
    if (!master.ok() || *master == endpoint_ || !wanted()) continue;
    log::Info("redis", "another master", {{"address", master->ToString()}});
    stream->Close();
  }
  ended->Set(true);
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
    Opened opened = co_await Open();
    absl::Status status = opened.status();
    if (opened.ok()) {
      stream_ = *std::move(opened);
      out_.clear();
      writing_ = false;
    }
    if (status.ok() && !stopping_) {
      log::Info("redis", "connected", {{"address", endpoint_.ToString()}});
      backoff = kFirstBackoff;
      reported = false;
      up_ = true;
      handler->OnUp();
      std::shared_ptr<OneShot<bool>> watched;
      if (options_.topology == Topology::kSentinel) {
        watched = std::make_shared<OneShot<bool>>();
        Spawn(loop_, WatchMaster(stream_, watched));
      }
      status = co_await Serve(*handler);
      up_ = false;
      stream_->Close();
      handler->OnDown();
      if (watched) {
        watch_nap_.Wake();
        OneShot<bool>& watch_ended = *watched;
        co_await watch_ended;
      }
    } else {
      handler->OnDown();
    }
    if (stream_) stream_->Close();
    stream_.reset();
    out_.clear();
    writing_ = false;
    if (stopping_) break;
    if (!std::exchange(reported, true)) {
      log::Warn("redis", "away", {{"address", endpoint_.ToString()}, {"error", status}});
    }
    co_await backoff_nap_.Sleep(loop_, backoff);
    backoff = std::min(backoff * 2, options_.max_backoff);
  }
  ended_.set_value();
}

}  // namespace posthorn::redis
