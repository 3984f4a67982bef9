#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/show.h"
#include "lib/base/ids.h"

namespace posthorn::ctl {
namespace {

using queue::v1::QueuedMessage;
using queue::v1::QueuedRecipient;
using Stub = Session::Stub;

constexpr int kPage = 1000;

std::string Sender(const QueuedMessage& message) {
  return message.reverse_path().empty() ? "<>" : message.reverse_path();
}

// The recipient that waits longest says why the message is here.
const QueuedRecipient* Waiting(const QueuedMessage& message) {
  for (const QueuedRecipient& recipient : message.recipients()) {
    const std::string& state = recipient.state();
    const bool waits =
        state == "queued" || state == "deferred" || state == "leased" || state == "held";
    if (waits) return &recipient;
  }
  return nullptr;
}

Columns<QueuedMessage> MessageColumns() {
  return {{"ID", "RECEIVED", "SIZE", "FROM", "TO", "STATE", "ATTEMPTS", "NEXT", "LAST REPLY"},
          [](const QueuedMessage& message) {
            const QueuedRecipient* first = Waiting(message);
            std::string to = first == nullptr ? "-" : first->address();
            if (message.recipients_size() > 1) {
              absl::StrAppend(&to, " (of ", message.recipients_size(), ")");
            }
            return std::vector<std::string>{
                FormatId(message.message_id()),
                FormatTime(message.received_at().seconds()),
                FormatOctets(message.size()),
                Sender(message),
                to,
                first == nullptr ? "-" : first->state(),
                first == nullptr ? "-" : absl::StrCat(first->attempts()),
                first == nullptr ? "-" : FormatTime(first->next_attempt_at().seconds()),
                first == nullptr ? "-" : first->last_reply()};
          }};
}

// What the sender asked for.
std::vector<std::pair<std::string, std::string>> AskedFor(const QueuedMessage& message) {
  const queue::v1::EnvelopeOptions& options = message.options();
  std::vector<std::pair<std::string, std::string>> shown;
  if (options.has_hold_until()) {
    shown.emplace_back("HOLD UNTIL", FormatTime(options.hold_until().seconds()));
  }
  if (options.has_deliver_by()) {
    const bool returns = options.deliver_by().mode() == queue::v1::DeliverBy::MODE_RETURN;
    shown.emplace_back("DELIVER BY", absl::StrCat(FormatTime(options.deliver_by().by().seconds()),
                                                  returns ? " or return" : " or notify"));
  }
  if (options.priority() != 0) shown.emplace_back("PRIORITY", absl::StrCat(options.priority()));
  if (options.require_tls()) shown.emplace_back("TLS", "required");
  if (!options.envelope_id().empty()) shown.emplace_back("ENVID", options.envelope_id());
  return shown;
}

absl::StatusOr<queue::v1::MessageFilter> FilterFor(Session& session,
                                                   const QueueSelection& selection) {
  queue::v1::MessageFilter filter;
  if (!selection.message_id.empty()) {
    const absl::StatusOr<MessageId> id = MessageId::Parse(selection.message_id);
    if (!id.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", selection.message_id, "\" is not a message id"));
    }
    filter.set_message_id(id->bytes());
  }
  if (!selection.tenant.empty()) {
    admin::v1::GetTenantRequest request;
    request.set_name(selection.tenant);
    const auto tenant = session.Call(&Stub::GetTenant, request);
    if (!tenant.ok()) return tenant.status();
    filter.set_tenant_id(tenant->tenant_id());
  }
  filter.set_destination(selection.destination);
  filter.set_reverse_path(selection.sender);
  return filter;
}

absl::StatusOr<std::vector<QueuedMessage>> Find(Session& session,
                                                const QueueSelection& selection) {
  queue::v1::ListMessagesRequest request;
  absl::StatusOr<queue::v1::MessageFilter> filter = FilterFor(session, selection);
  if (!filter.ok()) return filter.status();
  *request.mutable_filter() = *std::move(filter);
  request.set_limit(kPage);
  std::vector<QueuedMessage> all;
  while (true) {
    const auto page = session.Call(&Stub::ListQueue, request);
    if (!page.ok()) return page.status();
    all.insert(all.end(), page->messages().begin(), page->messages().end());
    if (page->messages_size() < kPage) return all;
    request.set_after_message_id(all.back().message_id());
  }
}

