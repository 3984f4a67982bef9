#include "services/delivery/https_client.h"

#include <curl/curl.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"
#include "lib/base/one_shot.h"

namespace posthorn::delivery {
namespace {

constexpr int kThreads = 2;

absl::Status Failed(std::string text) {
  return MakeFailure(Failure::kUnavailable, std::move(text));
}

// One request, from the coroutine that waits to the thread that works.
struct Exchange {
  HttpsRequest request;
  std::vector<std::string> addresses;  // the host's
  OneShot<absl::StatusOr<HttpsAnswer>> done;
};

struct Collected {
  std::string text;
  std::size_t limit = 0;
};

std::size_t Collect(char* data, std::size_t size, std::size_t count, void* argument) {
  auto* const collected = static_cast<Collected*>(argument);
  if (collected->text.size() + size * count > collected->limit) return 0;
  collected->text.append(data, size * count);
  return size * count;
}

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

class CurlClient final : public HttpsClient {
 public:
  CurlClient(HttpsOptions options, dns::Resolver& resolver)
      : options_(std::move(options)), resolver_(resolver) {
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    static_cast<void>(initialised);
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }

  ~CurlClient() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      waiting_.clear();
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Task<absl::StatusOr<HttpsAnswer>> Ask(HttpsRequest request) override {
    auto exchange = std::make_shared<Exchange>();
    exchange->request = std::move(request);
    const std::string& host = exchange->request.host;
    const dns::Answer<std::string> v4 = co_await resolver_.QueryA(host);
    const dns::Answer<std::string> v6 = co_await resolver_.QueryAaaa(host);
    for (const std::string& ip : v4.records) exchange->addresses.push_back(ip);
    for (const std::string& ip : v6.records) {
      exchange->addresses.push_back(absl::StrCat("[", ip, "]"));
    }
    if (exchange->addresses.empty()) co_return Failed(absl::StrCat(host, " has no address"));
    if (!Queue(exchange)) co_return Failed("too many web servers are being asked");
    absl::StatusOr<HttpsAnswer> answer = co_await exchange->done;
    co_return answer;
  }

 private:
  bool Queue(const std::shared_ptr<Exchange>& exchange) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_ || waiting_.size() >= options_.max_waiting) return false;
      waiting_.push_back(exchange);
    }
    changed_.notify_one();
    return true;
  }

  void Work() {
    for (;;) {
      std::shared_ptr<Exchange> exchange;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        exchange = std::move(waiting_.front());
        waiting_.pop_front();
      }
      absl::StatusOr<HttpsAnswer> answer = Perform(*exchange);
      if (!stopping_) exchange->done.Set(std::move(answer));
    }
  }

  absl::StatusOr<HttpsAnswer> Perform(const Exchange& exchange) {
    const HttpsRequest& request = exchange.request;
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                   curl_easy_cleanup);
    if (curl == nullptr) return Failed("libcurl can't be started");
    const std::string resolve = absl::StrCat(request.host, ":", request.port, ":",
                                             absl::StrJoin(exchange.addresses, ","));
    const Headers names(curl_slist_append(nullptr, resolve.c_str()), curl_slist_free_all);
    const std::string url =
        absl::StrCat("https://", request.host, ":", request.port, request.target);
    const std::string type = absl::StrCat("Content-Type: ", request.content_type);
    const Headers headers(curl_slist_append(nullptr, type.c_str()), curl_slist_free_all);
    Collected collected;
    collected.limit = request.max_octets;
    char error[CURL_ERROR_SIZE] = "";
    CURL* const c = curl.get();
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_RESOLVE, names.get());
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(c, CURLOPT_CAINFO, options_.ca_file.c_str());
    curl_easy_setopt(c, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(absl::ToInt64Milliseconds(options_.timeout)));
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &Collect);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &collected);
    if (!request.content_type.empty()) {
      curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
      curl_easy_setopt(c, CURLOPT_POSTFIELDS, request.content.data());
      curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.content.size()));
    }
    // Lets the destructor end an exchange.
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION,
                     +[](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
                       return static_cast<CurlClient*>(self)->stopping_ ? 1 : 0;
                     });
    const CURLcode result = curl_easy_perform(c);
    const std::string where = absl::StrCat(url, ": ");
    if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE) {
      return MakeFailure(Failure::kTlsFailed, absl::StrCat(where, error));
    }
    if (result != CURLE_OK) {
      return Failed(absl::StrCat(where, error[0] != '\0' ? error : curl_easy_strerror(result)));
    }
    HttpsAnswer answer;
    long status = 0;
    const char* answered = nullptr;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &answered);
    answer.status = static_cast<int>(status);
    if (answered != nullptr) answer.content_type = answered;
    answer.content = std::move(collected.text);
    return answer;
  }

  const HttpsOptions options_;
  dns::Resolver& resolver_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Exchange>> waiting_;  // guarded by mutex_
  std::atomic<bool> stopping_{false};              // set under mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<HttpsClient> MakeHttpsClient(HttpsOptions options, dns::Resolver& resolver) {
  return std::make_unique<CurlClient>(std::move(options), resolver);
}

}  // namespace posthorn::delivery
