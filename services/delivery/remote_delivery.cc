#include "services/delivery/remote_delivery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {
namespace {

using smtp::client::RecipientOutcome;
using smtp::client::Reply;

std::string NameOf(const Host& host) { return absl::StrCat(host.name, " (", host.ip, ")"); }

RecipientResult FromReply(const Host& host, const Reply& reply) {
  RecipientResult result;
  result.remote_host = NameOf(host);
  result.smtp_code = reply.code;
  result.enhanced =
      reply.enhanced.empty() ? absl::StrCat(reply.code / 100, ".0.0") : reply.enhanced;
  result.text = absl::StrCat(reply.code, reply.enhanced.empty() ? "" : " ", reply.enhanced, " ",
                             reply.text());
  result.is_smtp_reply = true;
  result.outcome = reply.positive()    ? Outcome::kDelivered
                   : reply.permanent() ? Outcome::kBounced
                                       : Outcome::kDeferred;
  return result;
}

// RFC 6152 section 3, RFC 3030 section 3: what the server doesn't take is rewritten.
bool NeedsConversion(const Job& job, const smtp::client::Capabilities& offered) {
  if (job.options.body_is_binary) return !(offered.binary && offered.chunking);
  return job.body_is_8bit && !offered.eight_bit;
}

// NOTIFY as the next server is asked (RFC 3461 section 5.2.1).
std::string NotifyOf(const RecipientOptions& options) {
  if (options.never) return "NEVER";
  std::vector<absl::string_view> parts;
  if (options.success) parts.push_back("SUCCESS");
  if (options.failure) parts.push_back("FAILURE");
  if (options.delay) parts.push_back("DELAY");
  return absl::StrJoin(parts, ",");
}

smtp::client::DsnRequest DsnRequestOf(const JobRecipient& recipient) {
  smtp::client::DsnRequest request;
  request.notify = NotifyOf(recipient.options);
  request.original_recipient = recipient.options.original_recipient;
  if (request.original_recipient.empty() && recipient.options.notify_given) {
    // The address as it came to us, should an alias have changed it.
    request.original_recipient = absl::StrCat("rfc822;", recipient.original_address);
  }
  return request;
}

}  // namespace

smtp::client::Transaction RemoteDelivery::TransactionOf(const Job& job,
                                                        const std::vector<std::size_t>& batch,
                                                        std::uint64_t size) const {
  const EnvelopeOptions& options = job.options;
  smtp::client::Transaction transaction;
  transaction.reverse_path = job.reverse_path;
  transaction.size = size;
  transaction.body_is_8bit = job.body_is_8bit;
  for (const std::size_t i : batch) {
    transaction.recipients.push_back(job.recipients[i].address);
    transaction.dsn.push_back(DsnRequestOf(job.recipients[i]));
  }
  transaction.envelope_id = options.envelope_id;
  if (options.ret == EnvelopeOptions::Ret::kFull) transaction.ret = "FULL";
  if (options.ret == EnvelopeOptions::Ret::kHeaders) transaction.ret = "HDRS";
  transaction.priority = options.priority;
  transaction.body_is_binary = options.body_is_binary;
  transaction.smtputf8 = options.smtputf8;
  transaction.require_tls = options.require_tls;
  if (options.deliver_by.has_value()) {
    smtp::client::DeliverByRequest& by = transaction.deliver_by.emplace();
    by.seconds = absl::ToInt64Seconds(options.deliver_by->by - clock_.Now());
    by.return_after = options.deliver_by->return_after;
    by.trace = options.deliver_by->trace;
  }
  return transaction;
}

