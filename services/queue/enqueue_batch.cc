#include "services/queue/enqueue_batch.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/postgres/body_store.h"

namespace posthorn::queue {
namespace {

constexpr char kNextJobIds[] = "SELECT nextval('queue.job_id')";
constexpr std::int64_t kJobIdBlock = 1048576;  // the sequence's increment
constexpr char kEnqueue[] =
    "SELECT outcome, known_id FROM queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
    " $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30,"
    " $31, $32)";

// The caller's own key says most precisely what is the same; then the resend key. The recipients
// belong to it: one message for other recipients is another envelope.
std::string KeyOf(const Message& message) {
  if (!message.idempotency_key.empty()) {
    return postgres::Sha256(absl::StrCat("idempotency", message.idempotency_key));
  }
  if (message.resend_key.empty()) {
    return postgres::Sha256(absl::StrCat("message", message.id.bytes()));
  }
  std::vector<std::string> addresses;
  for (const Recipient& recipient : message.recipients) addresses.push_back(recipient.address);
  std::sort(addresses.begin(), addresses.end());
  std::string text = absl::StrCat("resend", message.resend_key);
  for (const std::string& address : addresses) absl::StrAppend(&text, address, "\n");
  return postgres::Sha256(text);
}

std::optional<std::string_view> OrNull(const std::string& octets) {
  return octets.empty() ? std::nullopt : std::optional<std::string_view>(octets);
}

// What senders asked for, in the order of the other arrays.
void AddOptions(const std::vector<PlannedMessage*>& messages, absl::Time now,
                postgres::Params& params) {
  std::vector<std::optional<std::string_view>> options, recipient_options;
  std::vector<absl::Time> holds;
  std::vector<std::int64_t> priorities;
  for (const PlannedMessage* planned : messages) {
    const Message& message = planned->message;
    options.push_back(OrNull(message.options));
    holds.push_back(message.hold_until > now ? message.hold_until : absl::UnixEpoch());
    priorities.push_back(message.priority);
    for (const PlannedMessage::Job& job : planned->jobs) {
      for (const std::size_t i : job.recipients) {
        recipient_options.push_back(OrNull(message.recipients[i].options));
      }
    }
  }
  params.AddBytesArray(options).AddTimes(holds).AddInts(priorities);
  params.AddBytesArray(recipient_options);
}

}  // namespace

std::vector<JobRef> PlannedMessage::Refs() const {
  std::vector<JobRef> refs;
  refs.reserve(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    JobRef ref;
    ref.tenant = message.tenant;
    ref.job = JobId(first_job + static_cast<std::int64_t>(i));
    ref.hash = jobs[i].hash;
    refs.push_back(ref);
  }
  return refs;
}

absl::Time PlannedMessage::ReceivedAt(absl::Time now) const {
  const bool plausible = message.received_at >= absl::UnixEpoch() &&
                         message.received_at <= now + absl::Hours(1);
  return plausible ? message.received_at : now;
}

std::vector<LeasedJob> PlannedMessage::TakeLeased(const EnqueueTimes& times) {
  std::vector<LeasedJob> leased;
  const std::vector<JobRef> refs = Refs();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    LeasedJob job;
    job.ref = refs[i];
    job.attempt = 1;
    job.message = message.id;
    job.expires_at = times.ExpiryOf(message, jobs[i].destination);
    job.destination = std::move(jobs[i].destination);
    job.reverse_path = message.reverse_path;
    std::int64_t number = 0;
    for (const std::size_t position : jobs[i].recipients) {
      Recipient& from = message.recipients[position];
      LeasedRecipient to;
      to.id = ++number;
      to.address = std::move(from.address);
      to.original_address = std::move(from.original_address);
      to.account = from.account;
      to.options = std::move(from.options);
      job.recipients.push_back(std::move(to));
    }
    const bool last = i + 1 == jobs.size();
    job.prefix = last ? std::move(message.prefix) : message.prefix;
    job.inline_body = last ? std::move(message.inline_body) : message.inline_body;
    job.body_sha256 = message.body_sha256;
    job.size = message.size;
    job.received_at = ReceivedAt(times.now);
    job.body_is_8bit = message.body_is_8bit;
    job.local_resend_key = message.local_resend_key;
    job.options = message.options;
    leased.push_back(std::move(job));
  }
  return leased;
}

absl::StatusOr<PlannedMessage> Plan(Message message) {
  if (!message.tenant || message.recipients.empty()) return MakeFailure(Failure::kInvalidArgument);
  if (!message.inline_body.has_value() && message.body_sha256.size() != 32) {
    return MakeFailure(Failure::kInvalidArgument);
  }
  PlannedMessage planned;
  std::map<std::string, std::size_t> open_jobs;  // destination to the job that takes more
  for (std::size_t i = 0; i < message.recipients.size(); ++i) {
    std::string destination = DestinationOf(message.recipients[i]);
    if (destination.empty()) return MakeFailure(Failure::kBadAddress);
    auto [found, added] = open_jobs.try_emplace(destination, planned.jobs.size());
    if (!added && planned.jobs[found->second].recipients.size() >= kRecipientsPerJob) {
      found->second = planned.jobs.size();
      added = true;
    }
    if (added) {
      PlannedMessage::Job job;
      job.hash = HashOf(destination);
      job.destination = std::move(destination);
      planned.jobs.push_back(std::move(job));
    }
    planned.jobs[found->second].recipients.push_back(i);
  }
  planned.key = KeyOf(message);
  planned.message = std::move(message);
  return planned;
}

