#include "services/gateway/testing/fake_directory.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/sasl/scram.h"

namespace posthorn::gateway {
namespace {

// Of every account.
constexpr char kSalt[] = "0123456789abcdef";

std::string Lower(const std::string& text) { return absl::AsciiStrToLower(text); }

std::string DomainOf(const std::string& address) {
  const std::size_t at = address.rfind('@');
  return at == std::string::npos ? std::string() : Lower(address.substr(at + 1));
}

}  // namespace

void FakeDirectory::AddTenant(std::string name, TenantId tenant) { tenants_[name] = tenant; }
void FakeDirectory::AddDomain(std::string domain, TenantId tenant) {
  domains_[Lower(domain)] = tenant;
}
void FakeDirectory::AddAccount(std::string address, std::string password, AccountId account) {
  accounts_[Lower(address)] = Account{std::move(password), account};
}
void FakeDirectory::AddAlias(std::string address, std::vector<Target> targets) {
  aliases_[Lower(address)] = std::move(targets);
}
void FakeDirectory::AddKey(std::string key, ApiKey owner) { keys_[std::move(key)] = owner; }
void FakeDirectory::AddList(std::string address, std::vector<std::string> members,
                            std::set<std::string> senders, std::set<AccountId> viewers) {
  lists_[Lower(address)] = List{std::move(members), std::move(senders), std::move(viewers)};
}
void FakeDirectory::SuspendDomain(std::string domain) {
  suspended_domains_.insert(Lower(domain));
}
void FakeDirectory::SetRoom(AccountId account, std::uint64_t room, absl::Status over_quota) {
  rooms_[account] = Room{room, std::move(over_quota)};
}
void FakeDirectory::Disable(std::string address) { disabled_.insert(Lower(address)); }

Task<absl::StatusOr<Resolution>> FakeDirectory::Resolve(std::string address) {
  ++resolve_calls_;
  if (failure_.has_value()) co_return *failure_;
  const auto domain = domains_.find(DomainOf(address));
  Resolution answer;
  if (domain == domains_.end()) co_return answer;
  answer.tenant = domain->second;
  const std::string key = Lower(address);
  const auto account = accounts_.find(key);
  const auto alias = aliases_.find(key);
  const auto list = lists_.find(key);
  if (suspended_domains_.contains(DomainOf(key))) {
    answer.kind = AddressKind::kDomainSuspended;
    answer.refusal = MakeFailure(Failure::kDomainSuspended);
  } else if (disabled_.contains(key)) {
    answer.kind = AddressKind::kDisabled;
  } else if (list != lists_.end()) {
    answer.kind = AddressKind::kList;
    answer.targets.emplace_back(AccountId(), key);
    answer.targets.back().is_list = true;
  } else if (account != accounts_.end()) {
    answer.kind = AddressKind::kLocal;
    answer.targets.emplace_back(account->second.id, key);
    const auto room = rooms_.find(account->second.id);
    if (room != rooms_.end()) {
      answer.targets.back().room = room->second.octets;
      answer.over_quota = room->second.over_quota;
    }
  } else if (alias != aliases_.end()) {
    answer.kind = AddressKind::kLocal;
    answer.targets = alias->second;
    for (const Target& target : answer.targets) {
      if (target.is_list) answer.kind = AddressKind::kList;
    }
  } else {
    answer.kind = AddressKind::kNoSuchRecipient;
  }
  co_return answer;
}

Task<absl::Status> FakeDirectory::AuthorizePost(std::string list, std::string sender,
                                                TenantId proven) {
  if (failure_.has_value()) co_return *failure_;
  const auto it = lists_.find(Lower(list));
  if (it == lists_.end()) co_return MakeFailure(Failure::kNotFound);
  if (sender.empty()) co_return MakeFailure(Failure::kPostNotAllowed);
  if (it->second.senders.contains("*")) co_return absl::OkStatus();
  const auto domain = domains_.find(DomainOf(sender));
  const bool unproven = domain != domains_.end() && domain->second != proven;
  if (unproven || !it->second.senders.contains(Lower(sender))) {
    co_return MakeFailure(Failure::kPostNotAllowed);
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<ShownMembers>> FakeDirectory::ShowMembers(TenantId tenant, AccountId account,
                                                              std::string address) {
  if (failure_.has_value()) co_return *failure_;
  const std::string key = Lower(address);
  const auto domain = domains_.find(DomainOf(key));
  if (domain == domains_.end() || domain->second != tenant) {
    co_return MakeFailure(Failure::kNotFound);
  }
  const auto alias = aliases_.find(key);
  if (alias != aliases_.end()) {
    std::vector<std::string> targets;
    for (const Target& target : alias->second) targets.push_back(target.address);
    const auto total = static_cast<std::int64_t>(targets.size());
    co_return ShownMembers(std::move(targets), total);
  }
  const auto list = lists_.find(key);
  if (list == lists_.end()) co_return MakeFailure(Failure::kNotFound);
  if (!list->second.viewers.contains(account)) co_return MakeFailure(Failure::kPermissionDenied);
  co_return ShownMembers(list->second.members,
                         static_cast<std::int64_t>(list->second.members.size()));
}

Task<absl::StatusOr<Login>> FakeDirectory::Authenticate(Credentials credentials) {
  if (failure_.has_value()) co_return *failure_;
  const std::string key = Lower(credentials.login);
  const auto account = accounts_.find(key);
  if (account == accounts_.end() || account->second.password != credentials.password) {
    co_return MakeFailure(Failure::kAuthenticationFailed);
  }
  co_return Login(domains_[DomainOf(key)], account->second.id, key);
}

Task<absl::StatusOr<ScramSalt>> FakeDirectory::GetScramSalt(std::string) {
  if (failure_.has_value()) co_return *failure_;
  co_return ScramSalt(kSalt, sasl::kMinScramIterations);
}

Task<absl::StatusOr<ScramLogin>> FakeDirectory::AuthenticateScram(ScramProof proof) {
  if (failure_.has_value()) co_return *failure_;
  const std::string key = Lower(proof.login);
  const auto account = accounts_.find(key);
  if (account == accounts_.end()) co_return MakeFailure(Failure::kAuthenticationFailed);
  const sasl::ScramKeys keys =
      sasl::MakeScramKeys(account->second.password, kSalt, sasl::kMinScramIterations);
  std::optional<std::string> signature =
      sasl::CheckProof(keys, proof.auth_message, proof.proof);
  if (!signature.has_value()) co_return MakeFailure(Failure::kAuthenticationFailed);
  Login login(domains_[DomainOf(key)], account->second.id, key);
  co_return ScramLogin(std::move(login), *std::move(signature));
}

Task<absl::StatusOr<Login>> FakeDirectory::AuthenticateIdentity(Credentials credentials) {
  if (failure_.has_value()) co_return *failure_;
  const std::string key = Lower(credentials.login);
  const auto account = accounts_.find(key);
  if (account == accounts_.end()) co_return MakeFailure(Failure::kAuthenticationFailed);
  co_return Login(domains_[DomainOf(key)], account->second.id, key);
}

Task<absl::StatusOr<ApiKey>> FakeDirectory::AuthenticateKey(std::string key) {
  if (failure_.has_value()) co_return *failure_;
  const auto it = keys_.find(key);
  if (it == keys_.end()) co_return MakeFailure(Failure::kAuthenticationFailed);
  co_return it->second;
}

Task<absl::Status> FakeDirectory::AuthorizeSender(TenantId tenant, AccountId account,
                                                  std::string address) {
  if (failure_.has_value()) co_return *failure_;
  if (address.empty()) co_return absl::OkStatus();
  const auto domain = domains_.find(DomainOf(address));
  if (domain == domains_.end() || domain->second != tenant) {
    co_return MakeFailure(Failure::kSenderNotAllowed);
  }
  if (!account) co_return absl::OkStatus();
  const auto own = accounts_.find(Lower(address));
  if (own == accounts_.end() || own->second.id != account) {
    co_return MakeFailure(Failure::kSenderNotAllowed);
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<TenantId>> FakeDirectory::FindTenant(std::string name) {
  if (failure_.has_value()) co_return *failure_;
  const auto it = tenants_.find(name);
  if (it == tenants_.end()) co_return MakeFailure(Failure::kNotFound);
  co_return it->second;
}

}  // namespace posthorn::gateway
