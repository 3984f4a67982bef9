#ifndef POSTHORN_SERVICES_DELIVERY_TESTING_FAKE_PLATFORM_H_
#define POSTHORN_SERVICES_DELIVERY_TESTING_FAKE_PLATFORM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "posthorn/mailbox/v1/delivery.pb.h"
#include "posthorn/queue/v1/queue.pb.h"

namespace grpc {
class Channel;
}

namespace posthorn::delivery {

// The queue and mailbox services as the delivery service sees them over gRPC, in one process, with
// everything in memory: for tests of the delivery service alone, on its real wiring. Directory: the
// addresses of local.test are accounts of tenant 1, all others are remote. Thread-safe.
class FakePlatform {
 public:
  FakePlatform();
  ~FakePlatform();

  std::shared_ptr<grpc::Channel> channel() const;
  static constexpr char kToken[] = "service token";

  void Add(posthorn::queue::v1::Job job);
  // In the spool of the queue; the reference goes into a job.
  void AddBody(const std::string& sha256, std::string body);

  // Of local.test. Until then the directory is one of the release before, which knows of none.
  void SetSmartHost(std::string host);

  // Waits until `count` reports are there; false: not in time.
  bool WaitForReports(std::size_t count, absl::Duration limit);
  std::vector<posthorn::queue::v1::JobReport> reports() const;
  std::vector<posthorn::mailbox::v1::Delivery> deliveries() const;
  std::vector<std::string> mailbox_bodies() const;

 private:
  struct Services;
  std::unique_ptr<Services> services_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TESTING_FAKE_PLATFORM_H_
