// Application passwords and lock-outs.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/show.h"

namespace posthorn::ctl {
namespace {

using admin::v1::AppPassword;
using admin::v1::Lockout;
using Stub = Session::Stub;

Columns<AppPassword> AppPasswordColumns() {
  return {{"ID", "ACCOUNT", "DESCRIPTION", "SERVICES", "CREATED", "LAST USED"},
          [](const AppPassword& p) {
            return std::vector<std::string>{absl::StrCat(p.app_password_id()),
                                            p.account(),
                                            p.description(),
                                            absl::StrJoin(p.services(), ", "),
                                            FormatTime(p.created_at()),
                                            FormatTime(p.last_used_at())};
          }};
}

Columns<Lockout> LockoutColumns() {
  return {{"SUBJECT", "FAILURES", "SECONDS LEFT"}, [](const Lockout& l) {
            return std::vector<std::string>{l.subject(), absl::StrCat(l.failures()),
                                            absl::StrCat(l.seconds_left())};
          }};
}

}  // namespace

absl::Status AddAppPassword(Session& session, const std::string& account,
                            const std::string& description,
                            const std::vector<std::string>& services) {
  admin::v1::AddAppPasswordRequest request;
  request.set_account(account);
  request.set_description(description);
  for (const std::string& service : services) request.add_services(service);
  const auto response = session.Call(&Stub::AddAppPassword, request);
  if (!response.ok()) return response.status();
  if (session.json()) {
    std::cout << ToJson(*response) << "\n";
    return absl::OkStatus();
  }
  ShowOne(session, AppPasswordColumns(), response->app_password());
  std::cout << "PASSWORD     " << response->secret() << "\n"
            << "The password is shown this once; only hashes of it are stored.\n";
  return absl::OkStatus();
}

absl::Status ListAppPasswords(Session& session, const std::string& account) {
  admin::v1::ListAppPasswordsRequest request;
  request.set_account(account);
  const auto response = session.Call(&Stub::ListAppPasswords, request);
  if (!response.ok()) return response.status();
  ShowList(session, AppPasswordColumns(),
           std::vector<AppPassword>(response->app_passwords().begin(),
                                    response->app_passwords().end()));
  return absl::OkStatus();
}

absl::Status ShowAppPassword(Session& session, std::int64_t id) {
  admin::v1::GetAppPasswordRequest request;
  request.set_app_password_id(id);
  return Show(session, AppPasswordColumns(), session.Call(&Stub::GetAppPassword, request));
}

absl::Status RemoveAppPassword(Session& session, std::int64_t id) {
  admin::v1::RemoveAppPasswordRequest request;
  request.set_app_password_id(id);
  return Done(session, session.Call(&Stub::RemoveAppPassword, request),
              absl::StrCat("removed ", id));
}

absl::Status ListLockouts(Session& session) {
  const auto response = session.Call(&Stub::ListLockouts, admin::v1::ListLockoutsRequest());
  if (!response.ok()) return response.status();
  ShowList(session, LockoutColumns(),
           std::vector<Lockout>(response->lockouts().begin(), response->lockouts().end()));
  return absl::OkStatus();
}

absl::Status ClearLockout(Session& session, const std::string& subject) {
  admin::v1::ClearLockoutRequest request;
  request.set_subject(subject);
  return Done(session, session.Call(&Stub::ClearLockout, request), "cleared " + subject);
}

}  // namespace posthorn::ctl
