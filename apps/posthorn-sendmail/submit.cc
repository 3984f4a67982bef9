#include "apps/posthorn-sendmail/submit.h"

#include <algorithm>
#include <iostream>

#include "apps/posthorn-sendmail/connection.h"
#include "lib/base/failure.h"
#include "lib/maildrop/directory.h"
#include "lib/smtp/client/dot_encoder.h"

namespace posthorn::sendmail {
namespace {

namespace client = smtp::client;

constexpr std::size_t kPiece = 64 * 1024;
// While services start the socket is there, and nobody speaks: the maildrop is better then.
constexpr absl::Duration kGreeting = absl::Seconds(10);
constexpr absl::Duration kReply = absl::Minutes(5);

client::Transaction TransactionOf(const maildrop::Envelope& envelope, const std::string& own_name,
                                  std::uint64_t octets) {
  client::Transaction transaction;
  transaction.reverse_path = envelope.reverse_path.value_or(own_name);
  transaction.recipients = envelope.recipients;
  transaction.size = octets;
  transaction.body_is_8bit = envelope.body_is_8bit;
  transaction.envelope_id = envelope.envelope_id;
  transaction.ret = envelope.ret;
  transaction.verp_delimiters = envelope.verp_delimiters;
  if (!envelope.notify.empty()) {
    client::DsnRequest request;
    request.notify = envelope.notify;
    transaction.dsn.assign(envelope.recipients.size(), request);
  }
  return transaction;
}

bool ForNow(const client::RecipientOutcome& outcome) {
  return !outcome.delivered() && !outcome.permanent();
}

const client::RecipientOutcome* FirstForNow(const std::vector<client::RecipientOutcome>& outcomes,
                                            bool decided) {
  const auto found = std::find_if(outcomes.begin(), outcomes.end(), [decided](const auto& outcome) {
    return ForNow(outcome) && (outcome.decided || !decided);
  });
  return found == outcomes.end() ? nullptr : &*found;
}

std::string Words(const client::Reply& reply) {
  if (reply.code == 0) return "";
  return std::to_string(reply.code) + (reply.enhanced.empty() ? "" : " ") + reply.enhanced + " " +
         reply.text();
}

Answer Later(std::string reason) {
  Answer answer;
  answer.later = true;
  answer.reason = std::move(reason);
  return answer;
}

// False: the platform is gone, or wants no more.
bool SendBody(const Store& body, const Transport& transport, client::Session& session) {
  const bool chunked = session.chunked();
  client::DotEncoder encoder(chunked ? client::DotEncoder::Framing::kChunks
                                     : client::DotEncoder::Framing::kDots);
  for (std::uint64_t offset = 0;;) {
    const absl::StatusOr<std::string> piece = body.Read(offset, kPiece);
    if (!piece.ok()) {
      session.ConnectionLost(piece.status());
      return false;
    }
    offset += piece->size();
    const bool last = offset >= body.size();
    std::string encoded;
    encoder.Encode(*piece, encoded);
    if (last) encoder.Finish(encoded);
    if (chunked) {
      session.SendChunk(encoded.size(), last);
      encoded = session.TakeOutput() + encoded;
    }
    if (absl::Status s = transport.write(encoded); !s.ok()) {
      session.ConnectionLost(s);
      return false;
    }
    if (last) break;
  }
  if (!chunked) session.BodySent();
  return true;
}

}  // namespace

Answer Talk(const maildrop::Envelope& envelope, const std::string& own_name, const Store& body,
            const Transport& transport) {
  client::SessionOptions options;
  options.hostname = "localhost";
  options.allow_starttls = false;
  client::Session session(std::move(options));
  bool begun = false;
  for (bool done = false; !done;) {
    if (const std::string output = session.TakeOutput(); !output.empty()) {
      if (absl::Status s = transport.write(output); !s.ok()) session.ConnectionLost(s);
    }
    switch (session.need()) {
      case client::Session::Need::kReply: {
        const absl::StatusOr<std::string> bytes = transport.read();
        if (!bytes.ok() || bytes->empty()) {
          session.ConnectionLost(bytes.ok() ? absl::UnavailableError("the platform has hung up")
                                            : bytes.status());
        } else {
          session.Feed(*bytes);
        }
        break;
      }
      case client::Session::Need::kReady:
        done = begun;
        if (!begun) session.Begin(TransactionOf(envelope, own_name, body.size()));
        begun = true;
        break;
      case client::Session::Need::kBody:
        // All of them together, later.
        if (const auto* const outcome = FirstForNow(session.outcomes(), true)) {
          return Later(Words(outcome->reply));
        }
        SendBody(body, transport, session);
        break;
      case client::Session::Need::kStartTls:
      case client::Session::Need::kClosed: done = true; break;
    }
  }
  const std::string closing = Words(session.closing_reply());
  if (session.outcomes().empty()) {
    return Later(closing.empty() ? std::string(session.error().message()) : closing);
  }
  if (const auto* const outcome = FirstForNow(session.outcomes(), false)) {
    const std::string words = Words(outcome->reply);
    return Later(!words.empty()     ? words
                 : !closing.empty() ? closing
                                    : std::string(session.error().message()));
  }
  Answer answer;
  answer.outcomes = session.outcomes();
  return answer;
}

ExitCode Spool(const maildrop::Envelope& envelope, const Store& body, const Settings& settings) {
  absl::StatusOr<maildrop::Writer> writer = maildrop::Writer::Create(settings.maildrop, envelope);
  absl::Status status = writer.status();
  if (status.ok()) {
    status = body.ForEach([&writer](std::string_view piece) { return writer->Append(piece); });
  }
  if (status.ok()) status = writer->Commit();
  if (status.ok()) return kOk;
  std::cerr << "posthorn-sendmail: the message could not be kept: "
            << std::string(status.message()) << "\n";
  if (FailureOf(status) == Failure::kInvalidArgument) return kDataError;
  if (absl::IsFailedPrecondition(status)) return kConfiguration;
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) return kCannotCreate;
  return kTryAgain;
}

ExitCode Submit(const maildrop::Envelope& envelope, const std::string& own_name, const Store& body,
                const Settings& settings, bool verbose) {
  Answer answer;
  absl::StatusOr<Connection> connection = Connection::Open(settings.socket);
  if (connection.ok()) {
    Transport transport;
    transport.write = [&](std::string_view bytes) { return connection->Write(bytes, kReply); };
    absl::Duration timeout = kGreeting;
    transport.read = [&] {
      absl::StatusOr<std::string> bytes = connection->Read(timeout);
      timeout = kReply;
      return bytes;
    };
    answer = Talk(envelope, own_name, body, transport);
  } else {
    answer = Later(std::string(connection.status().message()));
  }
  if (answer.later) {
    const ExitCode spooled = Spool(envelope, body, settings);
    if (verbose || spooled != kOk) {
      std::cerr << "posthorn-sendmail: " << answer.reason << (spooled == kOk ? "; kept for later" : "")
                << "\n";
    }
    return spooled;
  }
  ExitCode result = kOk;
  for (std::size_t i = 0; i < answer.outcomes.size(); ++i) {
    const client::RecipientOutcome& outcome = answer.outcomes[i];
    if (verbose || !outcome.delivered()) {
      std::cerr << "posthorn-sendmail: " << envelope.recipients[i] << ": " << Words(outcome.reply)
                << "\n";
    }
    if (!outcome.delivered() && result == kOk) result = ExitCodeFor(outcome.reply);
  }
  return result;
}

}  // namespace posthorn::sendmail
