#ifndef POSTHORN_SERVICES_DELIVERY_STS_FETCHER_H_
#define POSTHORN_SERVICES_DELIVERY_STS_FETCHER_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "lib/dns/resolver.h"
#include "services/delivery/sts_policies.h"

namespace posthorn::delivery {

struct StsFetcherOptions {
  std::string ca_file;  // PEM; empty: every fetch fails
  int port = 443;
  absl::Duration timeout = absl::Seconds(30);  // of one fetch; RFC 8461 section 3.3 suggests 60
  std::size_t max_waiting = 200;               // more fail at once
};

// By HTTPS with libcurl, on two threads of its own; addresses come from `resolver`, which outlives it.
// A policy is at most 64 KiB of text/plain. The destructor lets what runs come to its end; nobody may
// wait for it any more. Thread-safe.
std::unique_ptr<StsFetcher> MakeStsFetcher(StsFetcherOptions options, dns::Resolver& resolver);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_STS_FETCHER_H_
