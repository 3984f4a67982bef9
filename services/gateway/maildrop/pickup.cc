#include "services/gateway/maildrop/pickup.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/dsn/dsn.h"
#include "lib/net/memory_stream.h"
#include "lib/smtp/client/dot_encoder.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/accept/resend_key.h"
#include "services/gateway/smtp/context.h"

namespace posthorn::gateway {
namespace {

namespace client = smtp::client;

constexpr std::size_t kPiece = 64 * 1024;
constexpr absl::Duration kAnswer = absl::Minutes(10);
constexpr absl::Duration kLeftoverAge = absl::Hours(24);
// Looked at in one turn.
constexpr std::size_t kFilesAtOnce = 1000;

struct Metrics {
  metrics::Counter& taken = metrics::MakeCounter(
      "posthorn_gateway_maildrop_taken_total",
      "Messages taken from the maildrop, where posthorn-sendmail puts mail while the platform is "
      "away. Informational.");
  metrics::Counter& deferred = metrics::MakeCounter(
      "posthorn_gateway_maildrop_deferred_total",
      "Messages in the maildrop that were refused for now. Rising: a backend is away, or "
      "gateway.local_submission.domain is no domain of the platform; look at the log.");
  metrics::Counter& refused = metrics::MakeCounter(
      "posthorn_gateway_maildrop_refused_total",
      "Files put aside because they are no messages, or were refused and could not be returned. Look "
      "at the log and into the directory maildrop.refused.");

  static Metrics& Get() {
    static Metrics* const metrics = new Metrics;
    return *metrics;
  }
};

client::Transaction TransactionOf(const maildrop::Reader& file, const LocalUser& user) {
  const maildrop::Envelope& envelope = file.envelope();
  client::Transaction transaction;
  transaction.reverse_path = envelope.reverse_path.value_or(smtp::Mailbox(user.name, "").ToString());
  transaction.recipients = envelope.recipients;
  transaction.size = file.message_octets();
  transaction.body_is_8bit = envelope.body_is_8bit;
  transaction.envelope_id = envelope.envelope_id;
  transaction.ret = envelope.ret;
  transaction.verp_delimiters = envelope.verp_delimiters;
  transaction.smtputf8 = false;
  if (!envelope.notify.empty()) {
    for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
      client::DsnRequest request;
      request.notify = envelope.notify;
      transaction.dsn.push_back(std::move(request));
    }
  }
  return transaction;
}

bool ForNow(const client::RecipientOutcome& outcome) {
  return !outcome.delivered() && !outcome.permanent();
}

}  // namespace

std::vector<maildrop::Entry> InTurns(std::vector<maildrop::Entry> entries) {
  absl::flat_hash_map<uid_t, std::size_t> seen;
  std::vector<std::pair<std::size_t, maildrop::Entry>> turns;
  turns.reserve(entries.size());
  for (maildrop::Entry& entry : entries) {
    const std::size_t turn = seen[entry.owner]++;
    turns.emplace_back(turn, std::move(entry));
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  entries.clear();
  for (auto& turn : turns) entries.push_back(std::move(turn.second));
  return entries;
}

Pickup::Pickup(Executor& executor, PickupDependencies dependencies, PickupOptions options)
    : executor_(executor), deps_(dependencies), options_(std::move(options)) {}

void Pickup::Start() {
  {
    std::lock_guard lock(mutex_);
    running_ = true;
  }
  Spawn(executor_, Run(shared_from_this()));
}

void Pickup::Stop(absl::Duration limit) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.wait_for(lock, absl::ToChronoMilliseconds(limit), [this] { return !running_; });
}

bool Pickup::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

Task<void> Pickup::Run(std::shared_ptr<Pickup> self) {
  while (!self->stopping()) {
    co_await self->RunOnce();
    co_await SleepFor(self->options_.interval);
  }
  std::lock_guard lock(self->mutex_);
  self->running_ = false;
  self->changed_.notify_all();
}

