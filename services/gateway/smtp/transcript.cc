#include "services/gateway/smtp/transcript.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace posthorn::gateway {
namespace {

std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r': out += '\r'; break;
      case 'n': out += '\n'; break;
      case '0': out += '\0'; break;
      case 'x':
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default: out += text[i];
    }
  }
  return out;
}

}  // namespace

SmtpTranscriptTest::SmtpTranscriptTest()
    : staging_(net::StagingArea::Open(testing::TempDir() + "/smtp_transcript", 64 << 20).value()),
      tls_(net::TlsContext::Client("").value()) {
  directory_.AddTenant("demo", TenantId(1));
  directory_.AddTenant("other", TenantId(2));
  directory_.AddDomain("example.test", TenantId(1));
  directory_.AddDomain("other.test", TenantId(2));
  directory_.AddAccount("alice@example.test", "secret", AccountId(11));
  directory_.AddAccount("bob@example.test", "hidden", AccountId(12));
  directory_.AddAccount("carol@other.test", "third", AccountId(21));
  directory_.AddAccount("suspended@example.test", "x", AccountId(13));
  directory_.Disable("suspended@example.test");
  std::vector<Target> both;
  both.emplace_back(AccountId(11), "alice@example.test");
  both.emplace_back(AccountId(12), "bob@example.test");
  directory_.AddAlias("list@example.test", std::move(both));
  peer_.ip = "192.0.2.99";
  peer_.port = 40000;
}

SmtpTranscriptTest::~SmtpTranscriptTest() { Disconnect(); }

void SmtpTranscriptTest::Disconnect() {
  if (client_ != nullptr) client_->Close();
  executor_.RunUntilIdle();
}

void SmtpTranscriptTest::Connect() {
  if (server_ == nullptr) {
    SmtpDependencies dependencies;
    dependencies.directory = &directory_;
    dependencies.authenticator = &logins_->authenticator;
    dependencies.acceptor = &acceptor_;
    dependencies.staging = staging_.get();
    dependencies.clock = &clock_;
    dependencies.tls = tls_available_ ? tls_.get() : nullptr;
    dependencies.connections = &limiter_;
    dependencies.hostname = hostname_;
    dependencies.queue_extensions = queue_extensions_;
    dependencies.queue = queue_view_;
    server_ = std::make_unique<SmtpServer>(std::move(dependencies), limits_);
  }
  Disconnect();
  net::MemoryPipe pipe = net::MakeMemoryPipe(peer_);
  client_ = std::move(pipe.client);
  received_.clear();
  closed_ = false;
  if (!early_.empty()) executor_.RunVoid(Write(early_));
  Spawn(executor_, local_user_.has_value()
                       ? server_->ServeLocal(std::move(pipe.server), options_, *local_user_)
                       : server_->Serve(std::move(pipe.server), options_));
  // TLS comes first on a submissions port; the test starts it.
  if (options_.role != SmtpRole::kSubmissions) Spawn(executor_, Pump());
  executor_.RunUntilIdle();
}

Task<void> SmtpTranscriptTest::Pump() {
  for (;;) {
    absl::StatusOr<std::string> bytes = co_await client_->ReadSome(absl::InfiniteDuration());
    if (!bytes.ok()) co_return;  // the server's hello, or the test's end
    if (bytes->empty()) break;
    received_ += *bytes;
  }
  closed_ = true;
}

Task<void> SmtpTranscriptTest::Write(std::string bytes) {
  (void)co_await client_->WriteAll(std::move(bytes), absl::Seconds(1));
}

Task<void> SmtpTranscriptTest::Handshake() {
  const absl::Status status =
      co_await client_->StartTlsClient(*tls_, "mx.example", absl::Seconds(1));
  EXPECT_TRUE(status.ok()) << status;
  Spawn(executor_, Pump());
}

void SmtpTranscriptTest::Send(std::string bytes, std::size_t chunk) {
  for (std::size_t i = 0; i < bytes.size(); i += chunk) {
    executor_.RunVoid(Write(bytes.substr(i, chunk)));
  }
}

std::string SmtpTranscriptTest::TakeLine() {
  const std::size_t end = received_.find("\r\n");
  if (end == std::string::npos) return "(nothing" + std::string(closed_ ? ", closed)" : ")");
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 2);
  return line;
}

void SmtpTranscriptTest::Play(std::string_view dialogue, std::size_t chunk) {
  int number = 0;
  while (!dialogue.empty()) {
    const std::size_t newline = dialogue.find('\n');
    std::string_view line = dialogue.substr(0, newline);
    dialogue.remove_prefix(newline == std::string_view::npos ? dialogue.size() : newline + 1);
    ++number;
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (line.empty()) continue;
    const std::string_view rest = line.size() > 3 ? line.substr(3) : std::string_view();
    if (line.starts_with("C:")) {
      Send(Unescape(rest) + "\r\n", chunk);
    } else if (line.starts_with("c:")) {
      Send(Unescape(rest), chunk);
    } else if (line.starts_with("S:")) {
      std::string said = TakeLine();
      if (!rest.empty() && rest.back() == '*') {
        ASSERT_EQ(said.substr(0, rest.size() - 1), rest.substr(0, rest.size() - 1))
            << "line " << number << " of the dialogue; said: " << said;
      } else {
        ASSERT_EQ(said, rest) << "line " << number << " of the dialogue";
      }
    } else if (line == "TLS") {
      ASSERT_EQ(received_, "") << "line " << number << " of the dialogue";
      Spawn(executor_, Handshake());
      executor_.RunUntilIdle();
    } else if (line == "CLOSED") {
      ASSERT_TRUE(closed_) << "line " << number << " of the dialogue";
    } else {
      FAIL() << "line " << number << " of the dialogue is none: " << line;
    }
  }
  EXPECT_EQ(received_, "") << "after the dialogue";
}

void SmtpTranscriptTest::Greet() {
  Send(options_.role == SmtpRole::kLmtp ? "LHLO client.example\r\n" : "EHLO client.example\r\n");
  received_.clear();
}

void SmtpTranscriptTest::BeginTransaction(std::string_view recipients) {
  Greet();
  Send("MAIL FROM:<a@b.example>\r\n");
  for (const absl::string_view recipient :
       absl::StrSplit(absl::string_view(recipients.data(), recipients.size()), ' ')) {
    Send(absl::StrCat("RCPT TO:<", recipient, ">\r\n"));
  }
  received_.clear();
}

}  // namespace posthorn::gateway
