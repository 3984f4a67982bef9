#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {

DeliveryMetrics& Metrics() {
  using metrics::MakeCounter;
  constexpr char kRecipients[] = "posthorn_delivery_recipients_total";
  constexpr char kRecipientsHelp[] =
      "Recipients by the result of an attempt. Many deferred: look at the log's reasons and at "
      "posthornctl queue list; many bounced: look for a sender with a bad list.";
  static DeliveryMetrics metrics = {
      MakeCounter(kRecipients, kRecipientsHelp, {{"outcome", "delivered_remote"}}),
      MakeCounter(kRecipients, kRecipientsHelp, {{"outcome", "delivered_local"}}),
      MakeCounter(kRecipients, kRecipientsHelp, {{"outcome", "deferred"}}),
      MakeCounter(kRecipients, kRecipientsHelp, {{"outcome", "bounced"}}),
      MakeCounter("posthorn_delivery_notifications_total",
                  "Delivery status notifications sent. A jump means that many senders learn of "
                  "failures: find the common cause in the log."),
      MakeCounter("posthorn_delivery_possible_duplicates_total",
                  "Messages whose final dot was sent and whose reply was lost: they are sent again "
                  "and may arrive twice. A jump points to a peer that answers too slowly "
                  "(delivery.final_dot_timeout_seconds) or a network that drops connections."),
      MakeCounter("posthorn_delivery_connections_total",
                  "SMTP connections opened. Near the number of messages: reuse does not work, see "
                  "delivery.idle_connection_seconds."),
      MakeCounter("posthorn_delivery_connect_failures_total",
                  "Servers that could not be reached or did not greet. A jump with many "
                  "destinations: check the network and port 25 outward."),
      MakeCounter("posthorn_delivery_tls_failures_total",
                  "Connections whose TLS failed: mail then went in clear, or waits where a rule, "
                  "DANE or MTA-STS asks for TLS (see the log). For one destination it is theirs to "
                  "repair; for all check the system's OpenSSL settings and authorities."),
      MakeCounter("posthorn_delivery_login_failures_total",
                  "Logins at smart hosts that failed: their mail waits. Check the name and password "
                  "of the route or the domain; the log says what the server answered."),
      MakeCounter("posthorn_delivery_sts_failures_total",
                  "MTA-STS policies that could not be fetched or read: mail goes by the last one that "
                  "is known, else without. For one domain it is theirs to repair; for all check that "
                  "this machine may open connections to port 443."),
      MakeCounter("posthorn_delivery_leases_lost_total",
                  "Jobs that the queue gave to another worker while this one held them. More than "
                  "a few: workers are stalled, or queue.lease_seconds is too short."),
      MakeCounter("posthorn_delivery_report_retries_total",
                  "Reports the queue service did not take at once. Rising: the queue service or "
                  "its PostgreSQL is away."),
      MakeCounter("posthorn_delivery_waits_total",
                  "Jobs that were put off because a limit, a pause or a dead destination let nothing "
                  "through: posthornctl queue destinations says which."),
      metrics::MakeGauge("posthorn_delivery_jobs",
                         "Jobs under way now. Always at delivery.concurrency: add workers or raise "
                         "it."),
  };
  return metrics;
}

}  // namespace posthorn::delivery
