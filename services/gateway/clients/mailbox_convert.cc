#include "services/gateway/clients/mailbox_convert.h"

#include <utility>

namespace posthorn::gateway {
namespace {

namespace pb = posthorn::mailbox::v1;

absl::Time FromProtoTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

void ToDate(pb::DateKey::Relation relation, std::int32_t days, pb::SearchKey& proto) {
  proto.mutable_sent()->set_relation(relation);
  proto.mutable_sent()->set_days_since_epoch(days);
}

}  // namespace

MailboxInfo FromProto(const pb::MailboxInfo& proto) {
  MailboxInfo info;
  info.id = MailboxId(proto.mailbox_id());
  info.name = proto.name();
  info.special_use = proto.special_use();
  info.subscribed = proto.subscribed();
  info.uid_validity = proto.uid_validity();
  info.uid_next = proto.uid_next();
  info.messages = proto.messages();
  info.unseen = proto.unseen();
  info.recent = proto.recent();
  info.highest_modseq = proto.highest_modseq();
  info.size = proto.size();
  info.deleted = proto.deleted();
  info.deleted_size = proto.deleted_size();
  return info;
}

MailEntry FromProto(const pb::Entry& proto) {
  MailEntry entry;
  entry.uid = proto.uid();
  entry.modseq = proto.modseq();
  entry.flags.system = proto.flags().system();
  entry.flags.keywords.assign(proto.flags().keywords().begin(), proto.flags().keywords().end());
  entry.size = proto.size();
  entry.received_at = FromProtoTime(proto.received_at());
  return entry;
}

MessageData FromProto(pb::MessageData& proto) {
  MessageData data;
  data.uid = proto.uid();
  data.size = proto.size();
  data.received_at = FromProtoTime(proto.received_at());
  data.structure = std::move(*proto.mutable_structure());
  data.envelope = std::move(*proto.mutable_envelope());
  data.header = std::move(*proto.mutable_header());
  data.body = std::move(*proto.mutable_body());
  data.body_complete = proto.body_complete();
  data.prefix_size = proto.prefix_size();
  data.saved_at = FromProtoTime(proto.saved_at());
  data.email_id = proto.email_id();
  data.thread_id = proto.thread_id();
  if (proto.has_preview()) data.preview = std::move(*proto.mutable_preview());
  return data;
}

void ToProto(const MessageFlags& flags, pb::Flags& proto) {
  proto.set_system(flags.system);
  for (const std::string& keyword : flags.keywords) proto.add_keywords(keyword);
}

void ToProto(const std::vector<UidRange>& ranges,
             google::protobuf::RepeatedPtrField<pb::UidRange>& proto) {
  proto.Reserve(static_cast<int>(ranges.size()));
  for (const UidRange& range : ranges) {
    pb::UidRange& added = *proto.Add();
    added.set_first(range.first);
    added.set_last(range.last);
  }
}

// The depth is bounded by the search parser.
void ToProto(const StoreSearchKey& key, pb::SearchKey& proto) {
  using Kind = StoreSearchKey::Kind;
  switch (key.kind) {
    case Kind::kHeader:
      proto.mutable_header()->set_name(key.name);
      proto.mutable_header()->set_value(key.value);
      break;
    case Kind::kBody:
      proto.set_body(key.value);
      break;
    case Kind::kText:
      proto.set_text(key.value);
      break;
    case Kind::kSentBefore:
      ToDate(pb::DateKey::RELATION_BEFORE, key.days_since_epoch, proto);
      break;
    case Kind::kSentOn:
      ToDate(pb::DateKey::RELATION_ON, key.days_since_epoch, proto);
      break;
    case Kind::kSentSince:
      ToDate(pb::DateKey::RELATION_SINCE, key.days_since_epoch, proto);
      break;
    case Kind::kAllOf:
    case Kind::kAnyOf: {
      pb::SearchKeys& keys =
          key.kind == Kind::kAllOf ? *proto.mutable_all_of() : *proto.mutable_any_of();
      for (const StoreSearchKey& child : key.children) ToProto(child, *keys.add_keys());
      break;
    }
    case Kind::kNot:
      ToProto(key.children.front(), *proto.mutable_none_of());
      break;
    case Kind::kUids:
      ToProto(key.uids, *proto.mutable_uids()->mutable_ranges());
      break;
  }
}

}  // namespace posthorn::gateway
