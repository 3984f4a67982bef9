#include "lib/redis/client.h"

#include <openssl/evp.h>

#include <deque>
#include <mutex>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/base/one_shot.h"
#include "lib/redis/link.h"

namespace posthorn::redis {
namespace {

using Answer = absl::StatusOr<Reply>;

absl::Status Away() { return MakeFailure(Failure::kUnavailable, "Redis is away"); }

std::string Sha1Hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha1(), nullptr);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), length));
}

}  // namespace

Script::Script(std::string source) : source_(std::move(source)), sha1_(Sha1Hex(source_)) {}

// Callers put requests into `incoming_` under the mutex; the loop moves them to `pending_` as it
// writes them. A server that is away answers at once, an attempt to connect is waited for.
class Client::Impl final : public Link::Handler, public std::enable_shared_from_this<Impl> {
 public:
  Impl(net::EventLoop& loop, Options options) : link_(loop, std::move(options)) {}

  void Start() { link_.Start(shared_from_this()); }

  void Stop() {
    link_.Stop();
    FailAll(true);
  }

  bool up() const { return link_.up(); }

  // Fails if it returns a status; otherwise `done` will be set.
  absl::Status Submit(std::string wire, OneShot<Answer>* done) {
    {
      std::lock_guard lock(mutex_);
      if (away_ || stopped_) return Away();
      if (incoming_.size() + pending_count_ >= link_.options().max_pending) {
        return MakeFailure(Failure::kOverloaded);
      }
      incoming_.push_back({std::move(wire), done});
      if (std::exchange(flush_posted_, true)) return absl::OkStatus();
    }
    link_.loop().Post([self = shared_from_this()] { self->Flush(); });
    return absl::OkStatus();
  }

  void OnUp() override {
    {
      std::lock_guard lock(mutex_);
      away_ = false;
      up_ = true;
    }
    Flush();
  }

  void OnReply(Reply reply) override {
    if (pending_.empty()) return link_.Break();  // out of step with the server
    OneShot<Answer>* done = pending_.front().done;
    pending_.pop_front();
    {
      std::lock_guard lock(mutex_);
      --pending_count_;
    }
    if (done == nullptr) return;
    if (reply.is_error()) {
      done->Set(absl::InternalError(absl::StrCat("Redis: ", reply.text)));
    } else {
      done->Set(std::move(reply));
    }
  }

  void OnDown() override { FailAll(false); }

 private:
  struct Request {
    std::string wire;
    OneShot<Answer>* done;  // null: nobody waits
  };
  struct Pending {
    OneShot<Answer>* done;
    absl::Time deadline;
  };

  void Flush() {
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

  // One timer watches the oldest pending command.
  void Watch() {
    if (watching_ || pending_.empty()) return;
    watching_ = true;
    const absl::Duration wait = pending_.front().deadline - absl::Now();
    link_.loop().PostAfter(std::max(wait, absl::Milliseconds(1)), [weak = weak_from_this()] {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self) return;
      self->watching_ = false;
      if (self->pending_.empty()) return;
      if (self->pending_.front().deadline <= absl::Now()) return self->link_.Break();
      self->Watch();
    });
  }

  void FailAll(bool stopped) {
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
    if (stopped) return;  // the link has called OnDown, which ran what follows
    for (const Pending& pending : std::exchange(pending_, {})) {
      if (pending.done != nullptr) pending.done->Set(Away());
    }
  }

  Link link_;

  std::mutex mutex_;
  std::vector<Request> incoming_;    // guarded by mutex_
  std::size_t pending_count_ = 0;    // guarded by mutex_
  bool flush_posted_ = false;        // guarded by mutex_
  bool away_ = false;                // guarded by mutex_
  bool up_ = false;                  // guarded by mutex_
  bool stopped_ = false;             // guarded by mutex_

  std::deque<Pending> pending_;  // of the loop
  bool watching_ = false;        // of the loop
};

Client::Client(net::EventLoop& loop, Options options)
    : impl_(std::make_shared<Impl>(loop, std::move(options))) {
  impl_->Start();
}
Client::~Client() { Stop(); }
void Client::Stop() { impl_->Stop(); }
bool Client::connected() const { return impl_->up(); }

Task<absl::StatusOr<Reply>> Client::Command(std::vector<std::string> args) {
  const std::shared_ptr<Impl> impl = impl_;
  OneShot<Answer> done;
  absl::Status submitted = impl->Submit(FormatCommand(args), &done);
  if (!submitted.ok()) co_return submitted;
  co_return co_await done;
}

Task<std::vector<absl::StatusOr<Reply>>> Client::Commands(
    std::vector<std::vector<std::string>> commands) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto done = std::make_unique<OneShot<Answer>[]>(commands.size());
  std::vector<absl::Status> submitted;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    submitted.push_back(impl->Submit(FormatCommand(commands[i]), &done[i]));
  }
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (!submitted[i].ok()) {
      answers.push_back(submitted[i]);
      continue;
    }
    OneShot<Answer>& one = done[i];
    Answer answer = co_await one;
    answers.push_back(std::move(answer));
  }
  co_return answers;
}

Task<absl::StatusOr<Reply>> Client::Run(const Script& script, std::vector<std::string> keys,
                                        std::vector<std::string> args) {
  std::vector<std::string> command;
  command.reserve(3 + keys.size() + args.size());
  command.push_back("EVALSHA");
  command.push_back(script.sha1());
  command.push_back(absl::StrCat(keys.size()));
  std::move(keys.begin(), keys.end(), std::back_inserter(command));
  std::move(args.begin(), args.end(), std::back_inserter(command));
  absl::StatusOr<Reply> reply = co_await Command(command);
  if (reply.ok() || !absl::StrContains(reply.status().message(), "NOSCRIPT")) co_return reply;
  command[0] = "EVAL";
  command[1] = script.source();
  co_return co_await Command(std::move(command));
}

Task<absl::Status> Client::Publish(std::string channel, std::string message) {
  std::vector<std::string> command = {"PUBLISH", std::move(channel), std::move(message)};
  const absl::StatusOr<Reply> reply = co_await Command(std::move(command));
  co_return reply.status();
}

void Client::PublishAndForget(std::string channel, std::string message) {
  const std::vector<std::string> command = {"PUBLISH", std::move(channel), std::move(message)};
  impl_->Submit(FormatCommand(command), nullptr).IgnoreError();
}

}  // namespace posthorn::redis
