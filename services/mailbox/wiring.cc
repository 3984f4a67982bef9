#include "services/mailbox/wiring.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <future>

#include "lib/config/redis_settings.h"
#include "lib/base/clock.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/body_store.h"
#include "lib/postgres/database.h"
#include "lib/rpc/server.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/mailbox/admin_store.h"
#include "services/mailbox/connection_settings.h"
#include "services/mailbox/deleted_store.h"
#include "services/mailbox/delivery_store.h"
#include "services/mailbox/directory_store.h"
#include "services/mailbox/mail_transfer.h"
#include "services/mailbox/mailbox_store.h"
#include "services/mailbox/maintenance.h"
#include "services/mailbox/passwords.h"
#include "services/mailbox/quota_warnings.h"
#include "services/mailbox/redis_hints.h"
#include "services/mailbox/services.h"
#include "services/mailbox/tag_mailboxes.h"
#include "services/mailbox/text_feed.h"
#include "services/mailbox/text_index.h"

namespace posthorn::mailbox {
namespace {

postgres::ConnectionOptions ConnectionFor(const config::v1::Config& config) {
  postgres::ConnectionOptions options = mailbox::ConnectionFor(config.postgres().url(), config.mailbox().keep_deleted_seconds() > 0);
  if (config.postgres().statement_timeout_seconds() > 0) {
    options.statement_timeout = absl::Seconds(config.postgres().statement_timeout_seconds());
  }
  return options;
}

postgres::DatabaseOptions DatabaseFor(const config::v1::Config& config) {
  postgres::DatabaseOptions options;
  options.connection = ConnectionFor(config);
  options.connections = std::max(1, config.postgres().connections());
  return options;
}

postgres::WriteGroupOptions GroupFor(const config::v1::Config& config) {
  postgres::WriteGroupOptions options;
  options.connection = ConnectionFor(config);
  if (config.mailbox().max_write_group() > 0) {
    options.max_group = static_cast<std::size_t>(config.mailbox().max_write_group());
  }
  return options;
}

DirectoryOptions DirectoryOptionsFor(const config::v1::Config& config) {
  DirectoryOptions options;
  options.tag_separators = config.mailbox().tag_separators();
  return options;
}

AddressPolicy PolicyFor(const config::v1::Config& config) {
  AddressPolicy policy;
  if (config.mailbox().suspended() == "defer") {
    policy.account_suspended = Failure::kAccountSuspendedForNow;
    policy.domain_suspended = Failure::kDomainSuspendedForNow;
  }
  if (config.mailbox().over_quota() == "reject") policy.over_quota = Failure::kMailboxFull;
  return policy;
}

absl::StatusOr<std::unique_ptr<ChangeHints>> HintsFor(const config::v1::Config& config) {
  if (config::RedisServers(config.redis()).empty()) return std::make_unique<NoChangeHints>();
  absl::StatusOr<redis::Options> options = config::RedisOptionsFrom(config.redis());
  if (!options.ok()) return options.status();
  return MakeRedisHints(*std::move(options));
}

}  // namespace

// Declared in the order in which parts use each other.
struct MailboxServer::Parts {
  Parts(const config::v1::Config& config, std::unique_ptr<ChangeHints> hints_in,
        std::string service_token)
      : guard(std::move(service_token)),
        hints(std::move(hints_in)),
        database(postgres::Database::Open(DatabaseFor(config))),
        passwords(std::max(1, config.mailbox().password_threads()), clock),
        bodies(*database, "mailbox"),
        directory(*database, passwords, DirectoryOptionsFor(config)),
        admin(*database, passwords, config.mailbox().tag_separators()),
        text_index(bodies),
        text_feed(*hints, *database, text_index),
        mailboxes(*database, text_feed),
        tags(*database, mailboxes, config.mailbox().tag_separators()),
        deliveries(*database, GroupFor(config), text_feed),
        deleted(*database, text_feed),
        transfer(*database, bodies, mailboxes, deliveries),
        warnings(*database, deliveries, clock,
                 std::vector<int>(config.mailbox().quota_warning_percent().begin(),
                                  config.mailbox().quota_warning_percent().end())),
        maintenance(bodies, deleted, warnings,
                    absl::Seconds(config.mailbox().keep_deleted_seconds())),
        background(1),
        loops(std::max(1, config.mailbox().threads())) {
    const ServiceContext context{guard, loops};
    const AddressPolicy policy = PolicyFor(config);
    const MailStores mail{deleted, transfer};
    services.push_back(MakeDirectoryService(context, directory, policy));
    services.push_back(MakeAdminService(context, admin, mail, *hints));
    services.push_back(MakeDeliveryService(context, deliveries, tags, policy));
    services.push_back(MakeMailboxesService(context, mailboxes, deliveries, bodies, text_index));
    services.push_back(MakeBodiesService(context, bodies));
    Spawn(background.at(0), RunMaintenance());
    Spawn(background.at(0), RunTextFeed());
  }

  Task<void> RunMaintenance() {
    co_await maintenance.Run();
    maintenance_done.set_value();
  }

  Task<void> RunTextFeed() {
    co_await text_feed.Run();
    text_feed_done.set_value();
  }

  SystemClock clock;
  rpc::TokenGuard guard;
  std::unique_ptr<ChangeHints> hints;
  std::unique_ptr<postgres::Database> database;
  Passwords passwords;
  postgres::BodyStore bodies;
  DirectoryStore directory;
  AdminStore admin;
  TextIndex text_index;
  TextFeed text_feed;
  MailboxStore mailboxes;
  TagMailboxes tags;
  DeliveryStore deliveries;
  DeletedStore deleted;
  MailTransfer transfer;
  QuotaWarnings warnings;
  Maintenance maintenance;
  std::promise<void> maintenance_done;
  std::promise<void> text_feed_done;
  net::LoopPool background;  // what keeps a thread busy for long
  net::LoopPool loops;
  std::vector<std::unique_ptr<grpc::Service>> services;
  bool stopped = false;
};

absl::StatusOr<std::unique_ptr<MailboxServer>> MailboxServer::Start(
    const config::v1::Config& config, std::string service_token) {
  if (config.postgres().url().empty()) {
    return absl::InvalidArgumentError("postgres.url is not set");
  }
  absl::StatusOr<std::unique_ptr<ChangeHints>> hints = HintsFor(config);
  if (!hints.ok()) return hints.status();
  if (service_token.empty()) return absl::InvalidArgumentError("rpc.token_file: the token is empty");
  return std::unique_ptr<MailboxServer>(
      new MailboxServer(std::make_unique<Parts>(config, *std::move(hints), std::move(service_token))));
}

MailboxServer::MailboxServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

MailboxServer::~MailboxServer() { Stop(); }

std::vector<grpc::Service*> MailboxServer::services() {
  std::vector<grpc::Service*> result;
  for (const std::unique_ptr<grpc::Service>& service : parts_->services) {
    result.push_back(service.get());
  }
  return result;
}

bool MailboxServer::IsStorageUp() const { return parts_->database->IsUp(); }

void MailboxServer::Drain() {
  parts_->maintenance.Stop();
  parts_->text_feed.Stop();
}

void MailboxServer::Stop() {
  if (parts_->stopped) return;
  parts_->stopped = true;
  Drain();
  parts_->maintenance_done.get_future().wait();
  parts_->text_feed_done.get_future().wait();
  parts_->background.Stop();
  parts_->loops.Stop();
}

}  // namespace posthorn::mailbox
