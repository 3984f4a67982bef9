-- The mailbox store.
--
-- The row of mailbox.account is the lock of everything below it: whoever changes an account's
-- mailboxes locks it first, so UID and MODSEQ, which come from locked rows, become visible in
-- order. Counter rows leave free space in their pages: no index covers what changes (HOT).

CREATE SCHEMA mailbox;
GRANT USAGE ON SCHEMA mailbox TO posthorn_mailbox, posthorn_lookup;

SELECT posthorn.create_body_tables('mailbox', 'posthorn_mailbox');
ALTER TABLE mailbox.body_upload SET (autovacuum_vacuum_threshold = 1000);

CREATE SEQUENCE mailbox.mailbox_id;
-- Never the same twice, also for a mailbox that is deleted and made again (RFC 3501 section
-- 2.3.1.1). Starts at the time of the installation in seconds, as others do.
CREATE SEQUENCE mailbox.uid_validity MAXVALUE 4294967295;
SELECT setval('mailbox.uid_validity', extract(epoch FROM now())::bigint);
GRANT USAGE ON SEQUENCE mailbox.mailbox_id, mailbox.uid_validity TO posthorn_mailbox;

CREATE TABLE mailbox.account (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  quota_bytes bigint NOT NULL,         -- 0: none
  used_bytes bigint NOT NULL DEFAULT 0,
  messages bigint NOT NULL DEFAULT 0,  -- entries of all mailboxes
  modseq bigint NOT NULL DEFAULT 1,    -- the highest given out
  inbox_id bigint NOT NULL,
  PRIMARY KEY (tenant_id, account_id)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 500);

CREATE TABLE mailbox.mailbox (
  tenant_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  account_id bigint NOT NULL,
  uid_validity bigint NOT NULL,
  uid_next bigint NOT NULL DEFAULT 1,
  recent_uid bigint NOT NULL DEFAULT 1,  -- no session was told that this one and later are recent
  messages bigint NOT NULL DEFAULT 0,
  unseen bigint NOT NULL DEFAULT 0,
  size bigint NOT NULL DEFAULT 0,        -- octets of all messages
  highest_modseq bigint NOT NULL DEFAULT 1,
  pruned_modseq bigint NOT NULL DEFAULT 0,  -- expunged UIDs up to it are forgotten
  special_use text NOT NULL DEFAULT '',
  name text NOT NULL,
  PRIMARY KEY (tenant_id, mailbox_id),
  UNIQUE (tenant_id, account_id, name)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 500);

CREATE TABLE mailbox.subscription (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  name text NOT NULL,
  PRIMARY KEY (tenant_id, account_id, name)
);

-- One stored message of an account. BODY[] is prefix plus body.
CREATE TABLE mailbox.email (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  email_id bigint NOT NULL,            -- the MODSEQ it was stored at: unique in the account
  received_at timestamptz NOT NULL,
  body_size bigint NOT NULL,
  entries int NOT NULL,                -- mailboxes it is in; at 0 the row goes
  structure_version smallint NOT NULL,
  message_id bytea NOT NULL,           -- 16 octets: what the 250 said
  sha256 bytea NOT NULL,               -- mailbox.body
  prefix bytea NOT NULL,
  envelope bytea NOT NULL,             -- lib/mime
  structure bytea NOT NULL,            -- lib/mime; offsets count from the body's start
  PRIMARY KEY (tenant_id, account_id, email_id)
) WITH (toast_tuple_target = 8160);

-- A message in a mailbox.
CREATE TABLE mailbox.entry (
  tenant_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  uid bigint NOT NULL,
  modseq bigint NOT NULL,
  email_id bigint NOT NULL,
  size bigint NOT NULL,                -- octets of BODY[]
  received_at timestamptz NOT NULL,
  saved_at timestamptz NOT NULL DEFAULT now(),
  flags int NOT NULL,                  -- 1 \Seen 2 \Answered 4 \Flagged 8 \Deleted 16 \Draft
  keywords text[],
  PRIMARY KEY (tenant_id, mailbox_id, uid)
) WITH (fillfactor = 90);
CREATE INDEX entry_modseq ON mailbox.entry (tenant_id, mailbox_id, modseq);

CREATE TABLE mailbox.expunged (
  tenant_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  modseq bigint NOT NULL,
  uid bigint NOT NULL,
  expunged_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, mailbox_id, modseq, uid)
);
CREATE INDEX expunged_age ON mailbox.expunged USING brin (expunged_at) WITH (pages_per_range = 32);

-- What has been delivered, kept apart from the messages, so that an expunge brings nothing back: a
-- row for the message id (16 octets) and, where there is one, a row for the resend key (32 octets).
-- One index on purpose: with two, a plan made while the table is small may take the wrong one.
CREATE TABLE mailbox.delivery (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  uid bigint NOT NULL,
  delivered_at timestamptz NOT NULL,
  key bytea NOT NULL,
  PRIMARY KEY (tenant_id, account_id, key)
);
CREATE INDEX delivery_age ON mailbox.delivery USING brin (delivered_at)
  WITH (pages_per_range = 32);

CREATE TABLE mailbox.pop_lock (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  holder bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, account_id)
);

SELECT posthorn.tenant_table('mailbox.account', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.mailbox', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.subscription', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.email', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.entry', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.expunged', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.delivery', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.pop_lock', 'posthorn_mailbox');

-- Background work starts without a tenant: what has grown too old goes, a batch a call.
GRANT SELECT, DELETE ON mailbox.delivery, mailbox.expunged TO posthorn_lookup;
GRANT SELECT, UPDATE ON mailbox.mailbox TO posthorn_lookup;

CREATE FUNCTION lookup.mailbox_prune_deliveries(age interval, max_rows int) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH gone AS (
    DELETE FROM mailbox.delivery WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM mailbox.delivery WHERE delivered_at < now() - age LIMIT max_rows))
    RETURNING 1)
  SELECT count(*) FROM gone
$$;

CREATE FUNCTION lookup.mailbox_prune_expunged(age interval, max_rows int) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH gone AS (
    DELETE FROM mailbox.expunged WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM mailbox.expunged WHERE expunged_at < now() - age LIMIT max_rows))
    RETURNING tenant_id, mailbox_id, modseq),
  upto AS (SELECT tenant_id, mailbox_id, max(modseq) AS modseq FROM gone GROUP BY 1, 2),
  noted AS (
    UPDATE mailbox.mailbox m SET pruned_modseq = greatest(m.pruned_modseq, u.modseq)
    FROM upto u WHERE m.tenant_id = u.tenant_id AND m.mailbox_id = u.mailbox_id)
  SELECT count(*) FROM gone
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY[
      'lookup.mailbox_prune_deliveries(interval,int)',
      'lookup.mailbox_prune_expunged(interval,int)']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;
