#include "services/delivery/sts_fetcher.h"

#include <curl/curl.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"
#include "lib/base/one_shot.h"
#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {
namespace {

constexpr std::size_t kMaxOctets = 64 * 1024;
constexpr int kThreads = 2;

absl::Status Failed(std::string_view result, std::string text) {
  return WithTlsResult(MakeFailure(Failure::kUnavailable, text), result);
}

// One fetch, from the coroutine that waits to the thread that works.
struct Fetch {
  std::string host;                    // "mta-sts.example.net"
  std::vector<std::string> addresses;  // its
  OneShot<absl::StatusOr<std::string>> done;
};

std::size_t Collect(char* data, std::size_t size, std::size_t count, void* argument) {
  auto* const text = static_cast<std::string*>(argument);
  if (text->size() + size * count > kMaxOctets) return 0;
  text->append(data, size * count);
  return size * count;
}

class CurlFetcher final : public StsFetcher {
 public:
  CurlFetcher(StsFetcherOptions options, dns::Resolver& resolver)
      : options_(std::move(options)), resolver_(resolver) {
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    static_cast<void>(initialised);
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }

  ~CurlFetcher() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      waiting_.clear();
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Task<absl::StatusOr<std::string>> FetchStsPolicy(std::string domain) override {
    auto fetch = std::make_shared<Fetch>();
    fetch->host = absl::StrCat("mta-sts.", domain);
    const dns::Answer<std::string> v4 = co_await resolver_.QueryA(fetch->host);
    const dns::Answer<std::string> v6 = co_await resolver_.QueryAaaa(fetch->host);
    for (const std::string& ip : v4.records) fetch->addresses.push_back(ip);
    for (const std::string& ip : v6.records) fetch->addresses.push_back(absl::StrCat("[", ip, "]"));
    if (fetch->addresses.empty()) {
      co_return Failed("sts-policy-fetch-error", absl::StrCat(fetch->host, " has no address"));
    }
    if (!Queue(fetch)) {
      co_return Failed("sts-policy-fetch-error", "too many policies are being fetched");
    }
    absl::StatusOr<std::string> text = co_await fetch->done;
    co_return text;
  }

 private:
  bool Queue(const std::shared_ptr<Fetch>& fetch) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_ || waiting_.size() >= options_.max_waiting) return false;
      waiting_.push_back(fetch);
    }
    changed_.notify_one();
    return true;
  }

  void Work() {
    for (;;) {
      std::shared_ptr<Fetch> fetch;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        fetch = std::move(waiting_.front());
        waiting_.pop_front();
      }
      absl::StatusOr<std::string> text = Perform(*fetch);
      if (!stopping_) fetch->done.Set(std::move(text));
    }
  }

  absl::StatusOr<std::string> Perform(const Fetch& fetch) {
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                   curl_easy_cleanup);
    if (curl == nullptr) return Failed("sts-policy-fetch-error", "libcurl can't be started");
    const std::string resolve = absl::StrCat(fetch.host, ":", options_.port, ":",
                                             absl::StrJoin(fetch.addresses, ","));
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> names(
        curl_slist_append(nullptr, resolve.c_str()), curl_slist_free_all);
    const std::string url =
        absl::StrCat("https://", fetch.host, ":", options_.port, "/.well-known/mta-sts.txt");
    std::string text;
    char error[CURL_ERROR_SIZE] = "";
    CURL* const c = curl.get();
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_RESOLVE, names.get());
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    // RFC 8461 section 3.3: redirects are not followed, and nothing but 200 is a policy.
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
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &text);
    // Lets the destructor end a fetch.
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION,
                     +[](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
                       return static_cast<CurlFetcher*>(self)->stopping_ ? 1 : 0;
                     });
    const CURLcode result = curl_easy_perform(c);
    const std::string where = absl::StrCat(url, ": ");
    if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE) {
      return Failed("sts-webpki-invalid", absl::StrCat(where, error));
    }
    if (result != CURLE_OK) {
      return Failed("sts-policy-fetch-error",
                    absl::StrCat(where, error[0] != '\0' ? error : curl_easy_strerror(result)));
    }
    long status = 0;
    const char* type = nullptr;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
    if (status != 200) {
      return Failed("sts-policy-fetch-error", absl::StrCat(where, "status ", status));
    }
    if (type == nullptr || !absl::StartsWithIgnoreCase(type, "text/plain")) {
      return Failed("sts-policy-invalid", absl::StrCat(where, "not text/plain"));
    }
    return text;
  }

  const StsFetcherOptions options_;
  dns::Resolver& resolver_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Fetch>> waiting_;  // guarded by mutex_
  std::atomic<bool> stopping_{false};           // set under mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<StsFetcher> MakeStsFetcher(StsFetcherOptions options, dns::Resolver& resolver) {
  return std::make_unique<CurlFetcher>(std::move(options), resolver);
}

}  // namespace posthorn::delivery
