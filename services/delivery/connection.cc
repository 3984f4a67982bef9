#include "services/delivery/connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/client/dot_encoder.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {
namespace {

using smtp::client::Session;
using smtp::client::Stage;

// Bytes of the message that one write carries at least, as long as there are so many.
constexpr std::size_t kWriteOctets = 64 * 1024;
// How long an answer to a body that could not be written whole is waited for.
constexpr absl::Duration kLastWords = absl::Seconds(2);

// Pieces sent ahead of their replies, with PIPELINING (RFC 3030 section 4.2 lets all go at once;
// a server that refuses early should not get the whole of a large message).
constexpr std::size_t kChunksAhead = 16;

smtp::client::SessionOptions OptionsFor(const ConnectionOptions& options, const Host& host,
                                        const TlsRule& rule, const Origin& origin, bool use_tls,
                                        smtp::client::Authenticator* login) {
  smtp::client::SessionOptions result;
  result.hostname = origin.hostname.empty() ? options.hostname : origin.hostname;
  result.allow_starttls = use_tls;
  result.require_tls = rule.must_encrypt;
  result.tls_from_start = host.protocol == Protocol::kSmtps;
  result.lmtp = host.protocol == Protocol::kLmtp;
  result.authenticator = login;
  return result;
}

const net::TlsContext* ContextFor(const ConnectionOptions& options, const TlsRule& rule) {
  switch (rule.level) {
    case TlsLevel::kOff:
      return nullptr;
    case TlsLevel::kOpportunistic:
      return rule.observe && options.verified_tls != nullptr ? options.verified_tls : options.tls;
    case TlsLevel::kEncrypted:
    case TlsLevel::kDane:
      return options.tls;
    case TlsLevel::kVerified:
      return options.verified_tls;
  }
  return nullptr;
}

std::string_view ResultFor(net::CertificateProblem problem) {
  switch (problem) {
    case net::CertificateProblem::kNone: return "validation-failure";
    case net::CertificateProblem::kExpired: return "certificate-expired";
    case net::CertificateProblem::kWrongName: return "certificate-host-mismatch";
    case net::CertificateProblem::kNotTrusted: return "certificate-not-trusted";
  }
  return "validation-failure";
}

// RFC 8460 section 4.3.2.1: with DANE, records that the certificate does not match.
std::string_view ResultFor(net::CertificateProblem problem, const TlsRule& rule) {
  const bool no_match =
      rule.level == TlsLevel::kDane && problem == net::CertificateProblem::kNotTrusted;
  return no_match ? "tlsa-invalid" : ResultFor(problem);
}

std::string_view Place(Stage stage) { return StageName(stage); }

absl::Status Broken(const Host& host, Stage stage, absl::string_view what) {
  const std::string_view place = Place(stage);
  return MakeFailure(Failure::kConnectFailed,
                     absl::StrCat(host.ToString(), ": ", what, " (",
                                  absl::string_view(place.data(), place.size()), ")"));
}

absl::Status LeaseNotSure() {
  return MakeFailure(Failure::kUnavailable, "the lease was not confirmed in time");
}

}  // namespace

Connection::Connection(Host host, const ConnectionOptions& options, const net::TlsContext* tls,
                       TlsRule rule, const Origin& origin, std::unique_ptr<net::Stream> stream)
    : host_(std::move(host)),
      options_(options),
      tls_(tls),
      rule_(std::move(rule)),
      login_(MakeLogin(host_.access.get())),
      stream_(std::move(stream)),
      session_(OptionsFor(options, host_, rule_, origin, tls != nullptr, login_.get())) {}

Connection::~Connection() { stream_->Close(); }

void Connection::Abort() { stream_->Close(); }

