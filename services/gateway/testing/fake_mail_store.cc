#include "services/gateway/testing/fake_mail_store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/preview.h"
#include "lib/mime/scanner.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kBatch = 3;

// Values that are known beforehand, and perhaps an error before them.
template <typename T>
class ListReader final : public Reader<T> {
 public:
  explicit ListReader(absl::Status status) : status_(std::move(status)) {}
  // `token` lives as long as the reader.
  explicit ListReader(std::vector<T> values, std::shared_ptr<int> token = nullptr)
      : values_(std::move(values)), token_(std::move(token)) {}
  Task<absl::StatusOr<std::optional<T>>> Next() override {
    if (!status_.ok()) co_return status_;
    if (next_ == values_.size()) co_return std::optional<T>();
    co_return std::optional<T>(std::move(values_[next_++]));
  }

 private:
  absl::Status status_;
  std::vector<T> values_;
  std::shared_ptr<int> token_;
  std::size_t next_ = 0;
};

bool InRanges(const std::vector<UidRange>& ranges, Uid uid) {
  return std::any_of(ranges.begin(), ranges.end(), [uid](const UidRange& range) {
    return range.first <= uid && uid <= range.last;
  });
}

std::string Lower(std::string text) {
  absl::AsciiStrToLower(&text);
  return text;
}

bool HasText(const std::string& text, const std::string& wanted) {
  return absl::StrContains(Lower(text), Lower(wanted));
}

void Apply(StoreMode mode, const MessageFlags& flags, MessageFlags& to) {
  const auto has = [](const std::vector<std::string>& list, const std::string& keyword) {
    return std::any_of(list.begin(), list.end(), [&](const std::string& candidate) {
      return absl::EqualsIgnoreCase(candidate, keyword);
    });
  };
  if (mode == StoreMode::kSet) {
    to = flags;
  } else if (mode == StoreMode::kAdd) {
    to.system |= flags.system;
    for (const std::string& keyword : flags.keywords) {
      if (!has(to.keywords, keyword)) to.keywords.push_back(keyword);
    }
  } else {
    to.system &= ~flags.system;
    to.keywords.erase(
        std::remove_if(to.keywords.begin(), to.keywords.end(),
                       [&](const std::string& keyword) { return has(flags.keywords, keyword); }),
        to.keywords.end());
  }
}

bool Matches(const StoreSearchKey& key, Uid uid, const std::string& all,
             const std::string& header) {
  using Kind = StoreSearchKey::Kind;
  const auto matches = [&](const StoreSearchKey& child) {
    return Matches(child, uid, all, header);
  };
  switch (key.kind) {
    case Kind::kHeader: {
      const std::optional<std::string> value = mime::FindHeader(header, key.name);
      return value && HasText(*value, key.value);
    }
    case Kind::kBody:
      return HasText(all.substr(header.size()), key.value);
    case Kind::kText:
      return HasText(all, key.value);
    case Kind::kAllOf:
      return std::all_of(key.children.begin(), key.children.end(), matches);
    case Kind::kAnyOf:
      return std::any_of(key.children.begin(), key.children.end(), matches);
    case Kind::kNot:
      return !matches(key.children.front());
    case Kind::kUids:
      return InRanges(key.uids, uid);
    default:
      return false;  // dates are the real store's
  }
}

}  // namespace

// Collects the body; its "hash" is its number.
class FakeMailStore::Writer final : public BodyWriter {
 public:
  explicit Writer(FakeMailStore& store) : store_(store) {}
  Task<absl::Status> Write(std::string bytes) override {
    if (store_.failure_) co_return *store_.failure_;
    body_ += bytes;
    co_return absl::OkStatus();
  }
  Task<absl::StatusOr<StoredBody>> Finish() override {
    if (store_.failure_) co_return *store_.failure_;
    StoredBody stored;
    stored.sha256 = absl::StrCat("hash", store_.bodies_.size());
    stored.size = body_.size();
    store_.bodies_[stored.sha256] = std::move(body_);
    co_return stored;
  }

