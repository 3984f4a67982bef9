#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/posthornctl/mail/imap_connection.h"
#include "apps/posthornctl/mail/sources.h"

namespace posthorn::ctl {
namespace {

// Messages that one FETCH asks for.
constexpr std::size_t kFetch = 50;

class Client {
 public:
  explicit Client(std::unique_ptr<ImapConnection> connection)
      : connection_(std::move(connection)) {}

  using Take = std::function<absl::Status(const ImapResponse&)>;
  using Sink = std::function<absl::Status(std::string_view)>;

  absl::Status Greet() {
    const absl::StatusOr<ImapResponse> greeting = connection_->Read();
    if (!greeting.ok()) return greeting.status();
    if (!absl::StartsWithIgnoreCase(greeting->text, "* OK")) {
      return absl::UnavailableError(absl::StrCat("the server: ", greeting->text));
    }
    return absl::OkStatus();
  }

  // Untagged responses go to `take`. An error is the server's NO or BAD.
  absl::Status Run(const std::string& command, const Take& take = nullptr,
                   const Sink& sink = nullptr, const std::string& continuation = "") {
    const std::string tag = absl::StrCat("p", ++count_);
    if (absl::Status s = connection_->Write(absl::StrCat(tag, " ", command, "\r\n")); !s.ok()) {
      return s;
    }
    for (;;) {
      const absl::StatusOr<ImapResponse> response = connection_->Read(sink);
      if (!response.ok()) return response.status();
      if (absl::StartsWith(response->text, "+")) {
        if (absl::Status s = connection_->Write(absl::StrCat(continuation, "\r\n")); !s.ok())
          return s;
        continue;
      }
      if (absl::StartsWith(response->text, "* ")) {
        if (take != nullptr) {
          if (absl::Status s = take(*response); !s.ok()) return s;
        }
        continue;
      }
      if (!absl::StartsWith(response->text, tag + " ")) continue;
      if (absl::StartsWithIgnoreCase(response->text, tag + " OK")) return absl::OkStatus();
      return absl::FailedPreconditionError(
          absl::StrCat("the server: ", response->text.substr(tag.size() + 1)));
    }
  }

