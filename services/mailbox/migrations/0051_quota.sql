-- Quota by number of messages and by tenant, and warnings. The limit of an account's octets is older
-- and part of the statements that store.

ALTER TABLE mailbox.account ADD COLUMN IF NOT EXISTS quota_messages bigint NOT NULL DEFAULT 0;
-- Its tenant has a row in mailbox.tenant_quota: what costs a delivery nothing where there is none.
ALTER TABLE mailbox.account ADD COLUMN tenant_limited boolean NOT NULL DEFAULT false;

-- What passes a limit below fails with this SQLSTATE; the whole change is undone.
CREATE FUNCTION mailbox.refuse_over_quota() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'over quota' USING ERRCODE = 'PH001';
END $$;
CREATE TRIGGER quota_messages AFTER UPDATE OF messages ON mailbox.account FOR EACH ROW
  WHEN (NEW.quota_messages > 0 AND NEW.messages > NEW.quota_messages
        AND NEW.messages > OLD.messages)
  EXECUTE FUNCTION mailbox.refuse_over_quota();

-- What the accounts of a tenant hold together. Only tenants with a limit have a row, so that the
-- others' deliveries need not wait for each other.
CREATE TABLE mailbox.tenant_quota (
  tenant_id bigint PRIMARY KEY,
  quota_bytes bigint NOT NULL,         -- 0: none
  quota_messages bigint NOT NULL,      -- 0: none
  used_bytes bigint NOT NULL,
  messages bigint NOT NULL
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 500);
SELECT posthorn.tenant_table('mailbox.tenant_quota', 'posthorn_mailbox');
GRANT SELECT ON mailbox.tenant_quota TO posthorn_lookup;
GRANT SELECT (quota_messages, messages) ON mailbox.account TO posthorn_lookup;

CREATE FUNCTION mailbox.count_tenant() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  octets bigint := 0;
  number bigint := 0;
  row mailbox.tenant_quota;
BEGIN
  IF TG_OP <> 'DELETE' THEN
    octets := NEW.used_bytes;
    number := NEW.messages;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    octets := octets - OLD.used_bytes;
    number := number - OLD.messages;
  END IF;
  UPDATE mailbox.tenant_quota q
  SET used_bytes = q.used_bytes + octets, messages = q.messages + number
  WHERE q.tenant_id = coalesce(NEW.tenant_id, OLD.tenant_id) RETURNING q.* INTO row;
  IF FOUND AND (octets > 0 AND row.quota_bytes > 0 AND row.used_bytes > row.quota_bytes
                OR number > 0 AND row.quota_messages > 0 AND row.messages > row.quota_messages) THEN
    RAISE EXCEPTION 'over the quota of the tenant' USING ERRCODE = 'PH001';
  END IF;
  RETURN NULL;
END $$;
-- At the end of the transaction: the row that all accounts share is the last that is locked, and the
-- shortest.
CREATE CONSTRAINT TRIGGER count_tenant AFTER UPDATE ON mailbox.account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.tenant_limited
        AND (NEW.used_bytes <> OLD.used_bytes OR NEW.messages <> OLD.messages))
  EXECUTE FUNCTION mailbox.count_tenant();
CREATE CONSTRAINT TRIGGER count_tenant_gone AFTER DELETE ON mailbox.account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.tenant_limited) EXECUTE FUNCTION mailbox.count_tenant();

-- Whether a new account is one of a limited tenant; not while that is being changed.
CREATE FUNCTION mailbox.limit_new_account() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('posthorn tenant quota', NEW.tenant_id));
  NEW.tenant_limited := EXISTS (SELECT FROM mailbox.tenant_quota q WHERE q.tenant_id = NEW.tenant_id);
  RETURN NEW;
END $$;
CREATE TRIGGER limit_new_account BEFORE INSERT ON mailbox.account
  FOR EACH ROW EXECUTE FUNCTION mailbox.limit_new_account();

-- Sets the limits of a tenant; both 0 takes them away. Its accounts are locked while they are
-- counted, so that nothing is missed.
CREATE FUNCTION mailbox.set_tenant_quota(p_tenant bigint, octets bigint, number bigint)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('posthorn tenant quota', p_tenant));
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant ORDER BY account_id FOR UPDATE;
  UPDATE mailbox.account SET tenant_limited = octets > 0 OR number > 0 WHERE tenant_id = p_tenant;
  IF octets = 0 AND number = 0 THEN
    DELETE FROM mailbox.tenant_quota WHERE tenant_id = p_tenant;
    RETURN;
  END IF;
  INSERT INTO mailbox.tenant_quota AS q (tenant_id, quota_bytes, quota_messages, used_bytes, messages)
  SELECT p_tenant, octets, number, coalesce(sum(a.used_bytes), 0)::bigint,
         coalesce(sum(a.messages), 0)::bigint
  FROM mailbox.account a WHERE a.tenant_id = p_tenant
  ON CONFLICT (tenant_id) DO UPDATE
    SET quota_bytes = EXCLUDED.quota_bytes, quota_messages = EXCLUDED.quota_messages;
END $$;