absl::Status RequireSelection(const QueueSelection& selection) {
  if (!selection.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("name a message id, or select with an option, or --all");
}

// For requests that change jobs: `request` has all but its filter.
template <typename Request, typename Method>
absl::Status Change(Session& session, const QueueSelection& selection, Request request,
                    Method method, const char* what) {
  if (absl::Status s = RequireSelection(selection); !s.ok()) return s;
  absl::StatusOr<queue::v1::MessageFilter> filter = FilterFor(session, selection);
  if (!filter.ok()) return filter.status();
  *request.mutable_filter() = *std::move(filter);
  const auto response = session.Call(method, request);
  if (!response.ok()) return response.status();
  if (session.json()) {
    std::cout << ToJson(*response) << "\n";
  } else {
    std::cout << response->jobs() << " deliveries " << what << "\n";
  }
  return absl::OkStatus();
}

// "1 min", "4 h", "5 d".
std::string FormatSeconds(std::int64_t seconds) {
  if (seconds % 86400 == 0 && seconds > 0) return absl::StrCat(seconds / 86400, " d");
  if (seconds % 3600 == 0 && seconds > 0) return absl::StrCat(seconds / 3600, " h");
  if (seconds % 60 == 0 && seconds > 0) return absl::StrCat(seconds / 60, " min");
  return absl::StrCat(seconds, " s");
}

// Of a GetScheduleResponse or a RetryRule.
template <typename Proto>
void PrintDelays(const Proto& schedule) {
  Table table({"AFTER ATTEMPT", "WAITS", "AGE THEN"});
  std::int64_t age = 0;
  for (int i = 0; i < schedule.delay_seconds_size(); ++i) {
    const bool last = i + 1 == schedule.delay_seconds_size();
    age += schedule.delay_seconds(i);
    table.Add({absl::StrCat(i + 1, last ? " and on" : ""), FormatSeconds(schedule.delay_seconds(i)),
               FormatSeconds(age)});
  }
  std::cout << table.ToString();
  if (schedule.delay_warning_seconds() > 0) {
    std::cout << "the sender is warned after " << FormatSeconds(schedule.delay_warning_seconds())
              << "; ";
  }
  std::cout << "the message is returned after " << FormatSeconds(schedule.expiry_seconds()) << "\n";
}

}  // namespace

absl::Status Status(Session& session) {
  admin::v1::ListTenantsRequest request;
  request.set_limit(1);
  const auto tenants = session.Call(&Stub::ListTenants, request);
  if (!tenants.ok()) return tenants.status();
  const absl::StatusOr<std::vector<QueuedMessage>> queued = Find(session, QueueSelection());
  if (!queued.ok()) return queued.status();
  if (session.json()) {
    std::cout << "{\"reachable\": true, \"queued_messages\": " << queued->size() << "}\n";
  } else {
    std::cout << session.target() << " answers and accepts the token; " << queued->size()
              << " messages are queued\n";
  }
  return absl::OkStatus();
}

absl::Status ListQueue(Session& session, const QueueSelection& selection) {
  const absl::StatusOr<std::vector<QueuedMessage>> found = Find(session, selection);
  if (!found.ok()) return found.status();
  ShowList(session, MessageColumns(), *found);
  return absl::OkStatus();
}

absl::Status ShowQueued(Session& session, const std::string& message_id) {
  QueueSelection selection;
  selection.message_id = message_id;
  const absl::StatusOr<queue::v1::MessageFilter> filter = FilterFor(session, selection);
  if (!filter.ok()) return filter.status();
  queue::v1::GetMessageRequest request;
  request.set_message_id(filter->message_id());
  const auto found = session.Call(&Stub::GetQueued, request);
  if (!found.ok()) return found.status();
  const QueuedMessage& message = found->message();
  if (session.json()) {
    std::cout << ToJson(message) << "\n";
    return absl::OkStatus();
  }
  Table events({"AT", "WHAT", "TO", "ATTEMPT", "HOST", "REPLY"});
  for (const queue::v1::MessageEvent& event : message.events()) {
    events.Add({FormatTime(event.at().seconds()), event.kind(), event.recipient(),
                event.attempt() == 0 ? "" : absl::StrCat(event.attempt()), event.remote_host(),
                event.text()});
  }
  Table head({"ID", FormatId(message.message_id())});
  if (message.recipients().empty()) {
    std::cout << head.ToString() << "It is in the queue no more.\n\n" << events.ToString();
    return absl::OkStatus();
  }
  head.Add({"FROM", Sender(message)});
  head.Add({"SIZE", FormatOctets(message.size())});
  head.Add({"RECEIVED", FormatTime(message.received_at().seconds())});
  head.Add({"EXPIRES", FormatTime(message.expires_at().seconds())});
  for (const auto& [name, value] : AskedFor(message)) head.Add({name, value});
  Table recipients({"TO", "STATE", "ATTEMPTS", "NEXT", "LAST REPLY"});
  for (const QueuedRecipient& recipient : message.recipients()) {
    recipients.Add({recipient.address(), recipient.state(), absl::StrCat(recipient.attempts()),
                    FormatTime(recipient.next_attempt_at().seconds()), recipient.last_reply()});
  }
  std::cout << head.ToString() << "\n" << recipients.ToString() << "\n" << events.ToString();
  return absl::OkStatus();
}

