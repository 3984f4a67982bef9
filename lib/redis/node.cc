#include "lib/redis/node.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/failure.h"

namespace posthorn::redis {

absl::Status Away() { return MakeFailure(Failure::kUnavailable, "Redis is away"); }

void Node::Stop() {
  link_.Stop();
  FailAll(true);
}

Task<Node::Answer> Node::Call(std::string wire) {
  const std::shared_ptr<Node> self = shared_from_this();
  OneShot<Answer> done;
  std::vector<Request> requests;
  requests.push_back({std::move(wire), &done});
  const absl::Status submitted = Submit(std::move(requests));
  if (!submitted.ok()) co_return submitted;
  Answer answer = co_await done;
  co_return answer;
}

Task<Node::Answer> Node::CallAsking(std::string wire) {
  const std::shared_ptr<Node> self = shared_from_this();
  OneShot<Answer> done;
  std::vector<Request> requests;
  requests.push_back({FormatCommand({"ASKING"}), nullptr});
  requests.push_back({std::move(wire), &done});
  const absl::Status submitted = Submit(std::move(requests));
  if (!submitted.ok()) co_return submitted;
  Answer answer = co_await done;
  co_return answer;
}

Task<std::vector<Node::Answer>> Node::CallAll(std::vector<std::string> wires) {
  const std::shared_ptr<Node> self = shared_from_this();
  const auto done = std::make_unique<OneShot<Answer>[]>(wires.size());
  std::vector<Request> requests;
  for (std::size_t i = 0; i < wires.size(); ++i) {
    requests.push_back({std::move(wires[i]), &done[i]});
  }
  std::vector<Answer> answers;
  const absl::Status submitted = Submit(std::move(requests));
  if (!submitted.ok()) {
    answers.assign(wires.size(), submitted);
    co_return answers;
  }
  for (std::size_t i = 0; i < wires.size(); ++i) {
    OneShot<Answer>& one = done[i];
    Answer answer = co_await one;
    answers.push_back(std::move(answer));
  }
  co_return answers;
}

void Node::Send(std::string wire) {
  std::vector<Request> requests;
  requests.push_back({std::move(wire), nullptr});
  Submit(std::move(requests)).IgnoreError();
}

absl::Status Node::Submit(std::vector<Request> requests) {
  if (requests.empty()) return absl::OkStatus();
  {
    std::lock_guard lock(mutex_);
    if (away_ || stopped_) return Away();
    if (incoming_.size() + pending_count_ + requests.size() > link_.options().max_pending) {
      return MakeFailure(Failure::kOverloaded);
    }
    std::move(requests.begin(), requests.end(), std::back_inserter(incoming_));
    if (std::exchange(flush_posted_, true)) return absl::OkStatus();
  }
  link_.loop().Post([self = shared_from_this()] { self->Flush(); });
  return absl::OkStatus();
}

void Node::OnUp() {
  {
    std::lock_guard lock(mutex_);
    away_ = false;
    up_ = true;
  }
  Flush();
}

void Node::OnReply(Reply reply) {
  if (pending_.empty()) return link_.Break();  // out of step with the server
  OneShot<Answer>* done = pending_.front().done;
  pending_.pop_front();
  {
    std::lock_guard lock(mutex_);
    --pending_count_;
  }
  // A replica, after all: the next connection goes to where the master is then.
  if (reply.is_error() && absl::StartsWith(reply.text, "READONLY")) link_.Break();
  if (done == nullptr) return;
  if (reply.is_error()) {
    done->Set(absl::InternalError(absl::StrCat(kServerError, reply.text)));
  } else {
    done->Set(std::move(reply));
  }
}

void Node::Flush() {
  std::vector<Request> batch;
  {
    std::lock_guard lock(mutex_);
    flush_posted_ = false;
    if (!up_) return;  // OnUp comes back
    batch.swap(incoming_);
    pending_count_ += batch.size();
  }
  if (batch.empty()) return;
  const absl::Time deadline = absl::Now() + link_.options().command_timeout;
  std::string wire;
  for (Request& request : batch) {
    wire.append(request.wire);
    pending_.push_back({request.done, deadline});
  }
  link_.Write(wire);
  Watch();
}

void Node::Watch() {
  if (watching_ || pending_.empty()) return;
  watching_ = true;
  const absl::Duration wait = pending_.front().deadline - absl::Now();
  link_.loop().PostAfter(std::max(wait, absl::Milliseconds(1)), [weak = weak_from_this()] {
    const std::shared_ptr<Node> self = weak.lock();
    if (!self) return;
    self->watching_ = false;
    if (self->pending_.empty()) return;
    if (self->pending_.front().deadline <= absl::Now()) return self->link_.Break();
    self->Watch();
  });
}

void Node::FailAll(bool stopped) {
  std::vector<Request> unsent;
  {
    std::lock_guard lock(mutex_);
    away_ = true;
    up_ = false;
    stopped_ = stopped_ || stopped;
    unsent.swap(incoming_);
    pending_count_ = 0;
  }
  for (const Request& request : unsent) {
    if (request.done != nullptr) request.done->Set(Away());
  }
  if (stopped) return;  // the link calls OnDown, which runs what follows
  for (const Pending& pending : std::exchange(pending_, {})) {
    if (pending.done != nullptr) pending.done->Set(Away());
  }
}

}  // namespace posthorn::redis
