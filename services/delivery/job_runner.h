#ifndef POSTHORN_SERVICES_DELIVERY_JOB_RUNNER_H_
#define POSTHORN_SERVICES_DELIVERY_JOB_RUNNER_H_

#include "lib/base/task.h"
#include "services/delivery/bounces.h"
#include "services/delivery/local_delivery.h"
#include "services/delivery/ports.h"
#include "services/delivery/remote_delivery.h"

namespace posthorn::delivery {

// The destination of jobs for mailboxes of this platform.
inline constexpr char kLocalDestination[] = "local";

// One attempt at one job, from the lease to the report. Belongs to one executor.
class JobRunner {
 public:
  virtual ~JobRunner() = default;
  // `job` and `lease` outlive the call.
  virtual Task<JobReport> Run(const Job& job, const LeaseView& lease) = 0;
};

class DeliveryJobRunner final : public JobRunner {
 public:
  DeliveryJobRunner(RemoteDelivery& remote, LocalDelivery& local, Bounces& bounces)
      : remote_(remote), local_(local), bounces_(bounces) {}

  Task<JobReport> Run(const Job& job, const LeaseView& lease) override;

 private:
  // One attempt at all recipients together.
  Task<JobReport> Try(const Job& job, const LeaseView& lease);
  // With a reverse-path for each recipient (VERP): one after the other, each as a job of its own.
  Task<JobReport> TryEach(const Job& job, const LeaseView& lease);

  RemoteDelivery& remote_;
  LocalDelivery& local_;
  Bounces& bounces_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_JOB_RUNNER_H_
