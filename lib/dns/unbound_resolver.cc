#include "lib/dns/unbound_resolver.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unbound.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/one_shot.h"

namespace posthorn::dns {
namespace {

constexpr int kClassInternet = 1;
constexpr int kServfail = 2;

bool IsIpAddress(const std::string& text) {
  unsigned char buffer[16];
  return inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

// resolv.conf(5): up to three name servers; none means the local machine.
std::vector<std::string> SystemServers() {
  std::vector<std::string> servers;
  std::ifstream file("/etc/resolv.conf");
  std::string line;
  while (servers.size() < 3 && std::getline(file, line)) {
    std::istringstream words(line);
    std::string keyword, address;
    if (words >> keyword >> address && keyword == "nameserver" && IsIpAddress(address)) {
      servers.push_back(absl::StrCat(address, "@53"));
    }
  }
  if (servers.empty()) servers.push_back("127.0.0.1@53");
  return servers;
}

absl::StatusOr<std::string> ConfigurationText(const UnboundOptions& options) {
  std::vector<std::string> servers;
  if (options.address.empty()) {
    servers = SystemServers();
  } else if (IsIpAddress(options.address)) {
    servers.push_back(absl::StrCat(options.address, "@", options.port));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("the resolver's address is no IP address: ", options.address));
  }
  std::string text =
      "server:\n"
      "  verbosity: 0\n"
      "  use-syslog: no\n"
      "  do-not-query-localhost: no\n"
      // libunbound answers these itself unless told otherwise, but the configured server is the
      // one to say what exists: developers use .test, and blocklists reverse private addresses.
      "  unblock-lan-zones: yes\n"
      "  insecure-lan-zones: yes\n"
      "  local-zone: \"test.\" nodefault\n"
      "  local-zone: \"invalid.\" nodefault\n"
      // A server that was down is asked again soon, instead of after minutes.
      "  infra-host-ttl: 5\n"
      "  infra-keep-probing: yes\n"
      "  infra-cache-max-rtt: 4000\n";
  if (options.trust_anchor_file.empty()) {
    absl::StrAppend(&text, "  module-config: \"iterator\"\n");
  } else {
    absl::StrAppend(&text, "  module-config: \"validator iterator\"\n  trust-anchor-file: \"",
                    options.trust_anchor_file, "\"\n");
  }
  absl::StrAppend(&text, "forward-zone:\n  name: \".\"\n");
  for (const std::string& server : servers) {
    absl::StrAppend(&text, "  forward-addr: ", server, "\n");
  }
  if (!options.cache) absl::StrAppend(&text, "  forward-no-cache: yes\n");
  return text;
}

// libunbound takes a forward zone with its options only from a file; this one never reaches a disk.
absl::Status LoadConfiguration(ub_ctx* context, const std::string& text) {
  const int fd = memfd_create("unbound.conf", MFD_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, "memfd_create");
  int error = 0;
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    error = UB_READFILE;
  } else {
    error = ub_ctx_config(context, absl::StrCat("/proc/self/fd/", fd).c_str());
  }
  close(fd);
  if (error == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("libunbound refuses its options: ", ub_strerror(error)));
}

// RFC 1035 section 2.3.4. What can't be put into a question exists nowhere.
bool FitsAQuestion(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  for (std::size_t label = 0; const char c : name) {
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return false;
  }
  return name.front() != '.' && name.find("..") == std::string_view::npos;
}

Answer<std::string> Temporary(std::string name, std::string error) {
  Answer<std::string> answer;
  answer.canonical_name = std::move(name);
  answer.error = std::move(error);
  return answer;
}

Answer<std::string> FromResult(const std::string& name, int error, const ub_result* result) {
  if (error != 0 || result == nullptr) return Temporary(name, ub_strerror(error));
  if (result->bogus != 0) return Temporary(name, "DNSSEC validation failed");
  Answer<std::string> answer;
  answer.canonical_name = name;
  if (result->canonname != nullptr) {
    answer.canonical_name =
        absl::AsciiStrToLower(absl::StripSuffix(absl::string_view(result->canonname), "."));
  }
  answer.ttl = absl::Seconds(result->ttl);
  answer.secure = result->secure != 0;
  if (result->nxdomain != 0) {
    answer.outcome = Outcome::kNoSuchName;
  } else if (result->rcode != 0) {
    return Temporary(name, result->rcode == kServfail
                               ? "the DNS server failed (SERVFAIL)"
                               : absl::StrCat("the DNS server answered code ", result->rcode));
  } else if (result->havedata == 0) {
    answer.outcome = Outcome::kNoData;
  } else {
    answer.outcome = Outcome::kAnswer;
    for (int i = 0; result->data[i] != nullptr; ++i) {
      answer.records.emplace_back(result->data[i], static_cast<std::size_t>(result->len[i]));
    }
  }
  return answer;
}

// One question. Answer and timeout race; the first one in sets the OneShot.
struct Question {
  explicit Question(std::string name_in) : name(std::move(name_in)) {}
  void Finish(Answer<std::string> value) {
    if (!finished.exchange(true)) done.Set(std::move(value));
  }
  const std::string name;
  std::atomic<bool> finished{false};
  OneShot<Answer<std::string>> done;
};

}  // namespace

