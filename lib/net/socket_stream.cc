#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "lib/base/failure.h"
#include "lib/net/peer_user.h"
#include "lib/net/proxy_protocol.h"
#include "lib/net/socket.h"
#include "lib/net/tls_internal.h"

namespace posthorn::net {
namespace {

constexpr std::size_t kReadOctets = 64 * 1024;
// Encrypted and sent together: four records, so that little memory and few system calls are used.
constexpr std::size_t kEncryptOctets = 64 * 1024;
// Clear text that may stand before the client's first TLS record.
constexpr std::size_t kMaxDiscardOctets = 64 * 1024;
constexpr char kTlsHandshakeRecord = 0x16;

// Shared by all streams of a loop: between a read and the copy of what came nothing else runs.
char* ReadBuffer() {
  static thread_local char buffer[kReadOctets];
  return buffer;
}

void SetOption(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof(on));
}

// Every operation keeps the socket alive on its own and looks whether it was closed before it
// touches the stream again: the stream may be destroyed while it waits.
class SocketStream final : public Stream {
 public:
  explicit SocketStream(std::shared_ptr<Socket> socket)
      : socket_(std::move(socket)),
        peer_(AddressOf(socket_->fd(), true)),
        local_(AddressOf(socket_->fd(), false)) {
    if (!local_.ip.empty()) {
      SetOption(socket_->fd(), IPPROTO_TCP, TCP_NODELAY);
      SetOption(socket_->fd(), SOL_SOCKET, SO_KEEPALIVE);
    }
  }
  ~SocketStream() override { Close(); }

  Task<absl::StatusOr<std::string>> ReadSome(absl::Duration timeout) override {
    const std::shared_ptr<Socket> socket = socket_;
    const auto deadline = Socket::DeadlineAfter(timeout);
    for (;;) {
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      if (socket->TakeInterruption()) co_return absl::CancelledError("interrupted");
      char* const buffer = ReadBuffer();
      const Socket::Result result = tls_ != nullptr ? tls_->Receive(buffer, kReadOctets)
                                                    : socket->Receive(buffer, kReadOctets);
      if (tls_ != nullptr) SendLeftovers();
      if (result.octets > 0) co_return std::string(buffer, result.octets);
      if (result.closed) co_return std::string();
      if (result.error != 0) co_return ConnectionError(result.error);
      const Socket::Wake wake = co_await socket->WaitToRead(deadline);
      if (wake == Socket::Wake::kTimeout) co_return MakeFailure(Failure::kTimeout);
    }
  }

