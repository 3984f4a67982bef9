#ifndef POSTHORN_SERVICES_DELIVERY_STS_FETCHER_H_
#define POSTHORN_SERVICES_DELIVERY_STS_FETCHER_H_

#include <memory>

#include "services/delivery/https_client.h"
#include "services/delivery/sts_policies.h"

namespace posthorn::delivery {

// By `https`, which outlives it. A policy is at most 64 KiB of text/plain. Thread-safe.
std::unique_ptr<StsFetcher> MakeStsFetcher(HttpsClient& https, int port);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_STS_FETCHER_H_