 private:
  FakeMailStore& store_;
  std::string body_;
};

FakeMailStore::FakeMailStore() = default;
FakeMailStore::~FakeMailStore() = default;

void FakeMailStore::AddAccount(TenantId tenant, AccountId account) {
  Create(accounts_[{tenant, account}], "INBOX");
}

FakeMailStore::Mailbox& FakeMailStore::Create(Account& account, const std::string& name) {
  for (std::size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
    if (!account.mailboxes.contains(name.substr(0, at))) Create(account, name.substr(0, at));
  }
  Mailbox& mailbox = account.mailboxes[name];
  mailbox.info.id = MailboxId(next_mailbox_++);
  mailbox.info.name = name;
  mailbox.info.uid_validity = 1000 + static_cast<std::uint32_t>(mailbox.info.id.value());
  mailbox.info.uid_next = 1;
  mailbox.info.highest_modseq = ++account.modseq;
  return mailbox;
}

absl::StatusOr<FakeMailStore::Account*> FakeMailStore::FindAccount(TenantId tenant,
                                                                   AccountId account) {
  ++calls_;
  if (failure_) return *failure_;
  const auto found = accounts_.find({tenant, account});
  if (found == accounts_.end()) return MakeFailure(Failure::kNotFound);
  return &found->second;
}

absl::StatusOr<FakeMailStore::Mailbox*> FakeMailStore::FindMailbox(TenantId tenant,
                                                                   AccountId account,
                                                                   MailboxId mailbox) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) return owner.status();
  for (auto& [name, candidate] : (*owner)->mailboxes) {
    if (candidate.info.id == mailbox) return &candidate;
  }
  return MakeFailure(Failure::kNoSuchMailbox);
}

absl::StatusOr<FakeMailStore::Mailbox*> FakeMailStore::FindMailbox(TenantId tenant,
                                                                   AccountId account,
                                                                   const std::string& name) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) return owner.status();
  const auto found = (*owner)->mailboxes.find(name);
  if (found == (*owner)->mailboxes.end()) return MakeFailure(Failure::kNoSuchMailbox);
  return &found->second;
}

bool FakeMailStore::HasChildren(const Account& account, const std::string& name) {
  return std::any_of(account.mailboxes.begin(), account.mailboxes.end(), [&](const auto& entry) {
    return absl::StartsWith(entry.first, name + "/");
  });
}

MailboxInfo FakeMailStore::InfoOf(const Account& account, const Mailbox& mailbox) {
  MailboxInfo info = mailbox.info;
  info.subscribed = account.subscriptions.contains(info.name);
  for (const auto& [uid, message] : mailbox.messages) {
    ++info.messages;
    if ((message.entry.flags.system & kFlagSeen) == 0) ++info.unseen;
    if (uid >= mailbox.recent_from) ++info.recent;
    info.size += message.entry.size;
    if ((message.entry.flags.system & kFlagDeleted) == 0) continue;
    ++info.deleted;
    info.deleted_size += message.entry.size;
  }
  return info;
}

void FakeMailStore::SetQuota(TenantId tenant, AccountId account, std::uint64_t octets,
                             std::uint64_t messages) {
  Quota& quota = accounts_[{tenant, account}].quota;
  quota.limit_octets = octets;
  quota.limit_messages = messages;
}

Quota FakeMailStore::QuotaOf(const Account& account) {
  Quota quota = account.quota;
  for (const auto& [name, mailbox] : account.mailboxes) {
    const MailboxInfo info = InfoOf(account, mailbox);
    quota.used_octets += info.size;
    quota.used_messages += info.messages;
  }
  return quota;
}

bool FakeMailStore::Fits(const Account& account, std::uint64_t octets, std::uint64_t messages) {
  const Quota quota = QuotaOf(account);
  return (quota.limit_octets == 0 || quota.used_octets + octets <= quota.limit_octets) &&
         (quota.limit_messages == 0 || quota.used_messages + messages <= quota.limit_messages);
}

