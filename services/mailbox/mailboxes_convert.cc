#include "services/mailbox/mailboxes_convert.h"

#include <algorithm>

#include "lib/base/failure.h"

namespace posthorn::mailbox {
namespace {

constexpr std::size_t kMaxKeywords = 100;
constexpr std::size_t kMaxKeywordOctets = 255;

void SetTime(absl::Time time, google::protobuf::Timestamp* out) {
  const std::int64_t micros = absl::ToUnixMicros(time);
  std::int64_t seconds = micros / 1000000;
  std::int64_t rest = micros % 1000000;
  if (rest < 0) {
    rest += 1000000;
    --seconds;
  }
  out->set_seconds(seconds);
  out->set_nanos(static_cast<std::int32_t>(rest * 1000));
}

bool IsKeyword(std::string_view word) {
  return !word.empty() && word.size() <= kMaxKeywordOctets &&
         std::all_of(word.begin(), word.end(), [](char c) {
           return c > 0x20 && c < 0x7f && std::string_view("(){%*\"\\]").find(c) ==
                                              std::string_view::npos;
         });
}

absl::StatusOr<std::vector<SearchKey>> KeysOf(const v1::SearchKeys& keys, int depth) {
  std::vector<SearchKey> result;
  for (const v1::SearchKey& key : keys.keys()) {
    absl::StatusOr<SearchKey> converted = KeyOf(key, depth);
    if (!converted.ok()) return converted.status();
    result.push_back(*std::move(converted));
  }
  return result;
}

absl::StatusOr<SearchKey::Relation> RelationOf(v1::DateKey::Relation relation) {
  switch (relation) {
    case v1::DateKey::RELATION_BEFORE: return SearchKey::Relation::kBefore;
    case v1::DateKey::RELATION_ON: return SearchKey::Relation::kOn;
    case v1::DateKey::RELATION_SINCE: return SearchKey::Relation::kSince;
    default: return MakeFailure(Failure::kInvalidArgument);
  }
}

}  // namespace

Account AccountOf(const v1::AccountRef& account) {
  return Account(TenantId(account.tenant_id()), AccountId(account.account_id()));
}

std::vector<UidRange> RangesOf(const google::protobuf::RepeatedPtrField<v1::UidRange>& ranges) {
  std::vector<UidRange> result;
  result.reserve(static_cast<std::size_t>(ranges.size()));
  for (const v1::UidRange& range : ranges) result.emplace_back(range.first(), range.last());
  return Normalised(std::move(result));
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::StatusOr<std::vector<std::string>> KeywordsOf(const v1::Flags& flags) {
  if (static_cast<std::size_t>(flags.keywords_size()) > kMaxKeywords ||
      !std::all_of(flags.keywords().begin(), flags.keywords().end(), IsKeyword)) {
    return MakeFailure(Failure::kInvalidArgument, "invalid or too many keywords");
  }
  return std::vector<std::string>(flags.keywords().begin(), flags.keywords().end());
}

absl::StatusOr<SearchKey> KeyOf(const v1::SearchKey& key, int depth) {
  if (depth > kMaxSearchDepth) return MakeFailure(Failure::kLimitExceeded);
  SearchKey result;
  absl::StatusOr<std::vector<SearchKey>> keys = std::vector<SearchKey>();
  switch (key.key_case()) {
    case v1::SearchKey::kHeader:
      result.kind = SearchKey::Kind::kHeader;
      result.header_name = key.header().name();
      result.value = key.header().value();
      break;
    case v1::SearchKey::kBody:
      result.kind = SearchKey::Kind::kBody;
      result.value = key.body();
      break;
    case v1::SearchKey::kText:
      result.kind = SearchKey::Kind::kText;
      result.value = key.text();
      break;
    case v1::SearchKey::kSent: {
      result.kind = SearchKey::Kind::kSent;
      absl::StatusOr<SearchKey::Relation> relation = RelationOf(key.sent().relation());
      if (!relation.ok()) return relation.status();
      result.relation = *relation;
      result.days_since_epoch = key.sent().days_since_epoch();
      break;
    }
    case v1::SearchKey::kAllOf:
      result.kind = SearchKey::Kind::kAll;
      keys = KeysOf(key.all_of(), depth + 1);
      break;
    case v1::SearchKey::kAnyOf:
      result.kind = SearchKey::Kind::kAny;
      keys = KeysOf(key.any_of(), depth + 1);
      break;
    case v1::SearchKey::kNoneOf: {
      result.kind = SearchKey::Kind::kNone;
      absl::StatusOr<SearchKey> child = KeyOf(key.none_of(), depth + 1);
      if (!child.ok()) return child.status();
      keys->push_back(*std::move(child));
      break;
    }
    case v1::SearchKey::kUids:
      result.kind = SearchKey::Kind::kUids;
      result.uids = RangesOf(key.uids().ranges());
      break;
    case v1::SearchKey::KEY_NOT_SET:
      return MakeFailure(Failure::kInvalidArgument, "empty search key");
  }
  if (!keys.ok()) return keys.status();
  result.keys = *std::move(keys);
  return result;
}

void ToProto(MailboxInfo info, v1::MailboxInfo* out) {
  out->set_mailbox_id(info.id.value());
  out->set_name(std::move(info.name));
  out->set_special_use(std::move(info.special_use));
  out->set_subscribed(info.subscribed);
  out->set_uid_validity(info.uid_validity);
  out->set_uid_next(info.uid_next);
  out->set_messages(info.messages);
  out->set_unseen(info.unseen);
  out->set_recent(info.recent);
  out->set_highest_modseq(info.highest_modseq);
  out->set_size(info.size);
  out->set_deleted(info.deleted);
  out->set_deleted_size(info.deleted_size);
}

void ToProto(const Entry& entry, v1::Entry* out) {
  out->set_uid(entry.uid);
  out->set_modseq(entry.modseq);
  out->mutable_flags()->set_system(entry.flags);
  for (const std::string& keyword : entry.keywords) out->mutable_flags()->add_keywords(keyword);
  out->set_size(entry.size);
  // Eight octets: unique in the account, the same for copies.
  std::string id;
  for (int shift = 56; shift >= 0; shift -= 8) {
    id.push_back(static_cast<char>(static_cast<std::uint64_t>(entry.email.value()) >> shift));
  }
  out->set_email_id(std::move(id));
  SetTime(entry.received_at, out->mutable_received_at());
}

void ToProto(FetchedMessage message, v1::MessageData* out) {
  out->set_uid(message.uid);
  out->set_size(message.size);
  SetTime(message.received_at, out->mutable_received_at());
  out->set_structure(std::move(message.structure));
  out->set_envelope(std::move(message.envelope));
  out->set_header(std::move(message.header));
  out->set_body(std::move(message.body));
  out->set_body_complete(message.body_complete);
  out->set_prefix_size(message.prefix_size);
  if (message.saved_at.has_value()) SetTime(*message.saved_at, out->mutable_saved_at());
  out->set_email_id(message.email_id);
  out->set_thread_id(message.thread_id);
  if (message.preview.has_value()) out->set_preview(*std::move(message.preview));
}

}  // namespace posthorn::mailbox
