#ifndef POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_MAIL_STORE_H_
#define POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_MAIL_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/gateway/clients/mail_store.h"

namespace posthorn::gateway {

// Mailboxes in memory, for unit tests on one executor. Batches are small, so that tests meet the
// seams. An account exists, with an INBOX, once AddAccount was called.
class FakeMailStore final : public MailStore {
 public:
  FakeMailStore();
  ~FakeMailStore() override;

  void AddAccount(TenantId tenant, AccountId account);
  // A delivery: `prefix` are the trace headers.
  Uid Deliver(TenantId tenant, AccountId account, const std::string& mailbox, std::string prefix,
              std::string body, absl::Time received_at);
  // As if the mailbox service had published a hint; called after every change.
  void OnChange(std::function<void(TenantId, AccountId, ModSeq)> on_change) {
    on_change_ = std::move(on_change);
  }
  // Every call answers this until it is reset.
  void FailWith(std::optional<absl::Status> status) { failure_ = std::move(status); }
  // Stored structures and envelopes read as if written by another version.
  void ForgetStructures() { forget_structures_ = true; }
  // Expunges until now are forgotten.
  void Prune() { pruned_ = true; }
  // Limits of the account; 0: none.
  void SetQuota(TenantId tenant, AccountId account, std::uint64_t octets, std::uint64_t messages);
  // How long a search takes.
  void SetSearchTime(absl::Duration time) { search_time_ = time; }
  // When a message that comes now is saved.
  void SetNow(absl::Time now) { now_ = now; }
  // Octets a body must have to be left out of Fetch.
  void SetInlineLimit(std::size_t octets) { inline_limit_ = octets; }
  int calls() const { return calls_; }
  // Snapshots of mailboxes that were read.
  int opened() const { return opened_; }
  // Calls of Fetch and of ReadMessage, and the most octets of bodies that one Fetch answered.
  int fetches() const { return fetches_; }
  int reads() const { return reads_; }
  std::size_t largest_fetch() const { return largest_fetch_; }
  // Fetches whose reader is still there.
  int fetching() const { return static_cast<int>(readers_.use_count()) - 1; }

  Task<absl::StatusOr<MailboxList>> ListMailboxes(TenantId tenant, AccountId account,
                                                  bool count_deleted) override;
  Task<absl::StatusOr<MailboxInfo>> CreateMailbox(TenantId tenant, AccountId account,
                                                  std::string name,
                                                  std::string special_use) override;
  Task<absl::Status> DeleteMailbox(TenantId tenant, AccountId account, std::string name) override;
  Task<absl::Status> RenameMailbox(TenantId tenant, AccountId account, std::string from,
                                   std::string to) override;
  Task<absl::Status> Subscribe(TenantId tenant, AccountId account, std::string name,
                               bool subscribed) override;
  Task<absl::StatusOr<MailboxInfo>> GetMailbox(TenantId tenant, AccountId account, std::string name,
                                               bool count_deleted) override;
  std::unique_ptr<Reader<MailboxBatch>> OpenMailbox(TenantId tenant, AccountId account,
                                                    std::string name, bool claim_recent) override;
  Task<absl::StatusOr<MailboxChanges>> GetChanges(TenantId tenant, AccountId account,
                                                  MailboxId mailbox, ModSeq since_modseq,
                                                  bool claim_recent) override;
  std::unique_ptr<Reader<std::vector<MessageData>>> Fetch(TenantId tenant, AccountId account,
                                                          MailboxId mailbox,
                                                          std::vector<UidRange> uids,
                                                          FetchParts parts) override;
  std::unique_ptr<Reader<std::string>> ReadMessage(TenantId tenant, AccountId account,
                                                   MailboxId mailbox, Uid uid, std::uint64_t offset,
                                                   std::uint64_t length) override;
  Task<absl::StatusOr<StoreFlagsResult>> StoreFlags(TenantId tenant, AccountId account,
                                                    MailboxId mailbox, std::vector<UidRange> uids,
                                                    StoreMode mode, MessageFlags flags) override;
  Task<absl::StatusOr<StoreFlagsResult>> StoreFlagsUnchanged(TenantId tenant, AccountId account,
                                                             MailboxId mailbox,
                                                             std::vector<UidRange> uids,
                                                             StoreMode mode, MessageFlags flags,
                                                             ModSeq unchanged_since) override;
  std::unique_ptr<BodyWriter> PutBody(TenantId tenant) override;
  Task<absl::StatusOr<AppendResult>> Append(TenantId tenant, AccountId account, std::string mailbox,
                                            AppendMessage message) override;
  Task<absl::StatusOr<AppendAllResult>> AppendAll(TenantId tenant, AccountId account,
                                                  std::string mailbox,
                                                  std::vector<AppendMessage> messages) override;
  Task<absl::StatusOr<AppendResult>> Replace(TenantId tenant, AccountId account,
                                             std::string mailbox, AppendMessage message,
                                             MailboxId old_mailbox, Uid old_uid) override;
  Task<absl::StatusOr<Quota>> GetQuota(TenantId tenant, AccountId account) override;
  Task<absl::StatusOr<CopyResult>> CopyMessages(TenantId tenant, AccountId account,
                                                MailboxId mailbox, std::vector<UidRange> uids,
                                                std::string destination, bool move) override;
  Task<absl::StatusOr<ExpungeResult>> Expunge(TenantId tenant, AccountId account, MailboxId mailbox,
                                              std::vector<UidRange> uids,
                                              bool only_deleted) override;
  Task<absl::StatusOr<std::vector<Uid>>> Search(TenantId tenant, AccountId account,
                                                MailboxId mailbox, std::vector<UidRange> uids,
                                                StoreSearchKey key) override;
  Task<absl::StatusOr<std::vector<ModSeq>>> GetWatermarks(
      std::vector<std::pair<TenantId, AccountId>> accounts) override;
  Task<absl::Status> AcquirePopLock(TenantId tenant, AccountId account, std::string holder,
                                    absl::Duration lease) override;
  Task<absl::Status> ReleasePopLock(TenantId tenant, AccountId account,
                                    std::string holder) override;