Task<bool> Pickup::RunOnce() {
  const absl::Time now = deps_.clock->Now();
  if (now - cleaned_at_ > absl::Hours(1)) {
    cleaned_at_ = now;
    maildrop::RemoveLeftovers(options_.directory, now - kLeftoverAge);
  }
  absl::StatusOr<std::vector<maildrop::Entry>> entries = maildrop::List(options_.directory);
  if (!entries.ok()) {
    log::Error("maildrop", "cannot be read", {{"error", entries.status()}});
    co_return false;
  }
  std::erase_if(waiting_, [&](const auto& waiting) {
    return std::none_of(entries->begin(), entries->end(),
                        [&](const maildrop::Entry& e) { return e.name == waiting.first; });
  });
  std::vector<maildrop::Entry> due;
  for (maildrop::Entry& entry : InTurns(*std::move(entries))) {
    const auto waiting = waiting_.find(entry.name);
    if (waiting != waiting_.end() && waiting->second.next > now) continue;
    if (due.size() < kFilesAtOnce) due.push_back(std::move(entry));
  }
  bool taken = false;
  for (const maildrop::Entry& entry : due) {
    if (stopping()) break;
    const Result result = co_await Take(entry.name);
    taken = taken || result == Result::kDone;
    if (result != Result::kRetry) {
      waiting_.erase(entry.name);
      continue;
    }
    Metrics::Get().deferred.Increment();
    Waiting& waiting = waiting_[entry.name];
    waiting.wait = waiting.wait == absl::ZeroDuration()
                       ? options_.first_wait
                       : std::min(2 * waiting.wait, options_.longest_wait);
    waiting.next = deps_.clock->Now() + waiting.wait;
  }
  co_return taken;
}

Task<Pickup::Result> Pickup::Take(std::string name) {
  const absl::StatusOr<maildrop::Reader> file = maildrop::Reader::Open(options_.directory, name);
  if (!file.ok()) {
    if (absl::IsNotFound(file.status())) co_return Result::kGone;
    if (FailureOf(file.status()) != Failure::kInvalidArgument) {
      log::Warn("maildrop", "message cannot be read", {{"error", file.status()}});
      co_return Result::kRetry;
    }
    PutAside(name, file.status());
    co_return Result::kGone;
  }
  LocalUser user = FindLocalUser(file->entry().owner);
  user.handover_key = EnvelopeResendKey(
      absl::StrCat("maildrop ", name, " ", file->entry().owner), std::vector<std::string>());
  const absl::Duration age = deps_.clock->Now() - file->entry().spooled_at;
  const absl::StatusOr<Outcomes> outcomes =
      co_await HandOver(*file, user, age < options_.mixed_patience);
  if (!outcomes.ok()) {
    log::Warn("maildrop", "message not handed over", {{"file", name}, {"error", outcomes.status()}});
    co_return Result::kRetry;
  }
  const bool all_for_now = std::all_of(outcomes->begin(), outcomes->end(), ForNow);
  const bool some_for_now = std::any_of(outcomes->begin(), outcomes->end(), ForNow);
  // It is not a recipient's fault: a part of the platform is away.
  const bool message_for_now =
      std::any_of(outcomes->begin(), outcomes->end(), [](const client::RecipientOutcome& outcome) {
        return ForNow(outcome) && outcome.stage != client::Stage::kRcpt;
      });
  const bool patient = age < options_.mixed_patience ||
                       ((all_for_now || message_for_now) && age < options_.give_up);
  if (some_for_now && patient) co_return Result::kRetry;
  absl::Status returned = co_await Return(*file, user, *outcomes);
  if (!returned.ok() && !IsPermanent(returned)) co_return Result::kRetry;
  if (returned.ok()) {
    Remove(name);
  } else {
    PutAside(name, returned);
  }
  Metrics::Get().taken.Increment();
  co_return Result::kDone;
}