// By subject alone, which is enough for tests of the sessions.
std::int64_t FakeMailStore::ThreadOf(Account& account, const Message& message) {
  std::string subject = mime::FindHeader(message.body, "Subject").value_or("");
  if (absl::StartsWith(subject, "Re: ")) subject.erase(0, 4);
  for (const auto& [known, thread] : account.threads) {
    if (known == subject) return thread;
  }
  account.threads.emplace_back(subject, message.email_id);
  return message.email_id;
}

Uid FakeMailStore::Add(Account& account, Mailbox& mailbox, Message message) {
  message.entry.uid = mailbox.info.uid_next++;
  message.entry.modseq = ++account.modseq;
  message.saved_at = now_;
  if (message.email_id == 0) message.email_id = account.modseq;
  message.entry.size = message.prefix.size() + message.body.size();
  mailbox.info.highest_modseq = account.modseq;
  const Uid uid = message.entry.uid;
  mailbox.messages.emplace(uid, std::move(message));
  return uid;
}

Uid FakeMailStore::ClaimRecent(Mailbox& mailbox, bool claim) {
  const Uid from = mailbox.recent_from;
  if (claim) mailbox.recent_from = mailbox.info.uid_next;
  return from;
}

void FakeMailStore::Changed(TenantId tenant, AccountId account) {
  if (on_change_) on_change_(tenant, account, accounts_[{tenant, account}].modseq);
}

Uid FakeMailStore::Deliver(TenantId tenant, AccountId account, const std::string& mailbox,
                           std::string prefix, std::string body, absl::Time received_at) {
  Account& owner = accounts_[{tenant, account}];
  Message message;
  message.prefix = std::move(prefix);
  message.body = std::move(body);
  message.entry.received_at = received_at;
  const Uid uid = Add(owner, owner.mailboxes.at(mailbox), std::move(message));
  Changed(tenant, account);
  return uid;
}

Task<absl::StatusOr<MailboxList>> FakeMailStore::ListMailboxes(TenantId tenant, AccountId account,
                                                               bool count_deleted) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) co_return owner.status();
  MailboxList list;
  for (const auto& [name, mailbox] : (*owner)->mailboxes) {
    list.mailboxes.push_back(InfoOf(**owner, mailbox));
    if (!count_deleted) list.mailboxes.back().deleted = 0;
    if (!count_deleted) list.mailboxes.back().deleted_size = 0;
  }
  for (const std::string& name : (*owner)->subscriptions) {
    if (!(*owner)->mailboxes.contains(name)) list.other_subscriptions.push_back(name);
  }
  co_return list;
}

Task<absl::StatusOr<MailboxInfo>> FakeMailStore::CreateMailbox(TenantId tenant, AccountId account,
                                                               std::string name,
                                                               std::string special_use) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) co_return owner.status();
  if ((*owner)->mailboxes.contains(name)) co_return MakeFailure(Failure::kMailboxExists);
  Mailbox& mailbox = Create(**owner, name);
  mailbox.info.special_use = std::move(special_use);
  co_return InfoOf(**owner, mailbox);
}

Task<absl::Status> FakeMailStore::DeleteMailbox(TenantId tenant, AccountId account,
                                                std::string name) {
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, name);
  Account& owner = accounts_[{tenant, account}];
  if (!found.ok()) {
    co_return HasChildren(owner, name) ? MakeFailure(Failure::kMailboxHasChildren) : found.status();
  }
  if (name == "INBOX") co_return MakeFailure(Failure::kPermissionDenied);
  owner.mailboxes.erase(name);
  ++owner.modseq;
  Changed(tenant, account);
  co_return absl::OkStatus();
}

