#include "services/delivery/sts_fetcher.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {
namespace {

absl::Status Failed(std::string_view result, std::string text) {
  return WithTlsResult(MakeFailure(Failure::kUnavailable, text), result);
}

class WebFetcher final : public StsFetcher {
 public:
  WebFetcher(HttpsClient& https, int port) : https_(https), port_(port) {}

  Task<absl::StatusOr<std::string>> FetchStsPolicy(std::string domain) override {
    HttpsRequest request;
    request.host = absl::StrCat("mta-sts.", domain);
    request.port = port_;
    request.target = "/.well-known/mta-sts.txt";
    const std::string where = absl::StrCat("https://", request.host, request.target, ": ");
    absl::StatusOr<HttpsAnswer> answer = co_await https_.Ask(std::move(request));
    if (!answer.ok()) {
      const bool certificate = FailureOf(answer.status()) == Failure::kTlsFailed;
      co_return Failed(certificate ? "sts-webpki-invalid" : "sts-policy-fetch-error",
                       std::string(answer.status().message()));
    }
    // RFC 8461 section 3.3: redirects are not followed, and nothing but 200 is a policy.
    if (answer->status != 200) {
      co_return Failed("sts-policy-fetch-error", absl::StrCat(where, "status ", answer->status));
    }
    if (!absl::StartsWithIgnoreCase(answer->content_type, "text/plain")) {
      co_return Failed("sts-policy-invalid", absl::StrCat(where, "not text/plain"));
    }
    co_return std::move(answer->content);
  }

 private:
  HttpsClient& https_;
  const int port_;
};

}  // namespace

std::unique_ptr<StsFetcher> MakeStsFetcher(HttpsClient& https, int port) {
  return std::make_unique<WebFetcher>(https, port);
}

}  // namespace posthorn::delivery
