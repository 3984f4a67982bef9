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
    if (state == "queued" || state == "deferred" || state == "leased") return &recipient;
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
  const absl::StatusOr<std::vector<QueuedMessage>> found = Find(session, selection);
  if (!found.ok()) return found.status();
  if (found->empty()) return absl::NotFoundError("is not in the queue");
  const QueuedMessage& message = found->front();
  if (session.json()) {
    std::cout << ToJson(message) << "\n";
    return absl::OkStatus();
  }
  Table head({"ID", FormatId(message.message_id())});
  head.Add({"FROM", Sender(message)});
  head.Add({"SIZE", FormatOctets(message.size())});
  head.Add({"RECEIVED", FormatTime(message.received_at().seconds())});
  head.Add({"EXPIRES", FormatTime(message.expires_at().seconds())});
  Table recipients({"TO", "STATE", "ATTEMPTS", "NEXT", "LAST REPLY"});
  for (const QueuedRecipient& recipient : message.recipients()) {
    recipients.Add({recipient.address(), recipient.state(), absl::StrCat(recipient.attempts()),
                    FormatTime(recipient.next_attempt_at().seconds()), recipient.last_reply()});
  }
  std::cout << head.ToString() << "\n" << recipients.ToString();
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

}  // namespace posthorn::ctl