// `file` belongs to Take, which awaits this.
Task<absl::StatusOr<Pickup::Outcomes>> Pickup::HandOver(const maildrop::Reader& file,
                                                        LocalUser user, bool patient) {
  client::Transaction transaction = TransactionOf(file, user);
  net::MemoryPipe pipe = net::MakeMemoryPipe(net::PeerAddress());
  Spawn(executor_, deps_.server->ServeLocal(std::move(pipe.server), *deps_.listener,
                                            std::move(user)));
  net::Stream& stream = *pipe.client;
  client::SessionOptions session_options;
  session_options.hostname = "localhost";
  session_options.allow_starttls = false;
  client::Session session(std::move(session_options));
  bool begun = false;
  for (;;) {
    std::string output = session.TakeOutput();
    if (!output.empty()) {
      const absl::Status written = co_await stream.WriteAll(std::move(output), kAnswer);
      if (!written.ok()) session.ConnectionLost(written);
    }
    switch (session.need()) {
      case client::Session::Need::kReply: {
        const absl::StatusOr<std::string> bytes = co_await stream.ReadSome(kAnswer);
        if (!bytes.ok()) {
          session.ConnectionLost(bytes.status());
        } else if (bytes->empty()) {
          session.ConnectionLost(MakeFailure(Failure::kConnectFailed, "closed"));
        } else {
          session.Feed(*bytes);
        }
        break;
      }
      case client::Session::Need::kReady: {
        if (!begun) {
          begun = true;
          session.Begin(std::move(transaction));
          break;
        }
        Outcomes outcomes = session.outcomes();
        stream.Close();
        co_return outcomes;
      }
      case client::Session::Need::kBody: {
        if (patient && std::any_of(session.outcomes().begin(), session.outcomes().end(),
                                   [](const client::RecipientOutcome& outcome) {
                                     return outcome.decided && ForNow(outcome);
                                   })) {
          // All of them together, later.
          Outcomes outcomes = session.outcomes();
          stream.Close();
          co_return outcomes;
        }
        const bool chunked = session.chunked();
        client::DotEncoder encoder(chunked ? client::DotEncoder::Framing::kChunks
                                           : client::DotEncoder::Framing::kDots);
        std::uint64_t offset = 0;
        bool last = false;
        while (!last && session.need() == client::Session::Need::kBody) {
          const absl::StatusOr<std::string> piece = file.Read(offset, kPiece);
          if (!piece.ok()) co_return piece.status();
          offset += piece->size();
          last = offset >= file.message_octets();
          if (piece->empty() && !last) co_return absl::DataLossError("file is shorter than it was");
          std::string encoded;
          encoder.Encode(*piece, encoded);
          if (last) encoder.Finish(encoded);
          if (chunked) session.SendChunk(encoded.size(), last);
          if (chunked) encoded = session.TakeOutput() + encoded;
          const absl::Status written = co_await stream.WriteAll(std::move(encoded), kAnswer);
          if (!written.ok()) {
            session.ConnectionLost(written);
            break;
          }
          co_await YieldNow();  // the server reads
        }
        if (last && !chunked && session.need() == client::Session::Need::kBody) session.BodySent();
        break;
      }
      case client::Session::Need::kStartTls:
      case client::Session::Need::kClosed: {
        Outcomes outcomes = session.outcomes();
        const absl::Status error = session.error();
        stream.Close();
        if (outcomes.empty()) {
          co_return error.ok() ? MakeFailure(Failure::kUnavailable, "the server is busy") : error;
        }
        co_return outcomes;
      }
    }
  }
}