Task<absl::Status> FakeMailStore::RenameMailbox(TenantId tenant, AccountId account,
                                                std::string from, std::string to) {
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, from);
  Account& owner = accounts_[{tenant, account}];
  if (!found.ok() && !HasChildren(owner, from)) co_return found.status();
  if (owner.mailboxes.contains(to)) co_return MakeFailure(Failure::kMailboxExists);
  if (from == "INBOX") {
    Mailbox& target = Create(owner, to);
    Mailbox& inbox = owner.mailboxes["INBOX"];
    for (auto& [uid, message] : inbox.messages) {
      Add(owner, target, message);
      inbox.expunged.emplace_back(++owner.modseq, uid);
    }
    inbox.messages.clear();
    inbox.info.highest_modseq = owner.modseq;
    Changed(tenant, account);
    co_return absl::OkStatus();
  }
  std::map<std::string, Mailbox> renamed;
  for (auto& [name, mailbox] : owner.mailboxes) {
    std::string now = name;
    if (name == from || absl::StartsWith(name, from + "/")) now = to + name.substr(from.size());
    mailbox.info.name = now;
    renamed.emplace(now, std::move(mailbox));
  }
  owner.mailboxes = std::move(renamed);
  co_return absl::OkStatus();
}

Task<absl::Status> FakeMailStore::Subscribe(TenantId tenant, AccountId account, std::string name,
                                            bool subscribed) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) co_return owner.status();
  if (subscribed) {
    (*owner)->subscriptions.insert(name);
  } else {
    (*owner)->subscriptions.erase(name);
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<MailboxInfo>> FakeMailStore::GetMailbox(TenantId tenant, AccountId account,
                                                            std::string name, bool count_deleted) {
  absl::StatusOr<Mailbox*> mailbox = FindMailbox(tenant, account, name);
  if (!mailbox.ok()) co_return mailbox.status();
  MailboxInfo info = InfoOf(accounts_[{tenant, account}], **mailbox);
  if (!count_deleted) info.deleted = 0;
  if (!count_deleted) info.deleted_size = 0;
  co_return info;
}

std::unique_ptr<Reader<MailboxBatch>> FakeMailStore::OpenMailbox(TenantId tenant, AccountId account,
                                                                 std::string name,
                                                                 bool claim_recent) {
  absl::StatusOr<Mailbox*> mailbox = FindMailbox(tenant, account, name);
  if (!mailbox.ok()) return std::make_unique<ListReader<MailboxBatch>>(mailbox.status());
  ++opened_;
  std::vector<MailboxBatch> batches(1);
  batches[0].info = InfoOf(accounts_[{tenant, account}], **mailbox);
  batches[0].recent_from_uid = ClaimRecent(**mailbox, claim_recent);
  for (const auto& [uid, message] : (*mailbox)->messages) {
    if (batches.back().entries.size() == kBatch) batches.emplace_back();
    batches.back().entries.push_back(message.entry);
  }
  return std::make_unique<ListReader<MailboxBatch>>(std::move(batches));
}

Task<absl::StatusOr<MailboxChanges>> FakeMailStore::GetChanges(TenantId tenant, AccountId account,
                                                               MailboxId mailbox,
                                                               ModSeq since_modseq,
                                                               bool claim_recent) {
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) co_return found.status();
  if (std::exchange(pruned_, false)) co_return MakeFailure(Failure::kConflict);
  MailboxChanges changes;
  changes.info = InfoOf(accounts_[{tenant, account}], **found);
  for (const auto& [uid, message] : (*found)->messages) {
    if (message.entry.modseq > since_modseq) changes.changed.push_back(message.entry);
  }
  for (const auto& [modseq, uid] : (*found)->expunged) {
    if (modseq > since_modseq) changes.expunged.push_back(uid);
  }
  changes.recent_from_uid = ClaimRecent(**found, claim_recent);
  co_return changes;
}

