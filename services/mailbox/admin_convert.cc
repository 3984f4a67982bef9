#include "services/mailbox/admin_convert.h"

#include <utility>

namespace posthorn::mailbox {
namespace {

// A number this version does not know is the strictest it does.
ListPosting PostingOf(admin::v1::ListPosting posting) {
  return admin::v1::ListPosting_IsValid(posting) ? static_cast<ListPosting>(posting)
                                                 : ListPosting::kOwners;
}
ListVisibility VisibilityOf(admin::v1::ListVisibility visibility) {
  return admin::v1::ListVisibility_IsValid(visibility) ? static_cast<ListVisibility>(visibility)
                                                       : ListVisibility::kOwners;
}
TagMode TagModeOf(admin::v1::TagMode mode) {
  return admin::v1::TagMode_IsValid(mode) ? static_cast<TagMode>(mode) : TagMode::kIgnore;
}

std::vector<std::string> AllOf(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return std::vector<std::string>(field.begin(), field.end());
}

}  // namespace

void ToProto(TenantRecord record, admin::v1::Tenant* out) {
  out->set_tenant_id(record.tenant.value());
  out->set_name(std::move(record.name));
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
  out->set_quota_bytes(record.quota_bytes);
  out->set_quota_messages(record.quota_messages);
  out->set_used_bytes(record.used_bytes);
  out->set_messages(record.messages);
}

void ToProto(DomainRecord record, admin::v1::Domain* out) {
  out->set_tenant_id(record.tenant.value());
  out->set_tenant(std::move(record.tenant_name));
  out->set_name(std::move(record.name));
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
  out->set_alias_of(std::move(record.alias_of));
  out->set_suspended(record.suspended);
  out->set_catch_all(std::move(record.catch_all));
  out->set_postmaster(std::move(record.postmaster));
  for (std::string& host : record.smart_hosts) out->add_smart_hosts(std::move(host));
  out->set_smart_host_username(std::move(record.smart_host_username));
  out->set_smart_host_tls(std::move(record.smart_host_tls));
}

void ToProto(AccountRecord record, admin::v1::Account* out) {
  out->set_tenant_id(record.account.tenant.value());
  out->set_account_id(record.account.account.value());
  out->set_address(std::move(record.address));
  out->set_quota_bytes(record.quota_bytes);
  out->set_used_bytes(record.used_bytes);
  out->set_messages(record.messages);
  out->set_quota_messages(record.quota_messages);
  out->set_disabled(record.disabled);
  out->set_tag_mode(static_cast<admin::v1::TagMode>(record.tag_mode));
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
  out->set_app_passwords_required(record.app_passwords_required);
}

void ToProto(AppPasswordRecord record, admin::v1::AppPassword* out) {
  out->set_app_password_id(record.id);
  out->set_account(std::move(record.account));
  out->set_description(std::move(record.description));
  for (std::string& service : record.services) out->add_services(std::move(service));
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
  out->set_last_used_at(absl::ToUnixSeconds(record.last_used_at));
}

void ToProto(AliasRecord record, admin::v1::Alias* out) {
  out->set_tenant_id(record.tenant.value());
  out->set_address(std::move(record.address));
  for (std::string& target : record.targets) out->add_targets(std::move(target));
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
}

void ToProto(ListRecord record, admin::v1::List* out) {
  out->set_tenant_id(record.tenant.value());
  out->set_address(std::move(record.address));
  out->set_description(std::move(record.description));
  for (std::string& owner : record.owners) out->add_owners(std::move(owner));
  out->set_posting(static_cast<admin::v1::ListPosting>(record.posting));
  for (std::string& sender : record.senders) out->add_senders(std::move(sender));
  out->set_visibility(static_cast<admin::v1::ListVisibility>(record.visibility));
  out->set_members(record.members);
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
}

void ToProto(KeyRecord record, admin::v1::Key* out) {
  out->set_tenant_id(record.tenant.value());
  out->set_key_id(record.key.value());
  out->set_tenant(std::move(record.tenant_name));
  out->set_description(std::move(record.description));
  out->set_created_at(absl::ToUnixSeconds(record.created_at));
}

DomainChange FromProto(const admin::v1::SetDomainRequest& request) {
  DomainChange change;
  if (request.has_suspended()) change.suspended = request.suspended();
  if (request.has_catch_all()) change.catch_all = request.catch_all();
  if (request.has_postmaster()) change.postmaster = request.postmaster();
  if (request.has_smart_hosts()) {
    change.smart_hosts = AllOf(request.smart_hosts().hosts());
    change.smart_host_username = request.smart_hosts().username();
    change.smart_host_password = request.smart_hosts().password();
    change.smart_host_tls = request.smart_hosts().tls();
  }
  return change;
}

AccountChange FromProto(const admin::v1::SetAccountRequest& request) {
  AccountChange change;
  if (request.has_suspended()) change.suspended = request.suspended();
  if (request.has_quota_bytes()) change.quota_bytes = request.quota_bytes();
  if (request.has_quota_messages()) change.quota_messages = request.quota_messages();
  if (request.has_tag_mode()) change.tag_mode = TagModeOf(request.tag_mode());
  return change;
}

ListChange FromProto(const admin::v1::AddListRequest& request) {
  ListChange settings;
  settings.description = request.description();
  settings.owners = AllOf(request.owners());
  settings.posting = PostingOf(request.posting());
  settings.senders = AllOf(request.senders());
  settings.visibility = VisibilityOf(request.visibility());
  return settings;
}

ListChange FromProto(const admin::v1::SetListRequest& request) {
  ListChange change;
  if (request.has_description()) change.description = request.description();
  if (request.owners_size() > 0) change.owners = AllOf(request.owners());
  if (request.has_posting()) change.posting = PostingOf(request.posting());
  if (request.has_senders()) change.senders = AllOf(request.senders().senders());
  if (request.has_visibility()) change.visibility = VisibilityOf(request.visibility());
  return change;
}

}  // namespace posthorn::mailbox