  Task<absl::Status> WriteAll(std::string bytes, absl::Duration timeout) override {
    if (tls_ == nullptr) {
      absl::Status status = co_await Flush(std::move(bytes), timeout);
      co_return status;
    }
    const std::shared_ptr<Socket> socket = socket_;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      const std::string_view piece = rest.substr(0, kEncryptOctets);
      rest.remove_prefix(piece.size());
      absl::Status status = tls_->Encrypt(piece);
      if (!status.ok()) co_return status;
      std::string records = std::exchange(tls_->output(), std::string());
      writing_records_ = true;
      status = co_await Flush(std::move(records), timeout);
      // Half a record may be out: nothing more can be said on this connection.
      if (!status.ok()) co_return status;
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      writing_records_ = false;
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> StartTlsServer(const TlsContext& context, absl::Duration timeout) override {
    if (tls_ != nullptr) co_return MakeFailure(Failure::kBadSequence, "TLS is already active");
    const std::shared_ptr<Socket> socket = socket_;
    const auto deadline = Socket::DeadlineAfter(timeout);
    absl::Status status = co_await DiscardClearText(deadline);
    if (!status.ok()) co_return status;
    absl::StatusOr<std::unique_ptr<TlsSession>> session = TlsSession::Server(context, socket);
    if (!session.ok()) co_return session.status();
    status = co_await Handshake(*std::move(session), deadline);
    co_return status;
  }

  Task<absl::Status> StartTlsClient(const TlsContext& context, TlsPeer peer,
                                    absl::Duration timeout) override {
    if (tls_ != nullptr) co_return MakeFailure(Failure::kBadSequence, "TLS is already active");
    absl::StatusOr<std::unique_ptr<TlsSession>> session =
        TlsSession::Client(context, socket_, peer);
    if (!session.ok()) co_return session.status();
    absl::Status status =
        co_await Handshake(*std::move(session), Socket::DeadlineAfter(timeout));
    co_return status;
  }

  std::vector<TlsBinding> TlsBindings() const override {
    return tls_ == nullptr ? std::vector<TlsBinding>() : tls_->Bindings();
  }

  Task<absl::Status> AcceptProxyHeader(absl::Duration timeout) override {
    const std::shared_ptr<Socket> socket = socket_;
    const auto deadline = Socket::DeadlineAfter(timeout);
    ProxyHeaderReader reader;
    while (reader.state() == ProxyHeaderReader::State::kNeedMore) {
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      char* const buffer = ReadBuffer();
      // Looked at first, because only what belongs to the header may be taken.
      const Socket::Result result = socket->Peek(buffer, ProxyHeaderReader::kMaxOctets);
      if (result.closed) co_return ConnectionError(ECONNRESET);
      if (result.error != 0) co_return ConnectionError(result.error);
      if (result.octets > 0) {
        const std::size_t used = reader.Feed(std::string_view(buffer, result.octets));
        socket->Receive(buffer, used);
        continue;
      }
      const Socket::Wake wake = co_await socket->Wait(Socket::Side::kRead, deadline);
      if (wake == Socket::Wake::kTimeout) co_return MakeFailure(Failure::kTimeout);
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
    if (tls_ != nullptr || socket_->closed()) return false;
    char octet = 0;
    return socket_->Peek(&octet, 1).octets > 0;
  }

  const TlsInfo& tls() const override { return tls_info_; }
  const PeerAddress& peer() const override { return peer_; }
  const PeerAddress& local() const override { return local_; }
  void Interrupt() override { socket_->Interrupt(); }

  void Close() override {
    if (socket_->closed()) return;
    if (tls_ != nullptr) {
      tls_->Shutdown();
      SendLeftovers();
    }
    socket_->Close();
  }

 private:
  // Sends `bytes`, waiting for the kernel as often as it takes.
  Task<absl::Status> Flush(std::string bytes, absl::Duration timeout) {
    const std::shared_ptr<Socket> socket = socket_;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      const Socket::Result result = socket->Send(rest);
      rest.remove_prefix(result.octets);
      if (result.error != 0) co_return ConnectionError(result.error);
      if (!result.would_block) continue;
      const Socket::Wake wake =
          co_await socket->Wait(Socket::Side::kWrite, Socket::DeadlineAfter(timeout));
      if (wake == Socket::Wake::kTimeout) co_return MakeFailure(Failure::kTimeout);
    }
    co_return absl::OkStatus();
  }

  // What TLS itself has to say (tickets, alerts): sent if the kernel takes it now, else with the
  // next write.
  void SendLeftovers() {
    std::string& output = tls_->output();
    if (output.empty() || writing_records_) return;  // never between two halves of a record
    const Socket::Result result = socket_->Send(output);
    output.erase(0, result.octets);
  }

  // RFC 3207 section 4.2: what a client, or somebody between, sent before the handshake is not
  // read. A client that follows the protocol sends nothing there.
  Task<absl::Status> DiscardClearText(Socket::Clock::time_point deadline) {
    const std::shared_ptr<Socket> socket = socket_;
    std::size_t discarded = 0;
    for (;;) {
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      char* const buffer = ReadBuffer();
      const Socket::Result result = socket->Peek(buffer, kReadOctets);
      if (result.closed) co_return ConnectionError(ECONNRESET);
      if (result.error != 0) co_return ConnectionError(result.error);
      if (result.octets > 0) {
        const std::size_t start =
            std::string_view(buffer, result.octets).find(kTlsHandshakeRecord);
        const std::size_t clear = std::min(start, result.octets);
        if (clear > 0) socket->Receive(buffer, clear);
        if (start != std::string_view::npos) co_return absl::OkStatus();
        discarded += clear;
        if (discarded > kMaxDiscardOctets) {
          co_return MakeFailure(Failure::kTlsFailed, "no TLS handshake");
        }
        continue;
      }
      const Socket::Wake wake = co_await socket->Wait(Socket::Side::kRead, deadline);
      if (wake == Socket::Wake::kTimeout) co_return MakeFailure(Failure::kTimeout);
    }
  }

  Task<absl::Status> Handshake(std::unique_ptr<TlsSession> session,
                               Socket::Clock::time_point deadline) {
    const std::shared_ptr<Socket> socket = socket_;
    for (;;) {
      if (socket->closed()) co_return ConnectionError(ECONNABORTED);
      const absl::StatusOr<TlsSession::Progress> progress = session->Handshake();
      // Also after a failure: the alert tells the peer why.
      std::string records = std::exchange(session->output(), std::string());
      const absl::Duration left = absl::FromChrono(deadline - Socket::Clock::now());
      absl::Status sent = co_await Flush(std::move(records), left);
      if (!progress.ok()) {
        tls_info_.problem = session->problem();
        co_return progress.status();
      }
      if (!sent.ok()) co_return sent;
      if (*progress == TlsSession::Progress::kDone) break;
      const Socket::Wake wake = co_await socket->Wait(Socket::Side::kRead, deadline);
      if (wake == Socket::Wake::kTimeout) co_return MakeFailure(Failure::kTimeout);
    }
    if (socket->closed()) co_return ConnectionError(ECONNABORTED);
    tls_info_ = session->info();
    tls_ = std::move(session);
    co_return absl::OkStatus();
  }

  friend std::optional<uid_t> net::PeerUser(const Stream& stream);

  const std::shared_ptr<Socket> socket_;
  PeerAddress peer_;
  PeerAddress local_;
  std::unique_ptr<TlsSession> tls_;
  TlsInfo tls_info_;
  bool writing_records_ = false;
};

}  // namespace

std::optional<uid_t> PeerUser(const Stream& stream) {
  const auto* const socket = dynamic_cast<const SocketStream*>(&stream);
  if (socket == nullptr) return std::nullopt;
  const int fd = socket->socket_->fd();
  int domain = 0;
  socklen_t size = sizeof(domain);
  ucred peer{};
  socklen_t peer_size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0) {
    return std::nullopt;
  }
  return peer.uid;
}

std::unique_ptr<Stream> MakeSocketStream(std::shared_ptr<Socket> socket) {
  return std::make_unique<SocketStream>(std::move(socket));
}

}  // namespace posthorn::net