std::unique_ptr<Reader<std::vector<MessageData>>> FakeMailStore::Fetch(TenantId tenant,
                                                                       AccountId account,
                                                                       MailboxId mailbox,
                                                                       std::vector<UidRange> uids,
                                                                       FetchParts parts) {
  using Batches = ListReader<std::vector<MessageData>>;
  ++fetches_;
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) return std::make_unique<Batches>(found.status());
  std::vector<std::vector<MessageData>> batches;
  Account& owner = accounts_[{tenant, account}];
  std::size_t octets = 0;
  for (auto& [uid, message] : (*found)->messages) {
    if (!InRanges(uids, uid)) continue;
    MessageData data;
    data.saved_at = message.saved_at;
    data.email_id = message.email_id;
    if (parts.ids) data.thread_id = ThreadOf(owner, message);
    if (parts.preview == FetchParts::Preview::kYes && !message.preview) {
      const mime::Structure structure = mime::Scan(message.body).structure;
      const mime::Part* part = mime::PreviewPart(structure);
      message.preview = "";
      if (part != nullptr) {
        message.preview = mime::PreviewOf(
            *part, std::string_view(message.body).substr(part->body_offset, part->body_size));
      }
    }
    if (parts.preview != FetchParts::Preview::kNo) data.preview = message.preview;
    data.uid = uid;
    data.size = message.entry.size;
    data.received_at = message.entry.received_at;
    data.prefix_size = static_cast<std::uint32_t>(message.prefix.size());
    const mime::Message scanned = mime::Scan(message.body);
    if (!forget_structures_) {
      if (parts.structure) data.structure = mime::SerialiseStructure(scanned.structure);
      if (parts.envelope) data.envelope = mime::SerialiseEnvelope(scanned.envelope);
    }
    if (parts.header) data.header = message.prefix + message.body.substr(0, scanned.header_size);
    if (parts.body && data.size <= inline_limit_) {
      data.body = message.all();
      data.body_complete = true;
      octets += data.body.size();
    }
    if (batches.empty() || batches.back().size() == kBatch) batches.emplace_back();
    batches.back().push_back(std::move(data));
  }
  largest_fetch_ = std::max(largest_fetch_, octets);
  return std::make_unique<Batches>(std::move(batches), readers_);
}

std::unique_ptr<Reader<std::string>> FakeMailStore::ReadMessage(TenantId tenant, AccountId account,
                                                                MailboxId mailbox, Uid uid,
                                                                std::uint64_t offset,
                                                                std::uint64_t length) {
  ++reads_;
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) return std::make_unique<ListReader<std::string>>(found.status());
  const auto message = (*found)->messages.find(uid);
  if (message == (*found)->messages.end()) {
    return std::make_unique<ListReader<std::string>>(MakeFailure(Failure::kNotFound));
  }
  std::string rest = message->second.all();
  rest.erase(0, offset);
  if (length != 0) rest.resize(std::min<std::size_t>(rest.size(), length));
  std::vector<std::string> pieces;
  constexpr std::size_t kPiece = 10000;
  for (std::size_t at = 0; at < rest.size(); at += kPiece) {
    pieces.push_back(rest.substr(at, kPiece));
  }
  return std::make_unique<ListReader<std::string>>(std::move(pieces));
}

Task<absl::StatusOr<StoreFlagsResult>> FakeMailStore::StoreFlags(TenantId tenant, AccountId account,
                                                                 MailboxId mailbox,
                                                                 std::vector<UidRange> uids,
                                                                 StoreMode mode,
                                                                 MessageFlags flags) {
  return StoreFlagsUnchanged(tenant, account, mailbox, std::move(uids), mode, std::move(flags),
                             INT64_MAX);
}

Task<absl::StatusOr<StoreFlagsResult>> FakeMailStore::StoreFlagsUnchanged(
    TenantId tenant, AccountId account, MailboxId mailbox, std::vector<UidRange> uids,
    StoreMode mode, MessageFlags flags, ModSeq unchanged_since) {
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) co_return found.status();
  Account& owner = accounts_[{tenant, account}];
  StoreFlagsResult result;
  const ModSeq modseq = owner.modseq + 1;  // of all that change
  for (auto& [uid, message] : (*found)->messages) {
    if (!InRanges(uids, uid)) continue;
    if (message.entry.modseq > unchanged_since) {
      result.modified.push_back(uid);
      continue;
    }
    MessageFlags now = message.entry.flags;
    Apply(mode, flags, now);
    if (now.system == message.entry.flags.system && now.keywords == message.entry.flags.keywords) {
      continue;
    }
    message.entry.flags = std::move(now);
    message.entry.modseq = modseq;
    result.changed.push_back(message.entry);
  }
  if (!result.changed.empty()) {
    owner.modseq = modseq;
    (*found)->info.highest_modseq = modseq;
    Changed(tenant, account);
  }
  result.highest_modseq = owner.modseq;
  co_return result;
}