Task<std::vector<RecipientResult>> RemoteDelivery::Deliver(const Job& job,
                                                           const LeaseView& lease) {
  Attempt attempt;
  attempt.results.resize(job.recipients.size());
  attempt.unfit.resize(job.recipients.size());
  Sender sender(job.key.tenant, job.reverse_path);
  Task<absl::StatusOr<std::vector<Host>>> lookup =
      job.route.empty() ? router_.HostsFor(job.key.destination, std::move(sender))
                        : router_.HostsOf(job.route);
  absl::StatusOr<std::vector<Host>> hosts = co_await std::move(lookup);
  if (!hosts.ok()) {
    const RecipientResult failed = ResultOf(hosts.status());
    std::fill(attempt.results.begin(), attempt.results.end(), failed);
    co_return std::move(attempt.results);
  }
  for (std::size_t i = 0; i < job.recipients.size(); ++i) attempt.open.push_back(i);
  if (gate_ != nullptr) {
    *hosts = gate_->Arrange(*std::move(hosts));
    if (hosts->empty()) {
      const RecipientResult failed = ResultOf(MakeFailure(
          Failure::kConnectFailed, "no server has an address of the kind that is used here"));
      std::fill(attempt.results.begin(), attempt.results.end(), failed);
      co_return std::move(attempt.results);
    }
    attempt.passage = gate_->PassageFor(job, *hosts);
  }
  std::size_t sessions = 0;
  for (const Host& host : *hosts) {
    if (attempt.open.empty() || attempt.stop || lease.Lost()) break;
    if (sessions >= options_.max_sessions) break;
    const bool talked = co_await TryHost(job, lease, host, attempt);
    sessions += talked ? 1 : 0;
  }
  if (!lease.Lost()) TellReachability(job, attempt);
  if (attempt.pass.has_value()) gate_->OnUnused(attempt.passage, *attempt.pass);
  for (const std::size_t i : attempt.open) {
    const bool may_find_another = attempt.unfit[i] && attempt.saw_temporary;
    if (may_find_another) attempt.results[i].outcome = Outcome::kDeferred;
  }
  co_return std::move(attempt.results);
}

Task<absl::StatusOr<TlsRule>> RemoteDelivery::RuleFor(const Job& job, Host host) {
  const bool require_tls = job.options.require_tls;
  if (options_.tls != nullptr) {
    absl::StatusOr<TlsRule> rule =
        co_await options_.tls->RuleFor(std::move(host), job.key.destination, require_tls,
                                       job.options.tls_optional);
    co_return rule;
  }
  co_return TlsRule(require_tls ? TlsLevel::kVerified : TlsLevel::kOpportunistic);
}

void RemoteDelivery::PassOn(const Job& job, const Host& host, const absl::Status& why,
                            const std::vector<std::size_t>& todo, Attempt& attempt) {
  const bool unfit = job.options.require_tls && FailureOf(why) == Failure::kTlsFailed;
  RecipientResult failed =
      ResultOf(unfit ? MakeFailure(Failure::kRequireTlsUnmet, PeerText(why)) : why);
  failed.remote_host = NameOf(host);
  attempt.saw_temporary = attempt.saw_temporary || !unfit;
  for (const std::size_t i : todo) {
    attempt.results[i] = failed;
    attempt.unfit[i] = unfit;
  }
}

void RemoteDelivery::Wait(Attempt& attempt, const std::vector<std::size_t>& waiting,
                          absl::Time until, const std::string& reason) const {
  attempt.stop = true;
  for (const std::size_t i : waiting) {
    RecipientResult& result = attempt.results[i];
    if (!result.text.empty()) continue;  // another server has refused it
    result.outcome = Outcome::kDeferred;
    result.smtp_code = 451;
    result.enhanced = "4.4.5";
    result.text = absl::StrCat("not tried yet: ", reason);
    result.waits_until = until;
  }
}

Task<bool> RemoteDelivery::Pass(Attempt& attempt, const std::vector<std::size_t>& waiting) {
  if (gate_ == nullptr || attempt.pass.has_value()) co_return true;
  TrafficGate::Pass pass = co_await gate_->Admit(attempt.passage);
  if (!pass.granted) {
    Wait(attempt, waiting, pass.until, pass.reason);
    co_return false;
  }
  attempt.probe = attempt.probe || pass.probe;
  attempt.pass = std::move(pass);
  co_return true;
}

