#include "apps/posthorn/fence.h"

#include <unistd.h>

#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/settings.h"
#include "lib/postgres/connection.h"

namespace posthorn::app {
namespace {

constexpr char kConnected[] =
    "SELECT coalesce(string_agg(DISTINCT application_name, ', '), '') FROM pg_stat_activity"
    " WHERE datname = current_database()"
    " AND application_name IN ('posthorn mailbox', 'posthorn queue')";

// Row-level security is forced also on the owner, who is to change the rows of all tenants here: for
// the length of the transaction, which locks the tables, it is not.
//
// - An account's MODSEQ is also what names its emails (EMAILID).
// - A job's attempt is the fence of its lease; `waits` goes up with it, so that no retry is skipped.
// - 100,000 mailboxes may have been made in the time that is lost; UIDVALIDITY has 32 bits, so its
//   sequence does not go further ahead of the time of day than needed. Of mail and jobs there may have
//   been a billion.
// - Events are told apart by transactions and need nothing.
constexpr char kFence[] = R"(
BEGIN;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '30s';
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE mailbox.account NO FORCE ROW LEVEL SECURITY;
ALTER TABLE mailbox.mailbox NO FORCE ROW LEVEL SECURITY;
ALTER TABLE queue.job NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
  s record;
BEGIN
  FOR s IN
    SELECT format('%I.%I', schemaname, sequencename)::regclass AS sequence,
           coalesce(last_value, start_value) AS last,
           CASE WHEN schemaname = 'directory' OR increment_by > 1 THEN 1000000 * increment_by
                ELSE 1000000000 END AS jump
    FROM pg_sequences
    WHERE (schemaname, sequencename) IN
      (('directory', 'id'), ('mailbox', 'mailbox_id'), ('mailbox', 'deleted_id'),
       ('mailbox', 'body_chunks_id'), ('queue', 'body_chunks_id'), ('queue', 'job_id'))
  LOOP
    PERFORM setval(s.sequence, s.last + s.jump);
  END LOOP;
  PERFORM setval('mailbox.uid_validity',
                 greatest(nextval('mailbox.uid_validity'), extract(epoch FROM now())::bigint)
                   + 100000);
END $$;
UPDATE mailbox.account SET modseq = modseq + 1000000000;
UPDATE mailbox.mailbox m SET uid_validity = nextval('mailbox.uid_validity'), highest_modseq = a.modseq
  FROM mailbox.account a WHERE a.tenant_id = m.tenant_id AND a.account_id = m.account_id;
UPDATE queue.job SET attempt = attempt + 1000000, waits = waits + 1000000;
ALTER TABLE mailbox.account FORCE ROW LEVEL SECURITY;
ALTER TABLE mailbox.mailbox FORCE ROW LEVEL SECURITY;
ALTER TABLE queue.job FORCE ROW LEVEL SECURITY;
COMMIT;
)";

}  // namespace

std::string FenceMark(const std::string& data_dir) { return data_dir + "/fence"; }

absl::Status RunFence(config::v1::Config config) {
  FillInPaths(config);
  const std::string mark = FenceMark(config.data_dir());
  if (config.postgres().url().empty()) {
    if (absl::Status s = WriteFile(mark, "", 0644); !s.ok()) return s;
    std::cout << "posthorn serve will fence its database when it is started.\n";
    return absl::OkStatus();
  }
  postgres::ConnectionOptions options;
  options.url = config.postgres().url();
  options.application_name = "posthorn fence";
  absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
      postgres::Connection::Open(options);
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<postgres::Result> connected = (*connection)->Exec(kConnected);
  if (!connected.ok()) return connected.status();
  if (const std::string who = connected->Text(0, 0); !who.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("stop all services first; connected are: ", who));
  }
  if (absl::Status s = (*connection)->ExecScript(kFence); !s.ok()) return s;
  unlink(mark.c_str());
  std::cout << "The database is fenced. Start the services.\n";
  return absl::OkStatus();
}

}  // namespace posthorn::app