std::unique_ptr<BodyWriter> FakeMailStore::PutBody(TenantId) {
  return std::make_unique<Writer>(*this);
}

Task<absl::StatusOr<AppendResult>> FakeMailStore::Append(TenantId tenant, AccountId account,
                                                         std::string mailbox,
                                                         AppendMessage message) {
  std::vector<AppendMessage> one;
  one.push_back(std::move(message));
  absl::StatusOr<AppendAllResult> all =
      co_await AppendAll(tenant, account, std::move(mailbox), std::move(one));
  if (!all.ok()) co_return all.status();
  AppendResult result;
  result.uid_validity = all->uid_validity;
  result.uid = all->uids.front();
  co_return result;
}

Task<absl::StatusOr<AppendAllResult>> FakeMailStore::AppendAll(
    TenantId tenant, AccountId account, std::string mailbox, std::vector<AppendMessage> messages) {
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) co_return found.status();
  AppendAllResult result;
  result.uid_validity = (*found)->info.uid_validity;
  std::uint64_t octets = 0;
  for (const AppendMessage& message : messages) {
    octets += message.stored_body ? message.stored_body->size : message.inline_body.size();
  }
  if (!Fits(accounts_[{tenant, account}], octets, messages.size())) {
    co_return MakeFailure(Failure::kOverQuota);
  }
  for (AppendMessage& message : messages) {
    Message added;
    added.body = message.stored_body ? bodies_.at(message.stored_body->sha256)
                                     : std::move(message.inline_body);
    added.entry.flags = std::move(message.flags);
    added.entry.received_at = message.received_at;
    result.uids.push_back(Add(accounts_[{tenant, account}], **found, std::move(added)));
  }
  Changed(tenant, account);
  co_return result;
}

Task<absl::StatusOr<AppendResult>> FakeMailStore::Replace(TenantId tenant, AccountId account,
                                                          std::string mailbox,
                                                          AppendMessage message,
                                                          MailboxId old_mailbox, Uid old_uid) {
  absl::StatusOr<Mailbox*> from = FindMailbox(tenant, account, old_mailbox);
  if (!from.ok()) co_return from.status();
  const auto old = (*from)->messages.find(old_uid);
  if (old == (*from)->messages.end()) co_return MakeFailure(Failure::kNotFound);
  Message removed = std::move(old->second);
  (*from)->messages.erase(old);
  absl::StatusOr<AppendResult> stored =
      co_await Append(tenant, account, std::move(mailbox), std::move(message));
  if (!stored.ok()) {
    (*from)->messages.emplace(old_uid, std::move(removed));
    co_return stored.status();
  }
  Account& owner = accounts_[{tenant, account}];
  (*from)->expunged.emplace_back(++owner.modseq, old_uid);
  (*from)->info.highest_modseq = owner.modseq;
  Changed(tenant, account);
  co_return stored;
}

Task<absl::StatusOr<Quota>> FakeMailStore::GetQuota(TenantId tenant, AccountId account) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) co_return owner.status();
  co_return QuotaOf(**owner);
}