-- Accounts whose use has changed and is, or was, more than half of what they may hold. Whoever warns
-- takes them from here.
CREATE TABLE mailbox.quota_check (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  PRIMARY KEY (tenant_id, account_id)
);
-- The highest percentage the account was warned of and has not fallen below since; `generation`
-- counts the warnings.
CREATE TABLE mailbox.quota_warning (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  percent int NOT NULL,
  generation bigint NOT NULL,
  PRIMARY KEY (tenant_id, account_id)
);
SELECT posthorn.tenant_table('mailbox.quota_check', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.quota_warning', 'posthorn_mailbox');
GRANT SELECT ON mailbox.quota_check TO posthorn_lookup;

CREATE FUNCTION mailbox.note_use() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO mailbox.quota_check (tenant_id, account_id) VALUES (NEW.tenant_id, NEW.account_id)
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER note_use AFTER UPDATE ON mailbox.account FOR EACH ROW
  WHEN (NEW.quota_bytes > 0 AND (NEW.used_bytes <> OLD.used_bytes
                                 OR NEW.quota_bytes <> OLD.quota_bytes)
          AND greatest(NEW.used_bytes, OLD.used_bytes) * 2 >= NEW.quota_bytes
        OR NEW.quota_messages > 0 AND (NEW.messages <> OLD.messages
                                       OR NEW.quota_messages <> OLD.quota_messages)
          AND greatest(NEW.messages, OLD.messages) * 2 >= NEW.quota_messages)
  EXECUTE FUNCTION mailbox.note_use();
CREATE FUNCTION mailbox.forget_warnings() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM mailbox.quota_check WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  DELETE FROM mailbox.quota_warning WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_warnings AFTER DELETE ON mailbox.account
  FOR EACH ROW EXECUTE FUNCTION mailbox.forget_warnings();

-- Background work starts without a tenant.
CREATE FUNCTION lookup.mailbox_quota_checks(max_rows int)
RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT tenant_id, account_id FROM mailbox.quota_check LIMIT max_rows
$$;
ALTER FUNCTION lookup.mailbox_quota_checks(int) OWNER TO posthorn_lookup;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY[
      'mailbox.refuse_over_quota()', 'mailbox.count_tenant()', 'mailbox.limit_new_account()', 'mailbox.note_use()',
      'mailbox.forget_warnings()', 'mailbox.set_tenant_quota(bigint,bigint,bigint)',
      'lookup.mailbox_quota_checks(int)']::regprocedure[] LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;

-- What is asked for at RCPT, as before, but of all limits the one with the least room. An account or a
-- tenant that has as many messages as it may reads as full. In PL/pgSQL, each row by unique key, for the
-- reason in 0030_lookup_plans.sql.
CREATE OR REPLACE FUNCTION lookup.recipients(domains text[], locals text[])
RETURNS TABLE (n bigint, tenant_id bigint, domain text, suspended boolean, catch_all text,
               postmaster text, address text, account_id bigint, targets text[], disabled boolean,
               quota_bytes bigint, used_bytes bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT q.n, m.tenant_id, m.name, d.suspended OR m.suspended, m.catch_all, m.postmaster,
           a.address, a.account_id, a.targets, coalesce(c.disabled, false), r.quota, r.used
    FROM unnest(domains, locals) WITH ORDINALITY q (domain, local, n)
    JOIN LATERAL (
      SELECT * FROM directory.domain x WHERE x.name = q.domain OFFSET 0) d ON true
    JOIN LATERAL (
      SELECT * FROM directory.domain x
      WHERE x.tenant_id = d.tenant_id AND x.name = coalesce(d.alias_of, d.name) OFFSET 0) m ON true
    LEFT JOIN LATERAL (
      SELECT * FROM directory.address x
      WHERE x.tenant_id = m.tenant_id AND x.address = q.local || '@' || m.name OFFSET 0) a ON true
    LEFT JOIN LATERAL (
      SELECT x.disabled FROM directory.account x
      WHERE x.tenant_id = a.tenant_id AND x.account_id = a.account_id OFFSET 0) c ON true
    LEFT JOIN LATERAL (
      SELECT x.tenant_id, x.quota_bytes, x.used_bytes, x.quota_messages, x.messages
      FROM mailbox.account x
      WHERE x.tenant_id = a.tenant_id AND x.account_id = a.account_id OFFSET 0) b ON true
    LEFT JOIN LATERAL (
      SELECT * FROM mailbox.tenant_quota x WHERE x.tenant_id = b.tenant_id OFFSET 0) t ON true
    LEFT JOIN LATERAL (
      SELECT l.quota, l.used FROM (VALUES
        (b.quota_bytes, b.used_bytes), (t.quota_bytes, t.used_bytes),
        (CASE WHEN b.quota_messages > 0 AND b.messages >= b.quota_messages
                OR t.quota_messages > 0 AND t.messages >= t.quota_messages
              THEN 1::bigint ELSE 0::bigint END, 1::bigint)) l (quota, used)
      WHERE b.tenant_id IS NOT NULL
      ORDER BY coalesce(l.quota, 0) = 0, l.quota - l.used LIMIT 1) r ON true;
END $$;
