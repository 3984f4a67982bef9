#include "lib/net/memory_stream.h"

#include <coroutine>
#include <cstddef>
#include <deque>
#include <utility>

#include "lib/base/executor.h"
#include "lib/base/failure.h"
#include "lib/net/proxy_protocol.h"

namespace posthorn::net {
namespace {

constexpr std::size_t kReadOctets = 64 * 1024;

// One direction of the pipe.
struct Direction {
  // What was written. A handshake is an item of its own, so that it is clear what came before it.
  struct Item {
    std::string bytes;
    bool handshake = false;
  };
  std::deque<Item> items;
  bool closed = false;      // no more will be written
  bool interrupted = false;
  bool reader_interruptible = false;
  std::coroutine_handle<> reader;
  Executor* executor = nullptr;
  std::uint64_t wait = 0;  // counts waits, so that an old timer knows that it is late
  bool timed_out = false;

  void Wake() {
    if (const std::coroutine_handle<> handle = std::exchange(reader, nullptr); handle) {
      executor->Post([handle] { handle.resume(); });
    }
  }
};

// Until something changes in `direction`, or the time is over.
class Change {
 public:
  Change(std::shared_ptr<Direction> direction, absl::Duration timeout, bool interruptible)
      : direction_(std::move(direction)), timeout_(timeout), interruptible_(interruptible) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    direction_->reader = handle;
    direction_->reader_interruptible = interruptible_;
    direction_->executor = Executor::Current();
    direction_->timed_out = false;
    const std::uint64_t wait = ++direction_->wait;
    if (timeout_ == absl::InfiniteDuration()) return;
    direction_->executor->PostAfter(timeout_, [direction = direction_, wait] {
      if (!direction->reader || direction->wait != wait) return;
      direction->timed_out = true;
      direction->Wake();
    });
  }
  // False: timed out.
  bool await_resume() const { return !direction_->timed_out; }

 private:
  const std::shared_ptr<Direction> direction_;
  const absl::Duration timeout_;
  const bool interruptible_;
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(std::shared_ptr<Direction> in, std::shared_ptr<Direction> out, PeerAddress peer,
               PeerAddress local)
      : in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)), local_(std::move(local)) {}
  ~MemoryStream() override { Close(); }

  Task<absl::StatusOr<std::string>> ReadSome(absl::Duration timeout) override {
    const std::shared_ptr<Direction> in = in_;
    const std::shared_ptr<bool> closed = closed_;
    for (;;) {
      if (*closed) co_return absl::UnavailableError("closed");
      if (std::exchange(in->interrupted, false)) co_return absl::CancelledError("interrupted");
      if (!in->items.empty() && !in->items.front().handshake) {
        std::string& first = in->items.front().bytes;
        std::string bytes = first.substr(0, kReadOctets);
        first.erase(0, bytes.size());
        if (first.empty()) in->items.pop_front();
        co_return std::move(bytes);
      }
      if (!in->items.empty()) co_return absl::UnavailableError("unexpected handshake");
      if (in->closed) co_return std::string();
      const bool changed = co_await Change(in, timeout, true);
      if (!changed) co_return MakeFailure(Failure::kTimeout);
    }
  }

  Task<absl::Status> WriteAll(std::string bytes, absl::Duration) override {
    if (*closed_ || out_->closed) co_return absl::UnavailableError("closed");
    Direction::Item item;
    item.bytes = std::move(bytes);
    if (!item.bytes.empty()) out_->items.push_back(std::move(item));
    out_->Wake();
    co_return absl::OkStatus();
  }

  Task<absl::Status> StartTlsServer(const TlsContext&, absl::Duration timeout) override {
    absl::Status status = co_await Handshake(timeout);
    co_return status;
  }

  Task<absl::Status> StartTlsClient(const TlsContext&, TlsPeer,
                                    absl::Duration timeout) override {
    absl::Status status = co_await Handshake(timeout);
    co_return status;
  }

  Task<absl::Status> AcceptProxyHeader(absl::Duration timeout) override {
    ProxyHeaderReader reader;
    while (reader.state() == ProxyHeaderReader::State::kNeedMore) {
      absl::StatusOr<std::string> bytes = co_await ReadSome(timeout);
      if (!bytes.ok()) co_return bytes.status();
      if (bytes->empty()) co_return absl::UnavailableError("closed");
      const std::size_t used = reader.Feed(*bytes);
      if (used == bytes->size()) continue;
      Direction::Item rest;
      rest.bytes = bytes->substr(used);
      in_->items.push_front(std::move(rest));
    }
    if (reader.state() == ProxyHeaderReader::State::kInvalid) {
      co_return MakeFailure(Failure::kBadSequence, "no PROXY protocol header");
    }
    if (reader.has_addresses()) {
      peer_ = reader.source();
      local_ = reader.destination();
    }
    co_return absl::OkStatus();
  }

  bool HasInput() override {
    return !tls_.active && !in_->items.empty() && !in_->items.front().handshake;
  }

  const TlsInfo& tls() const override { return tls_; }
  std::vector<TlsBinding> TlsBindings() const override {
    if (!tls_.active) return {};
    return {TlsBinding("tls-exporter", "memory")};
  }
  const PeerAddress& peer() const override { return peer_; }
  const PeerAddress& local() const override { return local_; }

  void Interrupt() override {
    in_->interrupted = true;
    if (in_->reader_interruptible) in_->Wake();
  }

  void Close() override {
    if (std::exchange(*closed_, true)) return;
    out_->closed = true;
    out_->Wake();
    in_->closed = true;
    in_->Wake();
  }

 private:
  // Says hello and drops what the other end wrote before its own.
  Task<absl::Status> Handshake(absl::Duration timeout) {
    const std::shared_ptr<Direction> in = in_;
    const std::shared_ptr<bool> closed = closed_;
    if (tls_.active) co_return MakeFailure(Failure::kBadSequence, "TLS is already active");
    Direction::Item hello;
    hello.handshake = true;
    out_->items.push_back(std::move(hello));
    out_->Wake();
    for (;;) {
      if (*closed || (in->closed && in->items.empty())) co_return absl::UnavailableError("closed");
      bool met = false;
      while (!in->items.empty() && !met) {
        met = in->items.front().handshake;
        in->items.pop_front();
      }
      if (met) break;
      const bool changed = co_await Change(in, timeout, false);
      if (!changed) co_return MakeFailure(Failure::kTimeout);
    }
    tls_.active = true;
    tls_.version = "TLSv1.3";
    tls_.cipher = "TLS_AES_256_GCM_SHA384";
    co_return absl::OkStatus();
  }

  const std::shared_ptr<Direction> in_;
  const std::shared_ptr<Direction> out_;
  const std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);
  PeerAddress peer_;
  PeerAddress local_;
  TlsInfo tls_;
};

}  // namespace

MemoryPipe MakeMemoryPipe(PeerAddress client_address) {
  PeerAddress server_address;
  server_address.ip = client_address.ip.empty() ? "" : "192.0.2.25";
  server_address.port = 25;
  auto to_server = std::make_shared<Direction>();
  auto to_client = std::make_shared<Direction>();
  MemoryPipe pipe;
  pipe.server =
      std::make_unique<MemoryStream>(to_server, to_client, client_address, server_address);
  pipe.client =
      std::make_unique<MemoryStream>(to_client, to_server, server_address, client_address);
  return pipe;
}

}  // namespace posthorn::net