 private:
  struct Message {
    MailEntry entry;
    std::string prefix;
    std::string body;
    absl::Time saved_at;
    std::int64_t email_id = 0;           // 0 until it is added for the first time
    std::optional<std::string> preview;  // made when it is first asked for
    std::string all() const { return prefix + body; }
  };
  struct Mailbox {
    MailboxInfo info;
    std::map<Uid, Message> messages;
    std::vector<std::pair<ModSeq, Uid>> expunged;
    Uid recent_from = 1;
  };
  struct Account {
    std::map<std::string, Mailbox> mailboxes;
    std::set<std::string> subscriptions;
    ModSeq modseq = 1;
    std::string pop_holder;
    Quota quota;  // its limits
    // In the order of appearance: the subjects, without "Re: ", and the email that began the
    // thread.
    std::vector<std::pair<std::string, std::int64_t>> threads;
  };
  class Writer;

  absl::StatusOr<Account*> FindAccount(TenantId tenant, AccountId account);
  absl::StatusOr<Mailbox*> FindMailbox(TenantId tenant, AccountId account, MailboxId mailbox);
  absl::StatusOr<Mailbox*> FindMailbox(TenantId tenant, AccountId account, const std::string& name);
  Mailbox& Create(Account& account, const std::string& name);
  static bool HasChildren(const Account& account, const std::string& name);
  static MailboxInfo InfoOf(const Account& account, const Mailbox& mailbox);
  static Quota QuotaOf(const Account& account);
  static bool Fits(const Account& account, std::uint64_t octets, std::uint64_t messages);
  static std::int64_t ThreadOf(Account& account, const Message& message);
  Uid Add(Account& account, Mailbox& mailbox, Message message);
  static Uid ClaimRecent(Mailbox& mailbox, bool claim);
  void Changed(TenantId tenant, AccountId account);

  std::map<std::pair<TenantId, AccountId>, Account> accounts_;
  std::map<std::string, std::string> bodies_;  // by the "hash" handed out
  std::function<void(TenantId, AccountId, ModSeq)> on_change_;
  std::optional<absl::Status> failure_;
  bool forget_structures_ = false;
  bool pruned_ = false;
  absl::Time now_ = absl::UnixEpoch();
  absl::Duration search_time_ = absl::ZeroDuration();
  std::size_t inline_limit_ = 64 * 1024;
  std::int64_t next_mailbox_ = 1;
  int calls_ = 0;
  int opened_ = 0;
  int fetches_ = 0;
  int reads_ = 0;
  std::size_t largest_fetch_ = 0;
  std::shared_ptr<int> readers_ = std::make_shared<int>();  // each reader of a Fetch has a copy
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_MAIL_STORE_H_
