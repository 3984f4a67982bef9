#ifndef POSTHORN_SERVICES_MAILBOX_MAILBOXES_CONVERT_H_
#define POSTHORN_SERVICES_MAILBOX_MAILBOXES_CONVERT_H_

// Between posthorn.mailbox.v1 and the stores' types; for mailboxes_service.cc.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "posthorn/mailbox/v1/mailbox.pb.h"
#include "services/mailbox/message_reader.h"
#include "services/mailbox/search.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

inline constexpr Uid kLastUid = 0xffffffff;

Account AccountOf(const v1::AccountRef& account);
std::vector<UidRange> RangesOf(const google::protobuf::RepeatedPtrField<v1::UidRange>& ranges);
absl::Time TimeOf(const google::protobuf::Timestamp& time);
// kInvalidArgument for what cannot be a keyword (RFC 3501: an atom).
absl::StatusOr<std::vector<std::string>> KeywordsOf(const v1::Flags& flags);
// kInvalidArgument for an empty key, kLimitExceeded for one nested too deep.
absl::StatusOr<SearchKey> KeyOf(const v1::SearchKey& key, int depth = 1);

void ToProto(MailboxInfo info, v1::MailboxInfo* out);
void ToProto(const Entry& entry, v1::Entry* out);
void ToProto(FetchedMessage message, v1::MessageData* out);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MAILBOXES_CONVERT_H_
