#include "services/gateway/testing/fake_backends.h"

#include <utility>

namespace posthorn::gateway {

std::string BodyText(const net::StagedBody& body) {
  std::string text;
  while (text.size() < body.size()) {
    const absl::StatusOr<std::string> piece = body.Read(text.size(), 65536);
    if (!piece.ok() || piece->empty()) break;
    text += *piece;
  }
  return text;
}

Task<std::vector<absl::Status>> FakeLocalDelivery::Deliver(LocalMessage message) {
  std::vector<absl::Status> statuses;
  for (const LocalRecipient& recipient : message.recipients) {
    const auto answer = answers.find(recipient.account);
    statuses.push_back(answer == answers.end() ? absl::OkStatus() : answer->second);
  }
  messages.push_back(std::move(message));
  co_return statuses;
}

Task<absl::StatusOr<Enqueued>> FakeSpool::Enqueue(OutboundMessage message) {
  const auto failed = failures.find(message.tenant);
  const MessageId id = message.id;
  messages.push_back(std::move(message));
  if (failure.has_value()) co_return *failure;
  if (failed != failures.end()) co_return failed->second;
  if (answer.has_value()) co_return *answer;
  co_return Enqueued(id, false);
}

Task<AcceptResult> FakeAcceptor::Accept(AcceptRequest request) {
  AcceptResult result;
  result.id = request.id;
  for (const AcceptRecipient& recipient : request.recipients) {
    const auto answer = answers.find(recipient.address);
    result.recipients.push_back(answer == answers.end() ? absl::OkStatus() : answer->second);
  }
  Accepted accepted;
  accepted.body = BodyText(*request.body);
  accepted.request = std::move(request);
  messages.push_back(std::move(accepted));
  co_return result;
}

}  // namespace posthorn::gateway
