#ifndef POSTHORN_APPS_POSTHORNCTL_DIRECTORY_COLUMNS_H_
#define POSTHORN_APPS_POSTHORNCTL_DIRECTORY_COLUMNS_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/posthornctl/show.h"

// What the actions on the directory share: columns, and lists page by page.
namespace posthorn::ctl {

inline constexpr int kPage = 1000;

inline std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

inline Columns<admin::v1::Domain> DomainColumns() {
  return {{"NAME", "TENANT", "STATE", "CATCH-ALL", "POSTMASTER", "SMART HOST", "CREATED"},
          [](const admin::v1::Domain& d) {
            return std::vector<std::string>{
                d.name(),
                d.tenant(),
                d.suspended() ? "suspended" : "active",
                OrDash(d.catch_all()),
                d.postmaster().empty() ? "default" : d.postmaster(),
                OrDash(absl::StrCat(absl::StrJoin(d.smart_hosts(), ", "),
                                    d.smart_host_username().empty() ? "" : " as ",
                                    d.smart_host_username())),
                FormatTime(d.created_at())};
          }};
}

inline std::string TagsOf(admin::v1::TagMode mode) {
  switch (mode) {
    case admin::v1::TAG_MODE_EXISTING: return "existing";
    case admin::v1::TAG_MODE_CREATE: return "create";
    default: return "ignore";
  }
}

// "1.0 GiB", "1.0 GiB, 5000 messages", "none"
inline std::string QuotaOf(std::uint64_t octets, std::uint64_t messages) {
  std::string quota = octets == 0 ? "" : FormatOctets(octets);
  if (messages > 0) absl::StrAppend(&quota, quota.empty() ? "" : ", ", messages, " messages");
  return quota.empty() ? "none" : quota;
}

inline Columns<admin::v1::Account> AccountColumns() {
  return {{"ADDRESS", "ID", "MESSAGES", "USED", "QUOTA", "STATE", "LOGIN", "TAGS", "CREATED"},
          [](const admin::v1::Account& a) {
            return std::vector<std::string>{
                a.address(),
                absl::StrCat(a.account_id()),
                a.quota_messages() == 0 ? absl::StrCat(a.messages())
                                        : absl::StrCat(a.messages(), " of ", a.quota_messages()),
                FormatOctets(a.used_bytes()),
                a.quota_bytes() == 0 ? "none" : FormatOctets(a.quota_bytes()),
                a.disabled() ? "disabled" : "active",
                a.app_passwords_required() ? "application passwords" : "any",
                TagsOf(a.tag_mode()),
                FormatTime(a.created_at())};
          }};
}

// All pages of a list. `items` picks the repeated field of a response, `name` what a page goes on
// after.
template <typename Item, typename Request, typename Response, typename Items, typename Name>
absl::StatusOr<std::vector<Item>> All(Session& session,
                                      grpc::Status (Session::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                                      Request request, Items items, Name name) {
  std::vector<Item> all;
  request.set_limit(kPage);
  while (true) {
    const absl::StatusOr<Response> page = session.Call(method, request);
    if (!page.ok()) return page.status();
    for (const Item& item : items(*page)) all.push_back(item);
    if (items(*page).size() < kPage) return all;
    request.set_after(name(all.back()));
  }
}

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_DIRECTORY_COLUMNS_H_