void RemoteDelivery::Tell(const Attempt& attempt, const Connection& connection) {
  if (gate_ == nullptr) return;
  for (const RecipientOutcome& outcome : connection.outcomes()) {
    if (outcome.reply.code < 400 || outcome.lacks_extension) continue;
    gate_->OnReply(attempt.passage, *attempt.pass, connection.host(), outcome.reply);
  }
}

void RemoteDelivery::TellReachability(const Job& job, const Attempt& attempt) {
  if (gate_ == nullptr) return;
  TrafficGate::Pass pass;
  pass.probe = attempt.probe;
  if (attempt.reached) {
    gate_->OnAlive(attempt.passage, pass);
  } else if (!attempt.unreachable.empty() && !attempt.stop) {
    log::Info("delivery", "no server answers",
              {{"id", job.message_id.ToString()}, {"site", attempt.passage.site}});
    gate_->OnDead(attempt.passage, pass, attempt.unreachable);
  }
}

Task<bool> RemoteDelivery::TryHost(const Job& job, const LeaseView& lease, Host host,
                                   Attempt& attempt) {
  std::vector<std::size_t> todo = std::move(attempt.open);
  attempt.open.clear();
  std::vector<std::size_t> deferred;  // for the next server
  const absl::StatusOr<TlsRule> rule = co_await RuleFor(job, host);
  if (!rule.ok()) {
    PassOn(job, host, rule.status(), todo, attempt);
    attempt.open = std::move(todo);
    co_return false;
  }
  bool talked = false;
  bool fresh = false;
  const std::size_t most =
      gate_ != nullptr && attempt.passage.rule->recipients_per_transaction > 0
          ? attempt.passage.rule->recipients_per_transaction
          : options_.recipients_per_transaction;
  while (!todo.empty()) {
    const bool passed = co_await Pass(attempt, todo);
    if (!passed) break;
    ConnectionShape shape;
    if (gate_ != nullptr) {
      shape = gate_->ShapeFor(attempt.passage, *attempt.pass, host);
      if (attempt.pass->source != nullptr && shape.origin.ip.empty() && host.port != 0) {
        // The source has no address of that kind.
        deferred.insert(deferred.end(), todo.begin(), todo.end());
        break;
      }
    }
    absl::StatusOr<ConnectionPool::Checkout> checkout =
        co_await pool_.Acquire(host, fresh, *rule, gate_ == nullptr ? nullptr : &shape);
    if (!checkout.ok() && shape.refused_until != absl::InfinitePast()) {
      Wait(attempt, todo, shape.refused_until, std::string(checkout.status().message()));
      break;
    }
    const bool silent =
        !checkout.ok() && FailureOf(checkout.status()) == Failure::kConnectFailed &&
        shape.refusal.code == 0;
    attempt.reached = attempt.reached || !silent;
    if (silent) attempt.unreachable = std::string(checkout.status().message());
    if (!checkout.ok()) {
      if (gate_ != nullptr && shape.refusal.code != 0) {
        gate_->OnReply(attempt.passage, *attempt.pass, host, shape.refusal);
      }
      PassOn(job, host, checkout.status(), todo, attempt);
      deferred.insert(deferred.end(), todo.begin(), todo.end());
      break;
    }
    talked = true;
    Connection& connection = checkout->connection();
    const std::size_t size = std::min(todo.size(), most);
    const auto middle = todo.begin() + static_cast<std::ptrdiff_t>(size);
    const std::vector<std::size_t> batch(todo.begin(), middle);
    const bool convert = NeedsConversion(job, connection.capabilities());
    BodySource body(job, queue_, convert);
    smtp::client::Transaction transaction = TransactionOf(job, batch, body.size());
    if (convert) transaction.body_is_8bit = transaction.body_is_binary = false;
    const Connection::Result result =
        co_await connection.Send(std::move(transaction), body, lease);
    const bool stale = result.end == Connection::End::kLost && checkout->reused() &&
                       !connection.transaction_answered() && !connection.final_dot_lost();
    if (stale && !fresh) {
      fresh = true;  // the server closed it while it was idle: once more, on a new one
      continue;
    }
    fresh = false;
    Tell(attempt, connection);
    attempt.pass.reset();  // used
    todo.erase(todo.begin(), middle);
    const std::vector<std::size_t> again =
        Take(job, connection, result, batch, attempt, deferred);
    todo.insert(todo.begin(), again.begin(), again.end());
    if (result.end == Connection::End::kLost) {
      // The rest is the next server's.
      for (const std::size_t i : todo) {
        attempt.results[i] = ResultOf(result.error);
        attempt.results[i].remote_host = NameOf(host);
        attempt.results[i].outcome = Outcome::kDeferred;
      }
      deferred.insert(deferred.end(), todo.begin(), todo.end());
      break;
    }
    if (attempt.stop) {
      for (const std::size_t i : todo) {
        attempt.results[i] = ResultOf(result.error);
        attempt.results[i].outcome = Outcome::kDeferred;
      }
      break;
    }
  }
  attempt.open = std::move(deferred);
  co_return talked;
}

