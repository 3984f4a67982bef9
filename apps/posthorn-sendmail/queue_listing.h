#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_QUEUE_LISTING_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_QUEUE_LISTING_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apps/posthorn-sendmail/exit_codes.h"
#include "apps/posthorn-sendmail/settings.h"

namespace posthorn::sendmail {

struct ListedMessage {
  struct Recipient {
    std::string address;
    std::string reply;  // why it still waits; may be empty
  };
  std::string id;
  char mark = ' ';  // '*' being delivered, '!' held, '#' in the maildrop
  std::uint64_t octets = 0;
  absl::Time arrival;
  std::string sender;  // empty: null
  std::vector<Recipient> recipients;
  std::uint64_t more_recipients = 0;
};

// Reads the lines of an answer to XQUEUE, without codes. kInvalidArgument: not understood.
struct QueuePage {
  std::vector<ListedMessage> messages;
  bool more = false;  // ask again, behind the last one's id
};
absl::StatusOr<QueuePage> ParseQueuePage(const std::vector<std::string>& lines);

// As Postfix's mailq prints it; times in `zone`.
std::string FormatListing(const std::vector<ListedMessage>& messages, absl::TimeZone zone);

// What waits for this user: in the maildrop, and in the platform's queue where it answers.
ExitCode ShowQueue(const Settings& settings);

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_QUEUE_LISTING_H_