struct UnboundResolver::Impl {
  struct Callback {
    Impl* impl;
    std::uint64_t id;
  };

  ~Impl() {
    if (thread.joinable()) {
      const std::uint64_t one = 1;
      stopping = true;
      [[maybe_unused]] const ssize_t n = write(wake_fd, &one, sizeof one);
      thread.join();
    }
    if (context != nullptr) ub_ctx_delete(context);
    if (wake_fd >= 0) close(wake_fd);
  }

  void Run() {
    pollfd fds[2] = {{ub_fd(context), POLLIN, 0}, {wake_fd, POLLIN, 0}};
    while (!stopping) {
      if (poll(fds, 2, -1) > 0 && fds[0].revents != 0) ub_process(context);
    }
  }

  static void OnAnswer(void* argument, int error, ub_result* result) {
    const auto* callback = static_cast<const Callback*>(argument);
    std::shared_ptr<Question> question = callback->impl->Take(callback->id);
    if (question != nullptr) question->Finish(FromResult(question->name, error, result));
    ub_resolve_free(result);
  }

  // Removes a question from those open. Its callback record goes with it.
  std::shared_ptr<Question> Take(std::uint64_t id) {
    std::lock_guard<std::mutex> lock(mutex);
    const auto it = open.find(id);
    if (it == open.end()) return nullptr;
    std::shared_ptr<Question> question = std::move(it->second.question);
    open.erase(it);
    return question;
  }

  struct Open {
    std::shared_ptr<Question> question;
    std::unique_ptr<Callback> callback;
  };

  absl::Duration timeout;
  ub_ctx* context = nullptr;
  int wake_fd = -1;
  std::atomic<bool> stopping{false};
  std::thread thread;
  std::mutex mutex;
  std::uint64_t next_id = 0;                       // guarded by mutex
  absl::flat_hash_map<std::uint64_t, Open> open;  // guarded by mutex
};

UnboundResolver::UnboundResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
UnboundResolver::~UnboundResolver() = default;

absl::StatusOr<std::unique_ptr<UnboundResolver>> UnboundResolver::Create(
    const UnboundOptions& options) {
  const absl::StatusOr<std::string> text = ConfigurationText(options);
  if (!text.ok()) return text.status();
  auto impl = std::make_unique<Impl>();
  impl->timeout = options.timeout;
  impl->wake_fd = eventfd(0, EFD_CLOEXEC);
  impl->context = ub_ctx_create();
  if (impl->context == nullptr || impl->wake_fd < 0) {
    return absl::ResourceExhaustedError("libunbound can't be started");
  }
  absl::Status loaded = LoadConfiguration(impl->context, *text);
  if (!loaded.ok()) return loaded;
  ub_ctx_debuglevel(impl->context, 0);
  ub_ctx_debugout(impl->context, nullptr);
  if (const int error = ub_ctx_async(impl->context, 1); error != 0) {
    return absl::InternalError(absl::StrCat("libunbound: ", ub_strerror(error)));
  }
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<UnboundResolver>(new UnboundResolver(std::move(impl)));
}

Task<Answer<std::string>> UnboundResolver::Query(std::string name, RecordType type) {
  if (!FitsAQuestion(name)) {
    Answer<std::string> answer;
    answer.outcome = Outcome::kNoSuchName;
    answer.canonical_name = std::move(name);
    co_return answer;
  }
  auto question = std::make_shared<Question>(name);
  Impl::Callback* callback = nullptr;
  std::uint64_t id = 0;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    id = ++impl_->next_id;
    Impl::Open& entry = impl_->open[id];
    entry.question = question;
    entry.callback = std::make_unique<Impl::Callback>();
    entry.callback->impl = impl_.get();
    entry.callback->id = id;
    callback = entry.callback.get();
  }
  const int error = ub_resolve_async(impl_->context, name.c_str(), static_cast<int>(type),
                                     kClassInternet, callback, &Impl::OnAnswer, nullptr);
  if (error != 0) {
    impl_->Take(id);
    Answer<std::string> failed = Temporary(name, ub_strerror(error));
    co_return failed;
  }
  // libunbound gives up on its own later; the question stays open for it until then.
  std::weak_ptr<Question> weak = question;
  Executor::Current()->PostAfter(impl_->timeout, [weak] {
    if (const std::shared_ptr<Question> late = weak.lock()) {
      late->Finish(Temporary(late->name, "the DNS server did not answer in time"));
    }
  });
  Answer<std::string> answer = co_await question->done;
  co_return answer;
}

}  // namespace posthorn::dns
