#include "services/delivery/connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/client/dot_encoder.h"

namespace posthorn::delivery {
namespace {

using smtp::client::Session;
using smtp::client::Stage;

// Bytes of the message that one write carries at least, as long as there are so many.
constexpr std::size_t kWriteOctets = 64 * 1024;
// How long an answer to a body that could not be written whole is waited for.
constexpr absl::Duration kLastWords = absl::Seconds(2);

smtp::client::SessionOptions OptionsFor(const ConnectionOptions& options, bool use_tls) {
  smtp::client::SessionOptions result;
  result.hostname = options.hostname;
  result.allow_starttls = use_tls && options.tls != nullptr;
  return result;
}

std::string_view Place(Stage stage) { return StageName(stage); }

absl::Status Broken(const Host& host, Stage stage, absl::string_view what) {
  const std::string_view place = Place(stage);
  return MakeFailure(Failure::kConnectFailed,
                     absl::StrCat(host.ToString(), ": ", what, " (",
                                  absl::string_view(place.data(), place.size()), ")"));
}

}  // namespace

Connection::Connection(Host host, const ConnectionOptions& options, bool use_tls,
                       std::unique_ptr<net::Stream> stream)
    : host_(std::move(host)),
      options_(options),
      stream_(std::move(stream)),
      session_(OptionsFor(options, use_tls)) {}

Connection::~Connection() { stream_->Close(); }

void Connection::Abort() { stream_->Close(); }

Task<absl::StatusOr<std::unique_ptr<Connection>>> Connection::Open(
    Connector& connector, Host host, const ConnectionOptions& options, bool use_tls) {
  absl::StatusOr<std::unique_ptr<net::Stream>> stream =
      co_await connector.Connect(host.ip, host.port, options.connect_timeout);
  if (!stream.ok()) {
    co_return MakeFailure(Failure::kConnectFailed,
                          absl::StrCat(host.ToString(), ": ", stream.status().message()));
  }
  std::unique_ptr<Connection> connection(
      new Connection(std::move(host), options, use_tls, *std::move(stream)));
  for (;;) {
    co_await connection->Flush();
    switch (connection->session_.need()) {
      case Session::Need::kReply:
        co_await connection->ReadReply();
        continue;
      case Session::Need::kStartTls:
        co_await connection->StartTls();
        continue;
      case Session::Need::kReady:
        co_return std::move(connection);
      case Session::Need::kBody:
      case Session::Need::kClosed:
        break;
    }
    const absl::Status& why = connection->session_.error();
    if (connection->tls_failed_) co_return why;
    co_return MakeFailure(Failure::kConnectFailed, std::string(why.message()));
  }
}

absl::Duration Connection::TimeoutNow() const {
  return session_.stage() == Stage::kFinalDot ? options_.final_dot_timeout
                                              : options_.command_timeout;
}

Task<void> Connection::Flush() {
  std::string output = session_.TakeOutput();
  if (output.empty()) co_return;
  const absl::Status written =
      co_await stream_->WriteAll(std::move(output), options_.command_timeout);
  if (!written.ok()) {
    session_.ConnectionLost(Broken(host_, session_.stage(), written.message()));
  }
}

Task<void> Connection::ReadReply() {
  const absl::StatusOr<std::string> bytes = co_await stream_->ReadSome(TimeoutNow());
  if (!bytes.ok()) {
    session_.ConnectionLost(Broken(host_, session_.stage(), bytes.status().message()));
  } else if (bytes->empty()) {
    session_.ConnectionLost(Broken(host_, session_.stage(), "the server closed the connection"));
  } else {
    session_.Feed(*bytes);
  }
}

Task<void> Connection::StartTls() {
  const absl::Status started =
      co_await stream_->StartTlsClient(*options_.tls, host_.name, options_.command_timeout);
  if (started.ok()) {
    session_.OnTlsStarted();
    co_return;
  }
  tls_failed_ = true;
  session_.ConnectionLost(MakeFailure(
      Failure::kTlsFailed,
      absl::StrCat(host_.ToString(), ": TLS negotiation failed: ", started.message())));
}

Task<Connection::Result> Connection::Send(smtp::client::Transaction transaction, BodySource& body,
                                          const LeaseView& lease) {
  Result result;
  session_.Begin(std::move(transaction));
  for (;;) {
    co_await Flush();
    switch (session_.need()) {
      case Session::Need::kReply:
        co_await ReadReply();
        continue;
      case Session::Need::kBody: {
        result = co_await SendBody(body, lease);
        if (result.end != End::kDone) co_return result;
        continue;
      }
      case Session::Need::kReady:
        co_return result;
      case Session::Need::kStartTls:
      case Session::Need::kClosed:
        result.end = End::kLost;
        result.error = session_.error();
        co_return result;
    }
  }
}

Task<Connection::Result> Connection::SendBody(BodySource& body, const LeaseView& lease) {
  Result result;
  smtp::client::DotEncoder encoder;
  std::string buffer;
  for (;;) {
    absl::StatusOr<std::string> piece = co_await body.Next();
    if (!piece.ok()) {
      result.end = End::kBodyFailed;
      result.error = piece.status();
      break;
    }
    if (piece->empty()) break;
    encoder.Encode(*piece, buffer);
    if (buffer.size() < kWriteOctets) continue;
    const absl::Status written =
        co_await stream_->WriteAll(std::move(buffer), options_.command_timeout);
    buffer = std::string();
    if (written.ok()) continue;
    // A server that has had enough may have said so before it closed.
    const absl::StatusOr<std::string> words = co_await stream_->ReadSome(kLastWords);
    if (words.ok() && !words->empty()) session_.Feed(*words);
    session_.ConnectionLost(Broken(host_, Stage::kFinalDot, written.message()));
    co_return result;
  }
  if (result.end == End::kDone && !lease.MaySendFinalDot()) {
    result.end = End::kLeaseNotSure;
    result.error = MakeFailure(Failure::kUnavailable, "the lease was not confirmed in time");
  }
  if (result.end != End::kDone) {
    // Without a final dot the server throws away what it has (RFC 5321 section 4.1.1.4).
    session_.ConnectionLost(result.error);
    stream_->Close();
    co_return result;
  }
  encoder.Finish(buffer);
  // From here on the server may have the message, whatever becomes of the write.
  session_.BodySent();
  const absl::Status written =
      co_await stream_->WriteAll(std::move(buffer), options_.command_timeout);
  if (!written.ok()) {
    session_.ConnectionLost(Broken(host_, Stage::kFinalDot, written.message()));
  }
  co_return result;
}

Task<void> Connection::Quit() {
  session_.Quit();
  std::string output = session_.TakeOutput();
  if (!output.empty()) {
    const absl::Status ignored = co_await stream_->WriteAll(std::move(output), absl::Seconds(5));
    static_cast<void>(ignored);
  }
  stream_->Close();
}

}  // namespace posthorn::delivery