// What the sender may have to hear of a server that took its message.
RecipientResult RemoteDelivery::DeliveredBy(const Job& job, const Connection& connection,
                                            RecipientResult result) const {
  const smtp::client::Capabilities& offered = connection.capabilities();
  result.handover = offered.dsn ? Handover::kPassedOn : Handover::kRelayed;
  const std::optional<DeliverBy>& by = job.options.deliver_by;
  result.tell_handover = by.has_value() && (by->trace || !offered.deliver_by);
  return result;
}

std::vector<std::size_t> RemoteDelivery::Take(const Job& job, const Connection& connection,
                                              const Connection::Result& result,
                                              const std::vector<std::size_t>& batch,
                                              Attempt& attempt,
                                              std::vector<std::size_t>& deferred) {
  const std::vector<RecipientOutcome>& outcomes = connection.outcomes();
  const bool some_delivered =
      std::any_of(outcomes.begin(), outcomes.end(),
                  [](const RecipientOutcome& outcome) { return outcome.delivered(); });
  std::vector<std::size_t> again;
  for (std::size_t k = 0; k < batch.size(); ++k) {
    const RecipientOutcome& outcome = outcomes[k];
    RecipientResult& slot = attempt.results[batch[k]];
    attempt.unfit[batch[k]] = false;
    if (outcome.decided) {
      slot = FromReply(connection.host(), outcome.reply);
      if (slot.outcome == Outcome::kDelivered) slot = DeliveredBy(job, connection, std::move(slot));
      if (outcome.lacks_extension) {
        slot.is_smtp_reply = false;
        attempt.unfit[batch[k]] = true;
        deferred.push_back(batch[k]);
        continue;
      }
      if (slot.outcome != Outcome::kDeferred) continue;
      attempt.saw_temporary = true;
      // RFC 5321 section 4.5.3.1.10: too many recipients at once; the rest goes in another round.
      const bool too_many = outcome.stage == smtp::client::Stage::kRcpt &&
                            outcome.reply.code == 452 && some_delivered;
      if (too_many && result.end == Connection::End::kDone) {
        again.push_back(batch[k]);
      } else {
        deferred.push_back(batch[k]);
      }
      continue;
    }
    slot = outcome.reply.code != 0 ? FromReply(connection.host(), outcome.reply)
                                   : ResultOf(result.error);
    slot.outcome = Outcome::kDeferred;  // nothing undecided is ever final
    attempt.saw_temporary = true;
    slot.remote_host = NameOf(connection.host());
    if (!connection.final_dot_lost()) deferred.push_back(batch[k]);
  }
  if (connection.final_dot_lost()) {
    // It may have arrived. Another server now would make the duplicate certain; a later attempt
    // leaves the window of invariant I4, which is counted.
    Metrics().possible_duplicates.Increment();
    log::Warn("delivery", "reply to the final dot lost",
              {{"id", job.message_id.ToString()},
               {"host", connection.host().ToString()},
               {"error", result.error}});
    attempt.stop = true;
  }
  if (result.end == Connection::End::kBodyFailed ||
      result.end == Connection::End::kLeaseNotSure) {
    attempt.stop = true;
  }
  return again;
}

}  // namespace posthorn::delivery
