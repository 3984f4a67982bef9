-- The spool: what has been accepted and not yet delivered or returned. Rows live for seconds, as a
-- rule, so tables stay small, keep free space for updates in place, and are vacuumed early.

CREATE SCHEMA queue;
GRANT USAGE ON SCHEMA queue TO posthorn_queue, posthorn_lookup;

SELECT posthorn.create_body_tables('queue', 'posthorn_queue');

-- One accepted message. Its jobs are first_job_id to last_job_id; those that are finished have no
-- row any more. It goes when its last job goes.
CREATE TABLE queue.message (
  tenant_id bigint NOT NULL,
  message_id bytea NOT NULL,         -- 16 octets
  reverse_path text NOT NULL,        -- '' is the null reverse-path
  prefix bytea NOT NULL,             -- trace headers before the body
  inline_body bytea,                 -- up to 64 KiB; larger: body_sha256 in queue.body
  body_sha256 bytea,
  size bigint NOT NULL,              -- octets of the body
  received_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  body_is_8bit boolean NOT NULL,
  local_resend_key bytea NOT NULL,   -- for the mailbox store; '' if none
  first_job_id bigint NOT NULL,
  last_job_id bigint NOT NULL,
  PRIMARY KEY (tenant_id, message_id)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_scale_factor = 0.5,
        autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_cost_delay = 0);
ALTER TABLE queue.message ALTER inline_body SET STORAGE EXTERNAL, ALTER message_id SET STORAGE PLAIN;

-- One message for one destination, up to 100 recipients: what is leased. `attempt` is the fence: a
-- lease raises it, and a report counts as long as it carries the same number.
CREATE SEQUENCE queue.job_id INCREMENT BY 1048576;  -- a replica takes blocks
CREATE TABLE queue.job (
  tenant_id bigint NOT NULL,
  job_id bigint NOT NULL,
  message_id bytea NOT NULL,
  destination text NOT NULL,
  hash int NOT NULL,                 -- of destination, never negative: shard = hash % shards
  alone boolean NOT NULL,            -- the only job of its message
  attempt int NOT NULL DEFAULT 0,
  leased_until timestamptz,          -- NULL: not leased
  repeated boolean NOT NULL DEFAULT false,  -- the attempt before this one was never reported
  worker text,
  due_at timestamptz NOT NULL,       -- of the next attempt; kept during an attempt
  delay_warning_sent boolean NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, job_id)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE queue.job ALTER message_id SET STORAGE PLAIN;
-- The reconciler walks it. A lease changes no indexed column.
CREATE INDEX job_due ON queue.job (due_at, tenant_id, job_id);

-- state: 0 queued, 1 deferred, 2 delivered, 3 bounced, 4 cancelled. Rows stay until the message
-- goes, so that an operator sees what became of each recipient.
CREATE TABLE queue.recipient (
  tenant_id bigint NOT NULL,
  job_id bigint NOT NULL,
  recipient_id int NOT NULL,
  address text NOT NULL,
  original_address text NOT NULL,
  account_id bigint NOT NULL,        -- not 0: a mailbox of this platform
  state smallint NOT NULL DEFAULT 0,
  remote_host text NOT NULL DEFAULT '',
  smtp_code int NOT NULL DEFAULT 0,
  enhanced_status text NOT NULL DEFAULT '',
  reply text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, job_id, recipient_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- What has been accepted within a day, so that nothing is accepted twice. The key is a hash of the
-- caller's idempotency key, or of the resend key and the recipients, or of the message id.
CREATE TABLE queue.accepted (
  tenant_id bigint NOT NULL,
  key bytea NOT NULL,
  message_id bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
) WITH (autovacuum_vacuum_cost_delay = 0);
ALTER TABLE queue.accepted ALTER key SET STORAGE PLAIN, ALTER message_id SET STORAGE PLAIN;
-- Rows come in the order of their expiry.
CREATE INDEX accepted_expiry ON queue.accepted USING brin (expires_at) WITH (pages_per_range = 32);

SELECT posthorn.tenant_table('queue.message', 'posthorn_queue');
SELECT posthorn.tenant_table('queue.job', 'posthorn_queue');
SELECT posthorn.tenant_table('queue.recipient', 'posthorn_queue');
SELECT posthorn.tenant_table('queue.accepted', 'posthorn_queue');
GRANT USAGE ON SEQUENCE queue.job_id TO posthorn_queue;
GRANT SELECT (tenant_id, message_id, received_at) ON queue.message TO posthorn_lookup;
GRANT SELECT (tenant_id, job_id, hash, attempt, leased_until, due_at) ON queue.job
  TO posthorn_lookup;
GRANT SELECT (tenant_id, expires_at) ON queue.accepted TO posthorn_lookup;