absl::Status JobIds::Assign(postgres::Connection& connection,
                            const std::vector<PlannedMessage*>& messages) {
  std::lock_guard lock(mutex_);
  for (PlannedMessage* planned : messages) {
    if (planned->first_job != 0) continue;
    const std::int64_t count = static_cast<std::int64_t>(planned->jobs.size());
    if (count > kJobIdBlock) return MakeFailure(Failure::kTooManyRecipients);
    if (end_ - next_ < count) {
      absl::StatusOr<postgres::Result> block = connection.Exec(kNextJobIds);
      if (!block.ok()) return block.status();
      next_ = block->Int(0, 0);
      end_ = next_ + kJobIdBlock;
    }
    planned->first_job = next_;
    next_ += count;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<EnqueueAnswer>> EnqueueIn(
    postgres::Transaction& transaction, const std::vector<PlannedMessage*>& messages,
    const EnqueueTimes& times, bool commit) {
  std::vector<std::int64_t> tenants, sizes, is_8bit, first_jobs, last_jobs, claimed;
  std::vector<std::string> ids, reverse_paths;
  std::vector<std::optional<std::string_view>> id_views, keys, prefixes, inlines, shas, local_keys;
  std::vector<absl::Time> received, expires, job_expires;
  std::vector<std::int64_t> job_message, job_ids, job_hashes;
  std::vector<std::string> job_destinations;
  std::vector<std::int64_t> recipient_job, recipient_ids, accounts;
  std::vector<std::string> addresses, originals;
  ids.reserve(messages.size());  // views point into it
  for (const PlannedMessage* planned : messages) {
    const Message& message = planned->message;
    tenants.push_back(message.tenant.value());
    ids.push_back(message.id.bytes());
    id_views.push_back(ids.back());
    keys.push_back(planned->key);
    reverse_paths.push_back(message.reverse_path);
    prefixes.push_back(message.prefix);
    inlines.push_back(message.inline_body);
    shas.push_back(message.inline_body.has_value()
                       ? std::nullopt
                       : std::optional<std::string_view>(message.body_sha256));
    sizes.push_back(static_cast<std::int64_t>(message.size));
    received.push_back(planned->ReceivedAt(times.now));
    absl::Time latest = absl::InfinitePast();
    for (const PlannedMessage::Job& job : planned->jobs) {
      job_expires.push_back(times.ExpiryOf(message, job.destination));
      latest = std::max(latest, job_expires.back());
    }
    expires.push_back(latest);
    is_8bit.push_back(message.body_is_8bit);
    local_keys.push_back(message.local_resend_key);
    claimed.push_back(planned->claimed);
    first_jobs.push_back(planned->first_job);
    last_jobs.push_back(planned->first_job + static_cast<std::int64_t>(planned->jobs.size()) - 1);
    for (std::size_t j = 0; j < planned->jobs.size(); ++j) {
      const PlannedMessage::Job& job = planned->jobs[j];
      job_message.push_back(static_cast<std::int64_t>(ids.size()));
      job_ids.push_back(planned->first_job + static_cast<std::int64_t>(j));
      job_destinations.push_back(job.destination);
      job_hashes.push_back(job.hash);
      std::int64_t number = 0;
      for (const std::size_t i : job.recipients) {
        const Recipient& recipient = message.recipients[i];
        recipient_job.push_back(static_cast<std::int64_t>(job_ids.size()));
        recipient_ids.push_back(++number);
        addresses.push_back(recipient.address);
        originals.push_back(recipient.original_address);
        accounts.push_back(recipient.account.value());
      }
    }
  }
  postgres::Params params = postgres::Params::Of(times.now, times.keys_expire);
  params.AddInts(tenants).AddBytesArray(id_views).AddBytesArray(keys).AddTexts(reverse_paths);
  params.AddBytesArray(prefixes).AddBytesArray(inlines).AddBytesArray(shas).AddInts(sizes);
  params.AddTimes(received).AddTimes(expires).AddInts(is_8bit).AddBytesArray(local_keys);
  params.AddInts(first_jobs).AddInts(last_jobs);
  params.AddInts(job_message).AddInts(job_ids).AddTexts(job_destinations).AddInts(job_hashes);
  params.AddInts(recipient_job).AddInts(recipient_ids).AddTexts(addresses).AddTexts(originals);
  params.AddInts(accounts).AddInts(claimed).Add(times.lease_end);
  AddOptions(messages, times.now, params);
  params.AddTimes(job_expires);
  absl::StatusOr<postgres::Result> rows = commit ? transaction.ExecAndCommit(kEnqueue, params)
                                                 : transaction.Exec(kEnqueue, params);
  if (!rows.ok()) return rows.status();
  std::vector<EnqueueAnswer> answers;
  for (int i = 0; i < rows->rows(); ++i) {
    absl::StatusOr<MessageId> known = MessageId::FromBytes(rows->Bytes(i, 1));
    if (!known.ok()) return known.status();
    EnqueueAnswer answer;
    answer.outcome = static_cast<EnqueueAnswer::Outcome>(rows->Int(i, 0));
    answer.known_id = *known;
    answers.push_back(answer);
  }
  if (answers.size() != messages.size()) return absl::InternalError("queue.enqueue lost a row");
  return answers;
}

}  // namespace posthorn::queue
