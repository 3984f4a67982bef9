#include "services/queue/metrics.h"

namespace posthorn::queue {

Metrics& Metrics::Get() {
  using metrics::MakeCounter;
  using metrics::MakeGauge;
  static auto* const all = new Metrics{
      MakeCounter("posthorn_queue_accepted_messages_total",
                  "Messages taken into the queue. None for long while gateways accept mail: look at "
                  "their log for errors of Enqueue."),
      MakeCounter("posthorn_queue_accepted_again_total",
                  "Enqueue calls for messages already accepted. Many: clients lose replies, look "
                  "for timeouts between gateway and queue."),
      MakeCounter("posthorn_queue_refused_full_messages_total",
                  "Messages refused because too much waits (452 4.3.1). Find out what waits with "
                  "posthornctl queue summary; or raise the limits in the configuration."),
      MakeCounter("posthorn_queue_leased_jobs_total", "Attempts started."),
      MakeCounter("posthorn_queue_leases_expired_total",
                  "Attempts that ended without a report. More than a few: delivery workers die, "
                  "hang, or don't reach the queue."),
      MakeCounter("posthorn_queue_recipients_total", "Recipients by what an attempt came to.",
                  {{"outcome", "delivered"}}),
      MakeCounter("posthorn_queue_recipients_total", "Recipients by what an attempt came to.",
                  {{"outcome", "deferred"}}),
      MakeCounter("posthorn_queue_recipients_total", "Recipients by what an attempt came to.",
                  {{"outcome", "bounced"}}),
      MakeCounter("posthorn_queue_duplicates_possible_total",
                  "Remote jobs attempted again although the attempt before may have delivered. "
                  "Rises when workers or the queue are killed; otherwise lengthen "
                  "queue.lease_seconds."),
      MakeCounter("posthorn_queue_rebuilds_total",
                  "Shards of the schedule found empty and rebuilt from PostgreSQL. Rises when Redis "
                  "loses its data."),
      MakeCounter("posthorn_queue_reconciled_jobs_total",
                  "Due jobs that Redis didn't know. Steadily rising without restarts: Redis drops "
                  "writes, look at its log and memory limit."),
      MakeCounter("posthorn_queue_schedule_errors_total",
                  "Calls to Redis that failed. The reconciler repairs what they lost; rising for "
                  "long: Redis is away."),
      MakeCounter("posthorn_queue_put_off_jobs_total",
                  "Times that a job had to wait for a limit, a pause or a dead destination. Steadily "
                  "rising: posthornctl queue destinations says where and why."),
      MakeCounter("posthorn_queue_left_waiting_jobs_total",
                  "Times that a due job waited on for a paused or dead destination without being "
                  "leased. Nothing to do beyond posthorn_queue_put_off_jobs_total."),
      MakeCounter("posthorn_queue_back_offs_total",
                  "Replies that slowed down or paused a destination, and destinations that did not "
                  "answer. Many: see posthornctl queue destinations, and lower their limits in "
                  "delivery.traffic."),
      MakeGauge("posthorn_queue_messages", "Messages in the queue."),
      MakeGauge("posthorn_queue_jobs", "Jobs in the queue: message and destination."),
      MakeGauge("posthorn_queue_leased_jobs", "Jobs that workers hold."),
      MakeGauge("posthorn_queue_deferred_jobs", "Jobs that wait for another attempt."),
      MakeGauge("posthorn_queue_oldest_message_seconds",
                "Age of the oldest message. Above the longest retry delay for no destination of "
                "long standing: workers don't keep up."),
  };
  return *all;
}

}  // namespace posthorn::queue