Task<absl::StatusOr<std::unique_ptr<Connection>>> Connection::Open(
    Connector& connector, Host host, const ConnectionOptions& options, TlsRule rule, Origin origin,
    smtp::client::Reply* refusal) {
  const net::TlsContext* tls = ContextFor(options, rule);
  if (tls == nullptr && host.protocol == Protocol::kSmtps && rule.level < TlsLevel::kVerified) {
    tls = options.tls;
  }
  if (tls == nullptr && (rule.level >= TlsLevel::kEncrypted ||
                         host.protocol == Protocol::kSmtps)) {
    co_return MakeFailure(Failure::kTlsFailed,
                          absl::StrCat(host.ToString(), ": no authorities are configured that could "
                                                        "vouch for a certificate"));
  }
  absl::StatusOr<std::unique_ptr<net::Stream>> stream =
      co_await connector.Connect(host.ip, host.port, origin.ip, options.connect_timeout);
  if (absl::IsFailedPrecondition(stream.status())) {
    co_return MakeFailure(Failure::kUnavailable, std::string(stream.status().message()));
  }
  if (!stream.ok()) {
    co_return MakeFailure(Failure::kConnectFailed,
                          absl::StrCat(host.ToString(), ": ", stream.status().message()));
  }
  std::unique_ptr<Connection> connection(
      new Connection(std::move(host), options, tls, std::move(rule), origin,
                     *std::move(stream)));
  if (connection->host_.protocol == Protocol::kSmtps) {
    const absl::Status started = co_await connection->StartTls();
    if (!started.ok()) co_return started;
  }
  for (;;) {
    co_await connection->Flush();
    switch (connection->session_.need()) {
      case Session::Need::kReply:
        co_await connection->ReadReply();
        continue;
      case Session::Need::kStartTls: {
        const absl::Status started = co_await connection->StartTls();
        if (started.ok()) {
          connection->session_.OnTlsStarted();
        } else {
          connection->session_.ConnectionLost(started);
        }
        continue;
      }
      case Session::Need::kReady:
        co_return std::move(connection);
      case Session::Need::kBody:
      case Session::Need::kClosed:
        break;
    }
    const absl::Status& why = connection->session_.error();
    if (refusal != nullptr) *refusal = connection->session_.closing_reply();
    if (!connection->tls_failure_.ok()) co_return connection->tls_failure_;
    const std::string text = absl::StrCat(connection->host_.ToString(), ": ", why.message());
    if (connection->session_.starttls_refused()) {
      co_return WithTlsResult(MakeFailure(Failure::kTlsFailed, text), "starttls-not-supported",
                              connection->local_ip());
    }
    if (connection->session_.login_failed()) {
      const std::string& user = connection->host_.access->username;
      Metrics().login_failures.Increment();
      log::Warn("delivery", "login at a smart host failed, its mail waits",
                {{"host", connection->host_.ToString()}, {"user", user}, {"error", why}});
      // It does answer: kConnectFailed would stand for a server that doesn't.
      co_return MakeFailure(Failure::kRemoteTemporary, text);
    }
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

std::string_view Connection::tls_problem() const {
  const net::CertificateProblem problem = stream_->tls().problem;
  return problem == net::CertificateProblem::kNone ? std::string_view() : ResultFor(problem);
}

// Says itself where its failure comes from: the handshake, or the connection below it.
Task<absl::Status> Connection::StartTls() {
  // RFC 7672 section 8.1: with DANE the name that the records were found under, which comes first.
  const bool by_dane = rule_.level == TlsLevel::kDane && !rule_.names.empty();
  net::TlsPeer peer(by_dane ? rule_.names.front() : host_.name);
  peer.names = rule_.names;
  peer.dane = rule_.dane;
  peer.observe = rule_.observe;
  const absl::Status started =
      co_await stream_->StartTlsClient(*tls_, std::move(peer), options_.command_timeout);
  if (started.ok()) co_return started;
  if (rule_.level >= TlsLevel::kEncrypted && FailureOf(started) != Failure::kTlsFailed) {
    // Says nothing about the certificate.
    co_return Broken(host_, Stage::kStartTls, started.message());
  }
  tls_failure_ = WithTlsResult(
      MakeFailure(Failure::kTlsFailed, absl::StrCat(host_.ToString(), ": TLS negotiation failed: ",
                                                    started.message())),
      ResultFor(stream_->tls().problem, rule_), local_ip());
  co_return tls_failure_;
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
        if (session_.chunked()) {
          result = co_await SendChunks(body, lease);
        } else {
          result = co_await SendBody(body, lease);
        }
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

// Without its end the server throws away what it has (RFC 5321 section 4.1.1.4).
Connection::Result Connection::GiveUpBody(End end, absl::Status error) {
  Result result;
  result.end = end;
  result.error = std::move(error);
  session_.ConnectionLost(result.error);
  stream_->Close();
  return result;
}

// A server that has had enough may have said so before it closed.
Task<void> Connection::HearLastWords(absl::Status written) {
  const absl::StatusOr<std::string> words = co_await stream_->ReadSome(kLastWords);
  if (words.ok() && !words->empty()) session_.Feed(*words);
  session_.ConnectionLost(Broken(host_, Stage::kFinalDot, written.message()));
}

Task<Connection::Result> Connection::SendBody(BodySource& body, const LeaseView& lease) {
  smtp::client::DotEncoder encoder;
  std::string buffer;
  for (;;) {
    absl::StatusOr<std::string> piece = co_await body.Next();
    if (!piece.ok()) co_return GiveUpBody(End::kBodyFailed, piece.status());
    if (piece->empty()) break;
    encoder.Encode(*piece, buffer);
    if (buffer.size() < kWriteOctets) continue;
    const absl::Status written =
        co_await stream_->WriteAll(std::move(buffer), options_.command_timeout);
    buffer = std::string();
    if (written.ok()) continue;
    co_await HearLastWords(written);
    co_return Result();
  }
  if (!lease.MaySendFinalDot()) {
    co_return GiveUpBody(End::kLeaseNotSure, LeaseNotSure());
  }
  encoder.Finish(buffer);
  // From here on the server may have the message, whatever becomes of the write.
  session_.BodySent();
  const absl::Status written =
      co_await stream_->WriteAll(std::move(buffer), options_.command_timeout);
  if (!written.ok()) {
    session_.ConnectionLost(Broken(host_, Stage::kFinalDot, written.message()));
  }
  co_return Result();
}

Task<Connection::Result> Connection::SendChunks(BodySource& body, const LeaseView& lease) {
  // The octets of a binary message are its own; any other has lines.
  const bool raw = body.is_binary();
  smtp::client::DotEncoder encoder(smtp::client::DotEncoder::Framing::kChunks);
  std::string buffer;
  for (;;) {
    absl::StatusOr<std::string> piece = co_await body.Next();
    if (!piece.ok()) co_return GiveUpBody(End::kBodyFailed, piece.status());
    if (piece->empty()) break;
    if (raw) {
      buffer.append(*piece);
    } else {
      encoder.Encode(*piece, buffer);
    }
    if (buffer.size() < kWriteOctets) continue;
    std::string chunk = std::exchange(buffer, std::string());
    const bool go_on = co_await SendChunk(std::move(chunk), false);
    if (!go_on) co_return Result();
  }
  if (!lease.MaySendFinalDot()) {
    co_return GiveUpBody(End::kLeaseNotSure, LeaseNotSure());
  }
  if (!raw) encoder.Finish(buffer);
  co_await SendChunk(std::move(buffer), true);
  co_return Result();
}

Task<bool> Connection::SendChunk(std::string octets, bool last) {
  const std::size_t ahead = capabilities().pipelining ? kChunksAhead : 1;
  while (session_.need() == Session::Need::kBody && session_.unanswered_chunks() >= ahead) {
    co_await ReadReply();
  }
  if (session_.need() != Session::Need::kBody) co_return false;
  session_.SendChunk(octets.size(), last);
  std::string output = session_.TakeOutput();
  output.append(octets);
  const absl::Status written =
      co_await stream_->WriteAll(std::move(output), options_.command_timeout);
  if (written.ok()) co_return true;
  if (last) {
    session_.ConnectionLost(Broken(host_, Stage::kFinalDot, written.message()));
  } else {
    co_await HearLastWords(written);
  }
  co_return false;
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