absl::Status RetryQueue(Session& session, const QueueSelection& selection) {
  if (absl::Status s = RequireSelection(selection); !s.ok()) return s;
  queue::v1::RetryMessagesRequest request;
  absl::StatusOr<queue::v1::MessageFilter> filter = FilterFor(session, selection);
  if (!filter.ok()) return filter.status();
  *request.mutable_filter() = *std::move(filter);
  const auto response = session.Call(&Stub::RetryQueue, request);
  if (!response.ok()) return response.status();
  if (session.json()) {
    std::cout << ToJson(*response) << "\n";
  } else {
    std::cout << response->jobs() << " deliveries are due now\n";
  }
  return absl::OkStatus();
}

absl::Status CancelQueue(Session& session, const QueueSelection& selection) {
  if (absl::Status s = RequireSelection(selection); !s.ok()) return s;
  queue::v1::CancelMessagesRequest request;
  absl::StatusOr<queue::v1::MessageFilter> filter = FilterFor(session, selection);
  if (!filter.ok()) return filter.status();
  *request.mutable_filter() = *std::move(filter);
  const auto response = session.Call(&Stub::CancelQueue, request);
  if (!response.ok()) return response.status();
  if (session.json()) {
    std::cout << ToJson(*response) << "\n";
  } else {
    std::cout << response->recipients() << " recipients are cancelled\n";
  }
  return absl::OkStatus();
}

absl::Status HoldQueue(Session& session, const QueueSelection& selection) {
  return Change(session, selection, queue::v1::HoldMessagesRequest(), &Stub::HoldQueue, "are held");
}

absl::Status ReleaseQueue(Session& session, const QueueSelection& selection) {
  return Change(session, selection, queue::v1::ReleaseMessagesRequest(), &Stub::ReleaseQueue,
                "are released");
}

absl::Status BounceQueue(Session& session, const QueueSelection& selection,
                         const std::string& reason) {
  queue::v1::BounceMessagesRequest request;
  request.set_reason(reason);
  return Change(session, selection, std::move(request), &Stub::BounceQueue, "go back to the sender");
}

absl::Status RerouteQueue(Session& session, const QueueSelection& selection,
                          const std::vector<std::string>& hosts) {
  queue::v1::RerouteMessagesRequest request;
  for (const std::string& host : hosts) request.add_hosts(host);
  return Change(session, selection, std::move(request), &Stub::RerouteQueue, "are rerouted");
}

absl::Status SummarizeQueue(Session& session, const QueueSelection& selection) {
  queue::v1::SummarizeRequest request;
  absl::StatusOr<queue::v1::MessageFilter> filter = FilterFor(session, selection);
  if (!filter.ok()) return filter.status();
  request.set_tenant_id(filter->tenant_id());
  request.set_limit(kPage);
  const auto response = session.Call(&Stub::SummarizeQueue, request);
  if (!response.ok()) return response.status();
  if (session.json()) {
    std::cout << ToJson(*response) << "\n";
    return absl::OkStatus();
  }
  std::vector<std::string> header = {"DESTINATION", "JOBS", "DEFERRED", "HELD"};
  for (const int minutes : response->age_minutes()) {
    header.push_back(absl::StrCat("<", minutes, "min"));
  }
  if (response->age_minutes_size() > 0) {
    const int last = response->age_minutes(response->age_minutes_size() - 1);
    header.push_back(absl::StrCat(last, "min+"));
  }
  Table table(header);
  for (const queue::v1::DestinationSummary& summary : response->destinations()) {
    std::vector<std::string> row = {summary.destination(), absl::StrCat(summary.jobs()),
                                    absl::StrCat(summary.deferred()),
                                    absl::StrCat(summary.held())};
    for (const std::int64_t jobs : summary.by_age()) row.push_back(absl::StrCat(jobs));
    table.Add(std::move(row));
  }
  std::cout << table.ToString();
  return absl::OkStatus();
}

absl::Status ShowSchedule(Session& session) {
  const auto schedule = session.Call(&Stub::GetQueueSchedule, queue::v1::GetScheduleRequest());
  if (!schedule.ok()) return schedule.status();
  if (session.json()) {
    std::cout << ToJson(*schedule) << "\n";
    return absl::OkStatus();
  }
  PrintDelays(*schedule);
  std::cout << "each " << schedule->jitter_percent() << "% more or less; mail may be held for "
            << FormatSeconds(schedule->max_hold_seconds()) << "\n";
  for (const queue::v1::RetryRule& rule : schedule->rules()) {
    std::cout << "\nto " << rule.destination();
    if (rule.tenant_id() != 0) std::cout << ", of tenant " << rule.tenant_id();
    std::cout << ":\n";
    PrintDelays(rule);
  }
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
