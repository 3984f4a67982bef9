#include "services/delivery/remote_delivery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
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

smtp::client::Transaction TransactionOf(const Job& job, const std::vector<std::size_t>& batch,
                                        std::uint64_t size) {
  smtp::client::Transaction transaction;
  transaction.reverse_path = job.reverse_path;
  transaction.size = size;
  transaction.body_is_8bit = job.body_is_8bit;
  for (const std::size_t i : batch) transaction.recipients.push_back(job.recipients[i].address);
  return transaction;
}

}  // namespace

Task<std::vector<RecipientResult>> RemoteDelivery::Deliver(const Job& job,
                                                           const LeaseView& lease) {
  Attempt attempt;
  attempt.results.resize(job.recipients.size());
  Sender sender(job.key.tenant, job.reverse_path);
  const absl::StatusOr<std::vector<Host>> hosts =
      co_await router_.HostsFor(job.key.destination, std::move(sender));
  if (!hosts.ok()) {
    const RecipientResult failed = ResultOf(hosts.status());
    std::fill(attempt.results.begin(), attempt.results.end(), failed);
    co_return std::move(attempt.results);
  }
  for (std::size_t i = 0; i < job.recipients.size(); ++i) attempt.open.push_back(i);
  std::size_t sessions = 0;
  for (const Host& host : *hosts) {
    if (attempt.open.empty() || attempt.stop || lease.Lost()) break;
    if (sessions >= options_.max_sessions) break;
    const bool talked = co_await TryHost(job, lease, host, attempt);
    sessions += talked ? 1 : 0;
  }
  co_return std::move(attempt.results);
}

Task<bool> RemoteDelivery::TryHost(const Job& job, const LeaseView& lease, Host host,
                                   Attempt& attempt) {
  std::vector<std::size_t> todo = std::move(attempt.open);
  attempt.open.clear();
  std::vector<std::size_t> deferred;  // for the next server
  bool talked = false;
  bool fresh = false;
  while (!todo.empty()) {
    absl::StatusOr<ConnectionPool::Checkout> checkout = co_await pool_.Acquire(host, fresh);
    if (!checkout.ok()) {
      RecipientResult failed = ResultOf(checkout.status());
      failed.remote_host = NameOf(host);
      for (const std::size_t i : todo) attempt.results[i] = failed;
      deferred.insert(deferred.end(), todo.begin(), todo.end());
      break;
    }
    talked = true;
    Connection& connection = checkout->connection();
    const std::size_t size = std::min(todo.size(), options_.recipients_per_transaction);
    const auto middle = todo.begin() + static_cast<std::ptrdiff_t>(size);
    const std::vector<std::size_t> batch(todo.begin(), middle);
    BodySource body(job, queue_);
    smtp::client::Transaction transaction = TransactionOf(job, batch, body.size());
    const Connection::Result result =
        co_await connection.Send(std::move(transaction), body, lease);
    const bool stale = result.end == Connection::End::kLost && checkout->reused() &&
                       !connection.transaction_answered() && !connection.final_dot_lost();
    if (stale && !fresh) {
      fresh = true;  // the server closed it while it was idle: once more, on a new one
      continue;
    }
    fresh = false;
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
    if (outcome.decided) {
      slot = FromReply(connection.host(), outcome.reply);
      if (slot.outcome != Outcome::kDeferred) continue;
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
