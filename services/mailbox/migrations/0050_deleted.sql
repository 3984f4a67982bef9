-- What was expunged can be had back for a time.

-- A row takes over the reference that the entry had to its email (email.entries counts both), so an
-- expunge touches neither emails nor bodies. It counts against no quota.
CREATE SEQUENCE mailbox.deleted_id;
GRANT USAGE ON SEQUENCE mailbox.deleted_id TO posthorn_mailbox;

CREATE TABLE mailbox.deleted (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  deleted_id bigint NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT now(),
  mailbox_id bigint NOT NULL,          -- where it was
  mailbox_name text NOT NULL,          -- and what that was called then
  uid bigint NOT NULL,
  email_id bigint NOT NULL,
  size bigint NOT NULL,
  received_at timestamptz NOT NULL,
  saved_at timestamptz NOT NULL,
  flags int NOT NULL,
  keywords text[],
  PRIMARY KEY (tenant_id, account_id, deleted_id)
);
CREATE INDEX deleted_age ON mailbox.deleted (deleted_at);
SELECT posthorn.tenant_table('mailbox.deleted', 'posthorn_mailbox');
GRANT SELECT (tenant_id, account_id, deleted_at) ON mailbox.deleted TO posthorn_lookup;

-- Whether expunged messages are kept: a setting of the service's sessions, 'on' or not there.
CREATE FUNCTION mailbox.keeps_deleted() RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT coalesce(current_setting('app.keep_deleted', true), '') = 'on'
$$;

CREATE OR REPLACE FUNCTION mailbox.expunge(
  p_tenant bigint, p_account bigint, p_box bigint, firsts bigint[], lasts bigint[], only_deleted boolean)