// `file`, `user` and `outcomes` belong to Take, which awaits this.
Task<absl::Status> Pickup::Return(const maildrop::Reader& file, const LocalUser& user,
                                  const Outcomes& outcomes) {
  const maildrop::Envelope& envelope = file.envelope();
  dsn::Notification notification;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].delivered()) continue;
    const client::Reply& reply = outcomes[i].reply;
    dsn::Recipient recipient;
    recipient.final_address = envelope.recipients[i];
    if (recipient.final_address.find('@') == std::string::npos) {
      absl::StrAppend(&recipient.final_address, "@", deps_.listener->local_domain);
    }
    recipient.status = reply.permanent() ? reply.enhanced : "5.4.7";
    recipient.diagnostic =
        reply.code != 0 ? absl::StrCat(reply.code, " ", reply.enhanced, reply.enhanced.empty() ? "" : " ",
                                       reply.text())
                        : "not accepted in time";
    recipient.diagnostic_is_smtp = reply.code != 0;
    notification.recipients.push_back(std::move(recipient));
  }
  if (notification.recipients.empty()) co_return absl::OkStatus();
  log::Warn("maildrop", "message refused",
            {{"file", file.entry().name},
             {"user", user.name},
             {"recipients", notification.recipients.size()},
             {"reply", notification.recipients.front().diagnostic}});
  // RFC 3461 section 4.1; and never a bounce for a bounce.
  if (!envelope.notify.empty() && envelope.notify.find("FAILURE") == std::string::npos) {
    co_return absl::OkStatus();
  }
  if (envelope.reverse_path == "") {
    co_return MakeFailure(Failure::kPolicyRejected, "refused, and has no sender to return it to");
  }
  const LocalSession session(user, *deps_.listener);
  std::string to = envelope.reverse_path.value_or(session.address);
  if (to.find('@') == std::string::npos) absl::StrAppend(&to, "@", deps_.listener->local_domain);
  // To nobody but the user where it is the name that was refused.
  const std::string own = session.address;
  if (!session.trusted) to = own;
  const absl::StatusOr<Resolution> resolution = co_await deps_.directory->Resolve(to);
  if (!resolution.ok()) co_return resolution.status();
  AcceptRequest request;
  request.received_at = deps_.clock->Now();
  request.id = MessageId::Generate(request.received_at);
  std::vector<Target> targets = resolution->targets;
  TenantId tenant = resolution->tenant;
  if (resolution->kind == AddressKind::kRemote) {
    const absl::StatusOr<Resolution> ours = co_await deps_.directory->Resolve(
        absl::StrCat("postmaster@", deps_.listener->local_domain));
    if (!ours.ok()) co_return ours.status();
    tenant = ours->tenant;
    targets.emplace_back(AccountId(), to);
  }
  if (targets.empty()) {
    co_return MakeFailure(Failure::kNoSuchRecipient,
                          absl::StrCat("refused, and there is no mailbox ", to, " to return it to"));
  }
  notification.kind = dsn::Kind::kFailure;
  notification.reporting_host = options_.hostname;
  notification.to = to;
  notification.message_id = absl::StrCat("maildrop-", file.entry().name);
  // The time of the message, so that the same notification is recognised when it is made again.
  notification.now = file.entry().spooled_at;
  notification.arrival = file.entry().spooled_at;
  notification.envelope_id = envelope.envelope_id;
  const absl::StatusOr<std::string> original = file.Read(0, 2 * dsn::kMaxHeaders);
  if (!original.ok()) co_return original.status();
  notification.original = *original;
  const dsn::Composed composed = dsn::Compose(notification);
  const auto body = std::make_shared<net::StagedBody>(*deps_.staging);
  absl::Status appended = body->Append(composed.message);
  if (!appended.ok()) co_return appended;
  request.body = body;
  request.body_is_8bit = composed.body_is_8bit;
  request.trace.protocol = "LOCAL";
  request.message_id_header =
      absl::StrCat("<", notification.message_id, "@", options_.hostname, ">");
  request.recipients.emplace_back(to, tenant, std::move(targets));
  const AcceptResult result = co_await deps_.acceptor->Accept(std::move(request));
  co_return result.Overall();
}

void Pickup::Remove(const std::string& name) const {
  const std::string path = absl::StrCat(options_.directory, "/", name);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    log::Error("maildrop", "cannot remove what was handed over; it is handed over again",
               {{"file", path}, {"error", std::strerror(errno)}});
  }
}

void Pickup::PutAside(const std::string& name, const absl::Status& why) const {
  const std::string from = absl::StrCat(options_.directory, "/", name);
  const std::string to = absl::StrCat(options_.refused_directory, "/", name);
  Metrics::Get().refused.Increment();
  if ((mkdir(options_.refused_directory.c_str(), 0700) != 0 && errno != EEXIST) ||
      rename(from.c_str(), to.c_str()) != 0) {
    log::Error("maildrop", "cannot be put aside", {{"file", from}, {"error", std::strerror(errno)}});
    return;
  }
  log::Error("maildrop", "put aside", {{"file", to}, {"reason", why}});
}

}  // namespace posthorn::gateway