  absl::StatusOr<std::set<std::string>> Capabilities() {
    std::set<std::string> capabilities;
    absl::Status status = Run("CAPABILITY", [&](const ImapResponse& response) {
      if (absl::StartsWithIgnoreCase(response.text, "* CAPABILITY")) {
        for (const absl::string_view word : absl::StrSplit(response.text, ' ', absl::SkipEmpty())) {
          capabilities.insert(absl::AsciiStrToUpper(word));
        }
      }
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return capabilities;
  }

  absl::Status StartTls(const std::string& host, const std::string& ca_file) {
    if (absl::Status s = Run("STARTTLS"); !s.ok()) return s;
    if (connection_->HasInput()) return absl::InternalError("the server: input before TLS");
    return connection_->StartTls(host, ca_file);
  }

 private:
  const std::unique_ptr<ImapConnection> connection_;
  int count_ = 0;
};

absl::Status LogIn(Client& client, const ImapSource& source, const std::string& password,
                   const ImportOptions& options) {
  absl::StatusOr<std::set<std::string>> capabilities = client.Capabilities();
  if (!capabilities.ok()) return capabilities.status();
  if (!source.tls && !options.plaintext) {
    if (!capabilities->contains("STARTTLS")) {
      return absl::FailedPreconditionError(
          "the server offers no TLS; --remote-plaintext sends the password as it is");
    }
    if (absl::Status s = client.StartTls(source.host, options.ca_file); !s.ok()) return s;
    capabilities = client.Capabilities();
    if (!capabilities.ok()) return capabilities.status();
  }
  if (capabilities->contains("AUTH=PLAIN")) {
    std::string plain;
    plain.append(1, '\0').append(source.user).append(1, '\0').append(password);
    return client.Run("AUTHENTICATE PLAIN", nullptr, nullptr, absl::Base64Escape(plain));
  }
  if (password.find_first_of("\r\n") != std::string::npos) {
    return absl::InvalidArgumentError("the password has a line end");
  }
  return client.Run(absl::StrCat("LOGIN ", Quoted(source.user), " ", Quoted(password)));
}

// One mailbox of the server.
class Folder {
 public:
  Folder(Importer& importer, Client& client, std::string account, ImapList list, std::string target,
         const ImportOptions& options)
      : importer_(importer),
        client_(client),
        account_(std::move(account)),
        list_(std::move(list)),
        target_(std::move(target)),
        options_(options) {}

  absl::Status Import() {
    std::optional<std::uint32_t> uid_validity;
    absl::Status examined =
        client_.Run("EXAMINE " + Quoted(list_.name), [&](const ImapResponse& response) {
          if (const auto value = ParseUidValidity(response.text)) uid_validity = value;
          return absl::OkStatus();
        });
    if (!examined.ok()) return examined;
    if (!uid_validity.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the server gives ", target_, " no UIDVALIDITY"));
    }
    uid_validity_ = *uid_validity;
    if (absl::Status s = CheckUidValidity(); !s.ok()) return s;
    std::vector<std::uint32_t> uids;
    absl::Status searched = client_.Run("UID SEARCH ALL", [&](const ImapResponse& response) {
      if (auto found = ParseSearch(response.text)) {
        uids.insert(uids.end(), found->begin(), found->end());
      }
      return absl::OkStatus();
    });
    if (!searched.ok()) return searched;
    std::sort(uids.begin(), uids.end());
    importer_.progress().Start(target_, uids.size());
    for (std::size_t at = 0; at < uids.size(); at += Importer::kBatch) {
      const std::size_t end = std::min(uids.size(), at + Importer::kBatch);
      absl::Status done =
          ImportUids(std::vector<std::uint32_t>(uids.begin() + static_cast<std::ptrdiff_t>(at),
                                                uids.begin() + static_cast<std::ptrdiff_t>(end)));
      if (!done.ok()) return done;
    }
    return importer_.Flush();
  }

 private:
  std::string KeyOf(const std::string& what) const {
    return ImportKey({"imap", options_.label, account_, list_.name, what});
  }
  std::string KeyOf(std::uint32_t uid) const {
    return KeyOf(absl::StrCat(uid_validity_, "/", uid));
  }

  // With another UIDVALIDITY no message can be told from those that were imported: all of them
  // would be there twice.
  absl::Status CheckUidValidity() {
    const std::vector<std::string> keys = {KeyOf("seen"),
                                           KeyOf(absl::StrCat("uidvalidity ", uid_validity_))};
    const absl::StatusOr<std::vector<bool>> known = importer_.Known(keys);
    if (!known.ok()) return known.status();
    if ((*known)[0] && !(*known)[1]) {
      return absl::FailedPreconditionError(
          absl::StrCat("the server has renumbered ", target_,
                       " (UIDVALIDITY), so that its messages cannot be told from those imported; "
                       "--label with another word imports it anew"));
    }
    if (!(*known)[0]) {
      for (const std::string& key : keys) importer_.Remember(key);
      return importer_.Flush();
    }
    return absl::OkStatus();
  }

  absl::Status ImportUids(const std::vector<std::uint32_t>& uids) {
    std::vector<std::string> keys;
    for (const std::uint32_t uid : uids) keys.push_back(KeyOf(uid));
    const absl::StatusOr<std::vector<bool>> known = importer_.Known(keys);
    if (!known.ok()) return known.status();
    std::vector<std::uint32_t> wanted;
    for (std::size_t i = 0; i < uids.size(); ++i) {
      if ((*known)[i]) {
        importer_.Skip(0);
      } else {
        wanted.push_back(uids[i]);
      }
      if (wanted.size() == kFetch || (i + 1 == uids.size() && !wanted.empty())) {
        if (absl::Status s = Fetch(std::exchange(wanted, {})); !s.ok()) return s;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Fetch(const std::vector<std::uint32_t>& uids) {
    std::unique_ptr<ImportBody> body;
    const auto append = [&](std::string_view piece) {
      if (body == nullptr) {
        body = std::make_unique<ImportBody>(importer_.session(), importer_.account());
      }
      return body->Append(piece);
    };
    const auto take = [&](const ImapResponse& response) -> absl::Status {
      const std::optional<ImapFetch> fetch = ParseFetch(response);
      if (!fetch.has_value() || !fetch->has_body) {
        body.reset();  // flags that changed meanwhile
        return absl::OkStatus();
      }
      if (absl::Status s = append(fetch->body.value_or("")); !s.ok()) return s;
      if (absl::Status s = body->Finish(); !s.ok()) return s;
      if (!std::binary_search(uids.begin(), uids.end(), fetch->uid)) {
        return absl::InternalError("the server: a message that was not asked for");
      }
      ImportItem item;
      item.key = KeyOf(fetch->uid);
      item.mailbox = target_;
      item.flags = fetch->flags;
      item.keywords = fetch->keywords;
      item.received_micros = fetch->received_micros;
      absl::Status added = importer_.Add(std::move(item), *body);
      body.reset();
      return added;
    };
    return client_.Run(
        absl::StrCat("UID FETCH ", SetOf(uids), " (UID FLAGS INTERNALDATE BODY.PEEK[])"), take,
        append);
  }

  Importer& importer_;
  Client& client_;
  const std::string account_;
  const ImapList list_;
  const std::string target_;
  const ImportOptions& options_;
  std::uint32_t uid_validity_ = 0;
};

}  // namespace

absl::StatusOr<ImapSource> ParseImapUrl(const std::string& url) {
  ImapSource source;
  absl::string_view rest = url;
  source.tls = absl::ConsumePrefix(&rest, "imaps://");
  if (!source.tls && !absl::ConsumePrefix(&rest, "imap://")) {
    return absl::InvalidArgumentError("a server is imap://user@host or imaps://user@host");
  }
  (void)absl::ConsumeSuffix(&rest, "/");
  // A user's name may have "@" itself.
  const std::size_t at = rest.rfind('@');
  if (at == absl::string_view::npos || at == 0 || at + 1 == rest.size()) {
    return absl::InvalidArgumentError("a server is imap://user@host or imaps://user@host");
  }
  source.user = std::string(rest.substr(0, at));
  for (std::size_t i = 0; (i = source.user.find('%', i)) != std::string::npos; ++i) {
    const std::string digits = source.user.substr(i + 1, 2);
    if (digits.size() != 2 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      return absl::InvalidArgumentError("the user's name has a % without two hexadecimal digits");
    }
    source.user.replace(i, 3, absl::HexStringToBytes(digits));
  }
  absl::string_view host = rest.substr(at + 1);
  source.port = source.tls ? "993" : "143";
  const std::size_t colon = host.rfind(':');
  if (colon != absl::string_view::npos && (host.front() != '[' || colon > host.rfind(']'))) {
    source.port = std::string(host.substr(colon + 1));
    host = host.substr(0, colon);
  }
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  source.host = std::string(host);
  if (source.host.empty() || source.port.empty()) {
    return absl::InvalidArgumentError("a server is imap://user@host or imaps://user@host");
  }
  return source;
}

absl::Status ImportImap(Importer& importer, const ImapSource& source, const std::string& password,
                        const ImportOptions& options) {
  absl::StatusOr<std::unique_ptr<ImapConnection>> connection =
      ImapConnection::Connect(source.host, source.port);
  if (!connection.ok()) return connection.status();
  if (source.tls) {
    if (absl::Status s = (*connection)->StartTls(source.host, options.ca_file); !s.ok()) return s;
  }
  Client client(*std::move(connection));
  if (absl::Status s = client.Greet(); !s.ok()) return s;
  if (absl::Status s = LogIn(client, source, password, options); !s.ok()) return s;
  std::vector<ImapList> lists;
  absl::Status listed = client.Run("LIST \"\" \"*\"", [&](const ImapResponse& response) {
    if (auto list = ParseList(response, "LIST")) {
      if (list->selectable) lists.push_back(*std::move(list));
    }
    return absl::OkStatus();
  });
  if (!listed.ok()) return listed;
  std::set<std::string> subscribed;
  absl::Status subscriptions = client.Run("LSUB \"\" \"*\"", [&](const ImapResponse& response) {
    if (auto list = ParseList(response, "LSUB")) subscribed.insert(MailboxOf(*list));
    return absl::OkStatus();
  });
  if (absl::IsUnavailable(subscriptions)) return subscriptions;
  const std::string account = absl::StrCat(source.user, "@", source.host);
  for (const ImapList& list : lists) {
    const std::string mailbox = MailboxOf(list);
    const std::string target = TargetOf(options, mailbox);
    const bool subscribe = !subscriptions.ok() || subscribed.contains(mailbox);
    if (absl::Status s = importer.EnsureMailbox(target, subscribe); !s.ok()) return s;
    Folder folder(importer, client, account, list, target, options);
    if (absl::Status s = folder.Import(); !s.ok()) return s;
  }
  (void)client.Run("LOGOUT");
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
