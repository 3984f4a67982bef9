#include "lib/redis/client.h"

#include <openssl/evp.h>

#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/executor.h"
#include "lib/base/one_shot.h"
#include "lib/redis/cluster.h"
#include "lib/redis/node.h"

namespace posthorn::redis {
namespace {

using Answer = absl::StatusOr<Reply>;

std::string Sha1Hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha1(), nullptr);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), length));
}

// Calls that run at the same time on the current executor.
struct Fleet {
  explicit Fleet(std::size_t size) : answers(size), left(size) {}
  std::vector<Answer> answers;
  std::size_t left;
  OneShot<bool> done;
};

Task<void> Sail(std::shared_ptr<Fleet> fleet, std::size_t index, Task<Answer> call) {
  fleet->answers[index] = co_await std::move(call);
  if (--fleet->left == 0) fleet->done.Set(true);
}

Task<std::vector<Answer>> All(std::vector<Task<Answer>> calls) {
  if (calls.empty()) co_return std::vector<Answer>();
  auto fleet = std::make_shared<Fleet>(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Spawn(*Executor::Current(), Sail(fleet, i, std::move(calls[i])));
  }
  co_await fleet->done;
  co_return std::move(fleet->answers);
}

}  // namespace

Script::Script(std::string source, Keys keys)
    : source_(std::move(source)), sha1_(Sha1Hex(source_)), keys_(keys) {}

Client::Client(net::EventLoop& loop, Options options) {
  if (options.topology == Topology::kCluster) {
    cluster_ = std::make_shared<Cluster>(loop, std::move(options));
    cluster_->Start();
  } else {
    node_ = std::make_shared<Node>(loop, std::move(options));
    node_->Start();
  }
}
Client::~Client() { Stop(); }
void Client::Stop() {
  if (node_) node_->Stop();
  if (cluster_) cluster_->Stop();
}
bool Client::connected() const { return node_ ? node_->up() : cluster_->up(); }

Task<Answer> Client::Command(std::vector<std::string> args) {
  if (cluster_) return cluster_->Call(std::move(args), false);
  return node_->Call(FormatCommand(args));
}

Task<std::vector<Answer>> Client::Commands(std::vector<std::vector<std::string>> commands) {
  if (node_) {
    std::vector<std::string> wires;
    wires.reserve(commands.size());
    for (const std::vector<std::string>& command : commands) {
      wires.push_back(FormatCommand(command));
    }
    return node_->CallAll(std::move(wires));
  }
  std::vector<Task<Answer>> calls;
  calls.reserve(commands.size());
  for (std::vector<std::string>& command : commands) calls.push_back(Command(std::move(command)));
  return All(std::move(calls));
}

Task<Answer> Client::Run(const Script& script, std::vector<std::string> keys,
                         std::vector<std::string> args) {
  const std::shared_ptr<Node> node = node_;
  const std::shared_ptr<Cluster> cluster = cluster_;
  const bool whole_slot = script.keys() == Script::Keys::kWholeSlot;
  std::vector<std::string> command;
  command.reserve(3 + keys.size() + args.size());
  command.push_back("EVALSHA");
  command.push_back(script.sha1());
  command.push_back(absl::StrCat(keys.size()));
  std::move(keys.begin(), keys.end(), std::back_inserter(command));
  std::move(args.begin(), args.end(), std::back_inserter(command));
  for (bool again = false;; again = true) {
    Answer answer = absl::UnknownError("");
    if (cluster) {
      answer = co_await cluster->Call(command, whole_slot);
    } else {
      answer = co_await node->Call(FormatCommand(command));
    }
    // In a cluster each node learns the script for itself.
    if (again || answer.ok() || !absl::StrContains(answer.status().message(), "NOSCRIPT")) {
      co_return answer;
    }
    command[0] = "EVAL";
    command[1] = script.source();
  }
}

Task<std::vector<Answer>> Client::RunAll(const Script& script, std::vector<ScriptCall> calls) {
  std::vector<Task<Answer>> runs;
  runs.reserve(calls.size());
  for (ScriptCall& call : calls) {
    runs.push_back(Run(script, std::move(call.keys), std::move(call.args)));
  }
  return All(std::move(runs));
}

Task<absl::StatusOr<std::vector<std::string>>> Client::Scan(ScanCursor& cursor,
                                                            std::string pattern) {
  std::vector<std::shared_ptr<Node>> masters(1, node_);
  if (cluster_) {
    absl::StatusOr<std::vector<std::shared_ptr<Node>>> all = co_await cluster_->Masters();
    if (!all.ok()) co_return all.status();
    masters = *std::move(all);
  }
  std::vector<std::string> keys;
  if (cursor.master >= masters.size()) cursor.done = true;
  if (cursor.done) co_return keys;
  const std::vector<std::string> scan = {"SCAN",  cursor.cursor, "MATCH", std::move(pattern),
                                         "COUNT", "1000"};
  Answer page = co_await masters[cursor.master]->Call(FormatCommand(scan));
  if (!page.ok()) co_return page.status();
  if (page->elements.size() != 2) co_return absl::InternalError("Redis: unexpected SCAN");
  cursor.cursor = page->elements[0].text;
  if (cursor.cursor == "0") cursor.done = ++cursor.master == masters.size();
  for (Reply& key : page->elements[1].elements) keys.push_back(std::move(key.text));
  co_return keys;
}

Task<absl::Status> Client::Publish(std::string channel, std::string message) {
  std::vector<std::string> command = {"PUBLISH", std::move(channel), std::move(message)};
  const Answer answer = co_await Command(std::move(command));
  co_return answer.status();
}

void Client::PublishAndForget(std::string channel, std::string message) {
  std::vector<std::string> command = {"PUBLISH", std::move(channel), std::move(message)};
  if (cluster_) return cluster_->Send(std::move(command));
  node_->Send(FormatCommand(command));
}

}  // namespace posthorn::redis
