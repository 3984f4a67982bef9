// Distribution lists and their members.
#include <algorithm>
#include <fstream>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/directory_columns.h"

namespace posthorn::ctl {
namespace {

using admin::v1::List;
using Stub = Session::Stub;

constexpr std::size_t kBatch = 5000;
constexpr absl::Duration kBatchTimeout = absl::Minutes(2);

struct PostingWord {
  const char* word;
  admin::v1::ListPosting posting;
};
constexpr PostingWord kPostings[] = {{"anyone", admin::v1::LIST_POSTING_ANYONE},
                                     {"tenant", admin::v1::LIST_POSTING_TENANT},
                                     {"members", admin::v1::LIST_POSTING_MEMBERS},
                                     {"owners", admin::v1::LIST_POSTING_OWNERS},
                                     {"senders", admin::v1::LIST_POSTING_SENDERS}};
struct VisibilityWord {
  const char* word;
  admin::v1::ListVisibility visibility;
};
constexpr VisibilityWord kVisibilities[] = {{"owners", admin::v1::LIST_VISIBILITY_OWNERS},
                                            {"members", admin::v1::LIST_VISIBILITY_MEMBERS},
                                            {"tenant", admin::v1::LIST_VISIBILITY_TENANT}};

std::string WordOf(admin::v1::ListPosting posting) {
  for (const PostingWord& row : kPostings) {
    if (row.posting == posting) return row.word;
  }
  return "?";
}
std::string WordOf(admin::v1::ListVisibility visibility) {
  for (const VisibilityWord& row : kVisibilities) {
    if (row.visibility == visibility) return row.word;
  }
  return "?";
}

// The command line has let only these words pass.
template <typename Request>
void SetRules(const ListSettings& settings, Request& request) {
  for (const PostingWord& row : kPostings) {
    if (settings.posting == row.word) request.set_posting(row.posting);
  }
  for (const VisibilityWord& row : kVisibilities) {
    if (settings.visibility == row.word) request.set_visibility(row.visibility);
  }
  if (settings.description.has_value()) request.set_description(*settings.description);
  for (const std::string& owner : settings.owners) request.add_owners(owner);
}

Columns<List> ListColumns() {
  return {{"ADDRESS", "MEMBERS", "OWNERS", "POSTING", "SENDERS", "VISIBLE TO", "DESCRIPTION",
           "CREATED"},
          [](const List& l) {
            return std::vector<std::string>{l.address(),
                                            absl::StrCat(l.members()),
                                            absl::StrJoin(l.owners(), ", "),
                                            WordOf(l.posting()),
                                            OrDash(absl::StrJoin(l.senders(), ", ")),
                                            WordOf(l.visibility()),
                                            OrDash(l.description()),
                                            FormatTime(l.created_at())};
          }};
}

absl::StatusOr<std::vector<std::string>> Addresses(const std::vector<std::string>& named,
                                                   const std::string& file) {
  std::vector<std::string> all = named;
  if (!file.empty()) {
    std::ifstream stream;
    if (file != "-") {
      stream.open(file, std::ios::binary);
      if (!stream) return absl::NotFoundError(absl::StrCat(file, ": cannot be read"));
    }
    std::istream& input = file == "-" ? std::cin : stream;
    for (std::string line; std::getline(input, line);) {
      const absl::string_view address = absl::StripAsciiWhitespace(line);
      if (!address.empty() && address[0] != '#') all.emplace_back(address);
    }
  }
  if (all.empty()) return absl::InvalidArgumentError("no members are named");
  return all;
}

// Calls `one` with batches and adds up what it answers.
template <typename One>
absl::StatusOr<std::int64_t> InBatches(const std::vector<std::string>& addresses, One one) {
  std::int64_t total = 0;
  for (std::size_t begin = 0; begin < addresses.size(); begin += kBatch) {
    const std::size_t end = std::min(begin + kBatch, addresses.size());
    const absl::StatusOr<std::int64_t> count =
        one(std::vector<std::string>(addresses.begin() + static_cast<std::ptrdiff_t>(begin),
                                     addresses.begin() + static_cast<std::ptrdiff_t>(end)));
    if (!count.ok()) {
      if (begin == 0) return count.status();
      return absl::Status(count.status().code(),
                          absl::StrCat(std::string(count.status().message()), " (the first ",
                                       begin, " are done)"));
    }
    total += *count;
  }
  return total;
}

void SayCount(const Session& session, const char* key, std::int64_t count) {
  if (session.json()) {
    std::cout << "{\"" << key << "\": " << count << "}\n";
  } else {
    std::cout << key << " " << count << " members\n";
  }
}

}  // namespace

absl::Status AddList(Session& session, const std::string& address, const ListSettings& settings) {
  admin::v1::AddListRequest request;
  request.set_address(address);
  // A new list is the safe kind unless the administrator says otherwise.
  request.set_posting(admin::v1::LIST_POSTING_MEMBERS);
  SetRules(settings, request);
  for (const std::string& sender : settings.senders) request.add_senders(sender);
  return Show(session, ListColumns(), session.Call(&Stub::AddList, request));
}

absl::Status ListLists(Session& session, const std::string& domain) {
  admin::v1::ListListsRequest request;
  request.set_domain(domain);
  const auto all = All<List>(
      session, &Stub::ListLists, request,
      [](const auto& page) -> const auto& { return page.lists(); },
      [](const List& list) { return list.address(); });
  if (!all.ok()) return all.status();
  ctl::ShowList(session, ListColumns(), *all);
  return absl::OkStatus();
}

absl::Status ShowList(Session& session, const std::string& address) {
  admin::v1::GetListRequest request;
  request.set_address(address);
  return Show(session, ListColumns(), session.Call(&Stub::GetList, request));
}

absl::Status SetList(Session& session, const std::string& address, const ListSettings& settings) {
  admin::v1::SetListRequest request;
  request.set_address(address);
  SetRules(settings, request);
  if (!settings.senders.empty()) {
    admin::v1::ListSenders& senders = *request.mutable_senders();
    for (const std::string& sender : settings.senders) {
      if (sender != "none") senders.add_senders(sender);
    }
  }
  return Show(session, ListColumns(), session.Call(&Stub::SetList, request));
}

absl::Status RemoveList(Session& session, const std::string& address) {
  admin::v1::RemoveListRequest request;
  request.set_address(address);
  return Done(session, session.Call(&Stub::RemoveList, request), "removed " + address);
}

absl::Status ShowListMembers(Session& session, const std::string& address) {
  admin::v1::ListMembersRequest request;
  request.set_address(address);
  const auto all = All<std::string>(
      session, &Stub::ListMembers, request,
      [](const auto& page) -> const auto& { return page.members(); },
      [](const std::string& member) { return member; });
  if (!all.ok()) return all.status();
  if (!session.json()) {
    for (const std::string& member : *all) std::cout << member << "\n";
    return absl::OkStatus();
  }
  admin::v1::ListMembersResponse response;
  for (const std::string& member : *all) response.add_members(member);
  std::cout << ToJson(response) << "\n";
  return absl::OkStatus();
}

absl::Status AddListMembers(Session& session, const std::string& address,
                            const std::vector<std::string>& members, const std::string& file) {
  const absl::StatusOr<std::vector<std::string>> addresses = Addresses(members, file);
  if (!addresses.ok()) return addresses.status();
  const absl::StatusOr<std::int64_t> added =
      InBatches(*addresses, [&](const std::vector<std::string>& batch) {
        admin::v1::AddListMembersRequest request;
        request.set_address(address);
        for (const std::string& member : batch) request.add_members(member);
        const auto response = session.Call(&Stub::AddListMembers, request, kBatchTimeout);
        return response.ok() ? absl::StatusOr<std::int64_t>(response->added())
                             : absl::StatusOr<std::int64_t>(response.status());
      });
  if (!added.ok()) return added.status();
  SayCount(session, "added", *added);
  return absl::OkStatus();
}

absl::Status RemoveListMembers(Session& session, const std::string& address,
                               const std::vector<std::string>& members, const std::string& file) {
  const absl::StatusOr<std::vector<std::string>> addresses = Addresses(members, file);
  if (!addresses.ok()) return addresses.status();
  const absl::StatusOr<std::int64_t> removed =
      InBatches(*addresses, [&](const std::vector<std::string>& batch) {
        admin::v1::RemoveListMembersRequest request;
        request.set_address(address);
        for (const std::string& member : batch) request.add_members(member);
        const auto response = session.Call(&Stub::RemoveListMembers, request, kBatchTimeout);
        return response.ok() ? absl::StatusOr<std::int64_t>(response->removed())
                             : absl::StatusOr<std::int64_t>(response.status());
      });
  if (!removed.ok()) return removed.status();
  SayCount(session, "removed", *removed);
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