Task<absl::StatusOr<CopyResult>> FakeMailStore::CopyMessages(TenantId tenant, AccountId account,
                                                             MailboxId mailbox,
                                                             std::vector<UidRange> uids,
                                                             std::string destination, bool move) {
  absl::StatusOr<Mailbox*> from = FindMailbox(tenant, account, mailbox);
  if (!from.ok()) co_return from.status();
  absl::StatusOr<Mailbox*> to = FindMailbox(tenant, account, destination);
  if (!to.ok()) co_return to.status();
  Account& owner = accounts_[{tenant, account}];
  CopyResult result;
  result.uid_validity = (*to)->info.uid_validity;
  std::vector<Message> copies;
  for (const auto& [uid, message] : (*from)->messages) {
    if (!InRanges(uids, uid)) continue;
    result.source_uids.push_back(uid);
    copies.push_back(message);
  }
  std::uint64_t octets = 0;
  for (const Message& copy : copies) octets += copy.entry.size;
  if (!move && !Fits(owner, octets, copies.size())) co_return MakeFailure(Failure::kOverQuota);
  for (Message& copy : copies) {
    result.destination_uids.push_back(Add(owner, **to, std::move(copy)));
  }
  if (move) {
    for (const Uid uid : result.source_uids) {
      (*from)->messages.erase(uid);
      (*from)->expunged.emplace_back(++owner.modseq, uid);
      (*from)->info.highest_modseq = owner.modseq;
    }
  }
  Changed(tenant, account);
  co_return result;
}

Task<absl::StatusOr<ExpungeResult>> FakeMailStore::Expunge(TenantId tenant, AccountId account,
                                                           MailboxId mailbox,
                                                           std::vector<UidRange> uids,
                                                           bool only_deleted) {
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) co_return found.status();
  Account& owner = accounts_[{tenant, account}];
  ExpungeResult result;
  for (const auto& [uid, message] : (*found)->messages) {
    if (!uids.empty() && !InRanges(uids, uid)) continue;
    if (only_deleted && (message.entry.flags.system & kFlagDeleted) == 0) continue;
    result.expunged.push_back(uid);
  }
  for (const Uid uid : result.expunged) {
    (*found)->messages.erase(uid);
    (*found)->expunged.emplace_back(++owner.modseq, uid);
    (*found)->info.highest_modseq = owner.modseq;
  }
  result.highest_modseq = owner.modseq;
  if (!result.expunged.empty()) Changed(tenant, account);
  co_return result;
}

Task<absl::StatusOr<std::vector<Uid>>> FakeMailStore::Search(TenantId tenant, AccountId account,
                                                             MailboxId mailbox,
                                                             std::vector<UidRange> uids,
                                                             StoreSearchKey key) {
  if (search_time_ > absl::ZeroDuration()) co_await SleepFor(search_time_);
  absl::StatusOr<Mailbox*> found = FindMailbox(tenant, account, mailbox);
  if (!found.ok()) co_return found.status();
  std::vector<Uid> result;
  for (const auto& [uid, message] : (*found)->messages) {
    if (!InRanges(uids, uid)) continue;
    const std::string header =
        message.prefix + message.body.substr(0, mime::Scan(message.body).header_size);
    if (Matches(key, uid, message.all(), header)) result.push_back(uid);
  }
  co_return result;
}

Task<absl::StatusOr<std::vector<ModSeq>>> FakeMailStore::GetWatermarks(
    std::vector<std::pair<TenantId, AccountId>> accounts) {
  if (failure_) co_return *failure_;
  std::vector<ModSeq> marks;
  for (const auto& key : accounts) {
    const auto found = accounts_.find(key);
    marks.push_back(found == accounts_.end() ? 0 : found->second.modseq);
  }
  co_return marks;
}

Task<absl::Status> FakeMailStore::AcquirePopLock(TenantId tenant, AccountId account,
                                                 std::string holder, absl::Duration) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) co_return owner.status();
  if (!(*owner)->pop_holder.empty() && (*owner)->pop_holder != holder) {
    co_return MakeFailure(Failure::kMailboxInUse);
  }
  (*owner)->pop_holder = std::move(holder);
  co_return absl::OkStatus();
}

Task<absl::Status> FakeMailStore::ReleasePopLock(TenantId tenant, AccountId account,
                                                 std::string holder) {
  absl::StatusOr<Account*> owner = FindAccount(tenant, account);
  if (!owner.ok()) co_return owner.status();
  if ((*owner)->pop_holder == holder) (*owner)->pop_holder.clear();
  co_return absl::OkStatus();
}

}  // namespace posthorn::gateway