RETURNS TABLE (o_modseq bigint, o_uids bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  seq bigint;
  box_name text;
  uids bigint[];
  emails bigint[];
  octets bigint;
  unseen_gone bigint;
  keep boolean := mailbox.keeps_deleted();
BEGIN
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account FOR UPDATE;
  SELECT m.highest_modseq, m.name INTO seq, box_name FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box AND m.account_id = p_account;
  IF NOT FOUND THEN
    RETURN QUERY SELECT NULL::bigint, NULL::bigint[];
    RETURN;
  END IF;
  uids := mailbox.uids_in(p_tenant, p_box, firsts, lasts, only_deleted);
  WITH gone AS (
    DELETE FROM mailbox.entry e
    WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (uids)
    RETURNING e.*
  ), kept AS (
    INSERT INTO mailbox.deleted (tenant_id, account_id, deleted_id, mailbox_id, mailbox_name, uid,
                                 email_id, size, received_at, saved_at, flags, keywords)
    SELECT p_tenant, p_account, nextval('mailbox.deleted_id'), p_box, box_name, g.uid, g.email_id,
           g.size, g.received_at, g.saved_at, g.flags, g.keywords
    FROM gone g WHERE keep ORDER BY g.uid
  )
  SELECT array_agg(g.uid ORDER BY g.uid), array_agg(g.email_id),
         coalesce(sum(g.size), 0)::bigint, count(*) FILTER (WHERE g.flags & 1 = 0)
  INTO uids, emails, octets, unseen_gone FROM gone g;
  IF uids IS NOT NULL THEN
    UPDATE mailbox.account a
    SET modseq = a.modseq + 1, messages = a.messages - cardinality(uids),
        used_bytes = a.used_bytes - octets
    WHERE a.tenant_id = p_tenant AND a.account_id = p_account RETURNING a.modseq INTO seq;
    INSERT INTO mailbox.expunged (tenant_id, mailbox_id, modseq, uid)
    SELECT p_tenant, p_box, seq, u FROM unnest(uids) u;
    UPDATE mailbox.mailbox m
    SET messages = m.messages - cardinality(uids), unseen = m.unseen - unseen_gone,
        size = m.size - octets, highest_modseq = seq
    WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
    IF NOT keep THEN
      PERFORM mailbox.count_entries(p_tenant, p_account, emails, -1);
    END IF;
  END IF;
  RETURN QUERY SELECT seq, coalesce(uids, '{}');
END $$;

CREATE OR REPLACE FUNCTION mailbox.delete_mailbox(p_tenant bigint, p_account bigint, p_box bigint)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  box_name text;
  emails bigint[];
  octets bigint;
  keep boolean := mailbox.keeps_deleted();
BEGIN
  SELECT m.name INTO box_name FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
  WITH gone AS (
    DELETE FROM mailbox.entry e WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box
    RETURNING e.*
  ), kept AS (
    INSERT INTO mailbox.deleted (tenant_id, account_id, deleted_id, mailbox_id, mailbox_name, uid,
                                 email_id, size, received_at, saved_at, flags, keywords)
    SELECT p_tenant, p_account, nextval('mailbox.deleted_id'), p_box, box_name, g.uid, g.email_id,
           g.size, g.received_at, g.saved_at, g.flags, g.keywords
    FROM gone g WHERE keep ORDER BY g.uid
  )
  SELECT array_agg(email_id), coalesce(sum(size), 0)::bigint INTO emails, octets FROM gone;
  UPDATE mailbox.account
  SET messages = messages - coalesce(cardinality(emails), 0), used_bytes = used_bytes - octets
  WHERE tenant_id = p_tenant AND account_id = p_account;
  IF emails IS NOT NULL AND NOT keep THEN
    PERFORM mailbox.count_entries(p_tenant, p_account, emails, -1);
  END IF;
  DELETE FROM mailbox.expunged WHERE tenant_id = p_tenant AND mailbox_id = p_box;
  DELETE FROM mailbox.mailbox WHERE tenant_id = p_tenant AND mailbox_id = p_box;
END $$;

-- Goes with its account, whose emails have gone already.
CREATE FUNCTION mailbox.forget_deleted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM mailbox.deleted WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_deleted AFTER DELETE ON mailbox.account
  FOR EACH ROW EXECUTE FUNCTION mailbox.forget_deleted();

-- Drops up to `max_rows` of an account's that are older than `age`; answers how many.
CREATE FUNCTION mailbox.purge_deleted(p_tenant bigint, p_account bigint, age interval, max_rows int)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  ids bigint[];
  emails bigint[];
BEGIN
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account FOR UPDATE;
  SELECT array_agg(d.deleted_id) INTO ids FROM (
    SELECT deleted_id FROM mailbox.deleted
    WHERE tenant_id = p_tenant AND account_id = p_account AND deleted_at <= now() - age
    ORDER BY deleted_id LIMIT max_rows) d;
  WITH gone AS (
    DELETE FROM mailbox.deleted
    WHERE tenant_id = p_tenant AND account_id = p_account AND deleted_id = ANY (ids)
    RETURNING email_id)
  SELECT array_agg(email_id) INTO emails FROM gone;
  IF emails IS NOT NULL THEN
    PERFORM mailbox.count_entries(p_tenant, p_account, emails, -1);
  END IF;
  RETURN coalesce(cardinality(emails), 0);
END $$;

-- Background work starts without a tenant: accounts with something older than `age`.
CREATE FUNCTION lookup.mailbox_accounts_to_purge(age interval, max_rows int)
RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT d.tenant_id, d.account_id FROM (
    SELECT tenant_id, account_id FROM mailbox.deleted
    WHERE deleted_at <= now() - age ORDER BY deleted_at LIMIT max_rows) d
$$;
ALTER FUNCTION lookup.mailbox_accounts_to_purge(interval, int) OWNER TO posthorn_lookup;
REVOKE EXECUTE ON FUNCTION lookup.mailbox_accounts_to_purge(interval, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.mailbox_accounts_to_purge(interval, int) TO posthorn_mailbox;

-- A mailbox of that name, made with its parents where it is not there. The account is locked.
CREATE FUNCTION mailbox.find_or_create(p_tenant bigint, p_account bigint, p_name text, seq bigint)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  parts text[] := string_to_array(p_name, '/');
  result bigint;
BEGIN
  SELECT m.mailbox_id INTO result FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.name = p_name;
  IF FOUND THEN
    RETURN result;
  END IF;
  INSERT INTO mailbox.mailbox (tenant_id, mailbox_id, account_id, uid_validity, name, highest_modseq)
  SELECT p_tenant, nextval('mailbox.mailbox_id'), p_account, nextval('mailbox.uid_validity'),
         array_to_string(parts[1:i], '/'), seq
  FROM generate_series(1, cardinality(parts)) i
  ON CONFLICT (tenant_id, account_id, name) DO NOTHING;
  SELECT m.mailbox_id INTO result FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.name = p_name;
  RETURN result;
END $$;

-- Puts the deleted messages `ids` back: into `destination`, or where that is NULL into the mailbox
-- each was in, under the name it has now or, where it is gone, the one it had. All or none. They get
-- new UIDs and keep flags (but \Deleted) and dates. o_outcome: 1 done, 3 over quota, 4 no such
-- account; o_found says how many of `ids` there were.
CREATE FUNCTION mailbox.undelete(p_tenant bigint, p_account bigint, ids bigint[], destination text)
RETURNS TABLE (o_outcome int, o_found bigint, o_modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  acc record;
  seq bigint;
  octets bigint;
  n bigint;
  source record;
  box bigint;
BEGIN
  SELECT a.* INTO acc FROM mailbox.account a
  WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 4, 0::bigint, 0::bigint;
    RETURN;
  END IF;
  SELECT count(*), coalesce(sum(d.size), 0)::bigint INTO n, octets FROM mailbox.deleted d
  WHERE d.tenant_id = p_tenant AND d.account_id = p_account AND d.deleted_id = ANY (ids);
  IF n = 0 THEN
    RETURN QUERY SELECT 1, 0::bigint, acc.modseq;
    RETURN;
  END IF;
  IF acc.quota_bytes > 0 AND acc.used_bytes + octets > acc.quota_bytes THEN
    RETURN QUERY SELECT 3, n, 0::bigint;
    RETURN;
  END IF;
  UPDATE mailbox.account a
  SET modseq = a.modseq + 1, messages = a.messages + n, used_bytes = a.used_bytes + octets
  WHERE a.tenant_id = p_tenant AND a.account_id = p_account RETURNING a.modseq INTO seq;
  FOR source IN
    SELECT d.mailbox_id, max(d.mailbox_name) AS mailbox_name FROM mailbox.deleted d
    WHERE d.tenant_id = p_tenant AND d.account_id = p_account AND d.deleted_id = ANY (ids)
    GROUP BY d.mailbox_id ORDER BY d.mailbox_id
  LOOP
    box := NULL;
    IF destination IS NULL THEN
      SELECT m.mailbox_id INTO box FROM mailbox.mailbox m
      WHERE m.tenant_id = p_tenant AND m.mailbox_id = source.mailbox_id
        AND m.account_id = p_account;
    END IF;
    IF box IS NULL THEN
      box := mailbox.find_or_create(p_tenant, p_account,
                                    coalesce(destination, source.mailbox_name), seq);
    END IF;
    WITH back AS MATERIALIZED (
      DELETE FROM mailbox.deleted d
      WHERE d.tenant_id = p_tenant AND d.account_id = p_account AND d.deleted_id = ANY (ids)
        AND d.mailbox_id = source.mailbox_id
      RETURNING d.*
    ), entries AS (
      INSERT INTO mailbox.entry (tenant_id, mailbox_id, uid, modseq, email_id, size, received_at,
                                 saved_at, flags, keywords)
      SELECT p_tenant, box,
             (SELECT m.uid_next FROM mailbox.mailbox m
              WHERE m.tenant_id = p_tenant AND m.mailbox_id = box)
               - 1 + row_number() OVER (ORDER BY b.uid, b.deleted_id),
             seq, b.email_id, b.size, b.received_at, b.saved_at, b.flags & ~8, b.keywords
      FROM back b
    )
    UPDATE mailbox.mailbox m
    SET uid_next = m.uid_next + s.messages, messages = m.messages + s.messages,
        unseen = m.unseen + s.unseen, size = m.size + s.size, highest_modseq = seq
    FROM (SELECT count(*) AS messages, count(*) FILTER (WHERE flags & 1 = 0) AS unseen,
                 sum(size)::bigint AS size FROM back) s
    WHERE m.tenant_id = p_tenant AND m.mailbox_id = box;
  END LOOP;
  RETURN QUERY SELECT 1, n, seq;
END $$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY[
      'mailbox.keeps_deleted()', 'mailbox.forget_deleted()',
      'mailbox.purge_deleted(bigint,bigint,interval,int)',
      'mailbox.find_or_create(bigint,bigint,text,bigint)',
      'mailbox.undelete(bigint,bigint,bigint[],text)']::regprocedure[] LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;
