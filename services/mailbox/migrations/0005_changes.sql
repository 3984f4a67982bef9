-- Changes to mailboxes. Each function is one change, committed as a whole; it locks the account
-- first and answers NULL or no row where account or mailbox are not there. The setting app.t is the
-- caller's. UID ranges are disjoint and ascending.
--
-- Plans are kept, also those made while tables were small. Statements are therefore written so that
-- there is but one way to run them: a list of keys as = ANY (array), a list of ranges through
-- LATERAL with OFFSET 0, never a join whose sides could be swapped.

-- Locks the account and gives out its next MODSEQ; NULL: no such account.
CREATE FUNCTION mailbox.next_modseq(p_tenant bigint, p_account bigint) RETURNS bigint
LANGUAGE sql AS $$
  UPDATE mailbox.account SET modseq = modseq + 1
  WHERE tenant_id = p_tenant AND account_id = p_account RETURNING modseq
$$;

-- The keywords after `mode` (1 set, 2 add, 3 remove) with `change`; without regard to case, the
-- spelling that was there first stays. NULL: none.
CREATE FUNCTION mailbox.change_keywords(old text[], mode int, change text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN mode = 3 THEN (
      SELECT array_agg(k ORDER BY n) FROM unnest(old) WITH ORDINALITY o (k, n)
      WHERE lower(k) <> ALL (SELECT lower(c) FROM unnest(change) c))
    ELSE (
      SELECT array_agg(k ORDER BY n) FROM (
        SELECT DISTINCT ON (lower(k)) k, n
        FROM unnest(CASE WHEN mode = 2 THEN old || change ELSE change END)
          WITH ORDINALITY o (k, n) ORDER BY lower(k), n) d)
  END
$$;

-- Adds an account with its mailboxes; `names` and `uses` are the special ones beside INBOX.
CREATE FUNCTION mailbox.create_account(
  p_tenant bigint, p_account bigint, quota bigint, names text[], uses text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  inbox bigint := nextval('mailbox.mailbox_id');
BEGIN
  INSERT INTO mailbox.account (tenant_id, account_id, quota_bytes, inbox_id)
  VALUES (p_tenant, p_account, quota, inbox);
  INSERT INTO mailbox.mailbox (tenant_id, mailbox_id, account_id, uid_validity, name)
  VALUES (p_tenant, inbox, p_account, nextval('mailbox.uid_validity'), 'INBOX');
  INSERT INTO mailbox.mailbox (tenant_id, mailbox_id, account_id, uid_validity, name, special_use)
  SELECT p_tenant, nextval('mailbox.mailbox_id'), p_account, nextval('mailbox.uid_validity'), n, u
  FROM unnest(names, uses) s (n, u);
  INSERT INTO mailbox.subscription (tenant_id, account_id, name)
  SELECT p_tenant, p_account, n FROM unnest(ARRAY['INBOX'] || names) s (n);
END $$;

-- Drops one reference for each element of `hashes`.
CREATE FUNCTION mailbox.release_bodies(p_tenant bigint, hashes bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  same record;
BEGIN
  PERFORM 1 FROM mailbox.body b
  WHERE b.tenant_id = p_tenant AND b.sha256 = ANY (hashes) ORDER BY b.sha256 FOR UPDATE;
  FOR same IN SELECT d.n, array_agg(d.h) AS members
              FROM (SELECT h, count(*)::int AS n FROM unnest(hashes) h GROUP BY h) d GROUP BY d.n
  LOOP
    UPDATE mailbox.body b
    SET refs = b.refs - same.n, marked_at = CASE WHEN b.refs <= same.n THEN now() END
    WHERE b.tenant_id = p_tenant AND b.sha256 = ANY (same.members);
  END LOOP;
END $$;

-- Adds `sign` (1 or -1) entries for each element of `emails`; those left without any go, and their
-- bodies lose a reference.
CREATE FUNCTION mailbox.count_entries(p_tenant bigint, p_account bigint, emails bigint[], sign int)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  same record;
  gone bytea[];
  hashes bytea[] := '{}';
BEGIN
  FOR same IN SELECT d.n, array_agg(d.i) AS members
              FROM (SELECT i, sign * count(*)::int AS n FROM unnest(emails) i GROUP BY i) d
              GROUP BY d.n
  LOOP
    IF sign < 0 THEN
      WITH deleted AS (
        DELETE FROM mailbox.email e
        WHERE e.tenant_id = p_tenant AND e.account_id = p_account
          AND e.email_id = ANY (same.members) AND e.entries + same.n <= 0
        RETURNING e.sha256)
      SELECT array_agg(sha256) INTO gone FROM deleted;
      hashes := hashes || gone;
    END IF;
    UPDATE mailbox.email e SET entries = e.entries + same.n
    WHERE e.tenant_id = p_tenant AND e.account_id = p_account AND e.email_id = ANY (same.members);
  END LOOP;
  IF cardinality(hashes) > 0 THEN
    PERFORM mailbox.release_bodies(p_tenant, hashes);
  END IF;
END $$;

-- UIDs that are there in these ranges, ascending; NULL: none.
CREATE FUNCTION mailbox.uids_in(
  p_tenant bigint, p_box bigint, firsts bigint[], lasts bigint[], only_deleted boolean)
RETURNS bigint[]
LANGUAGE sql STABLE AS $$
  SELECT array_agg(e.uid ORDER BY e.uid)
  FROM unnest(firsts, lasts) r (f, l) CROSS JOIN LATERAL (
    SELECT uid FROM mailbox.entry
    WHERE tenant_id = p_tenant AND mailbox_id = p_box AND uid BETWEEN r.f AND r.l
      AND (NOT only_deleted OR flags & 8 <> 0)
    OFFSET 0) e
$$;

-- Flags and keywords after a change.
CREATE FUNCTION mailbox.want(
  old_flags int, old_keywords text[], mode int, new_flags int, new_keywords text[],
  OUT flags int, OUT keywords text[])
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE mode WHEN 1 THEN new_flags WHEN 2 THEN old_flags | new_flags
                   ELSE old_flags & ~new_flags END,
         CASE WHEN mode <> 1 AND new_keywords = '{}' THEN old_keywords
              WHEN mode = 1 AND new_keywords = '{}' THEN NULL
              ELSE mailbox.change_keywords(old_keywords, mode, new_keywords) END
$$;

CREATE FUNCTION mailbox.store_flags(
  p_tenant bigint, p_account bigint, p_box bigint, firsts bigint[], lasts bigint[], mode int,
  new_flags int, new_keywords text[])
RETURNS TABLE (o_uid bigint, o_modseq bigint, o_flags int, o_keywords text[], o_size bigint,
               o_email_id bigint, o_received_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  seq bigint;
  changed bigint;
  unseen_change bigint;
  uids bigint[];
BEGIN
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account FOR UPDATE;
  IF NOT EXISTS (SELECT FROM mailbox.mailbox WHERE tenant_id = p_tenant AND mailbox_id = p_box
                                               AND account_id = p_account) THEN
    RETURN QUERY SELECT 0::bigint, -1::bigint, 0, NULL::text[], 0::bigint, 0::bigint, now();
    RETURN;
  END IF;
  SELECT modseq + 1 INTO seq FROM mailbox.account
  WHERE tenant_id = p_tenant AND account_id = p_account;
  -- What differs, and by how much it changes the number of unseen ones.
  SELECT count(*), coalesce(sum(h.unseen_change), 0)::bigint, array_agg(h.uid)
  INTO changed, unseen_change, uids
  FROM (
    SELECT e.uid, (e.flags & 1) - (w.flags & 1) AS unseen_change
    FROM unnest(firsts, lasts) r (f, l) CROSS JOIN LATERAL (
      SELECT uid, flags, keywords FROM mailbox.entry
      WHERE tenant_id = p_tenant AND mailbox_id = p_box AND uid BETWEEN r.f AND r.l
      OFFSET 0) e
    CROSS JOIN LATERAL mailbox.want(e.flags, e.keywords, mode, new_flags, new_keywords) w
    WHERE w.flags <> e.flags OR w.keywords IS DISTINCT FROM e.keywords) h;
  UPDATE mailbox.entry e
  SET (flags, keywords, modseq) = (
    SELECT w.flags, w.keywords, seq
    FROM mailbox.want(e.flags, e.keywords, mode, new_flags, new_keywords) w)
  WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (uids);
  IF changed > 0 THEN
    UPDATE mailbox.account SET modseq = seq WHERE tenant_id = p_tenant AND account_id = p_account;
    UPDATE mailbox.mailbox m SET unseen = m.unseen + unseen_change, highest_modseq = seq
    WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
  END IF;
  RETURN QUERY
    SELECT e.uid, e.modseq, e.flags, e.keywords, e.size, e.email_id, e.received_at
    FROM mailbox.entry e
    WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (uids) ORDER BY e.uid;
  RETURN QUERY
    SELECT 0::bigint, m.highest_modseq, 0, NULL::text[], 0::bigint, 0::bigint, now()
    FROM mailbox.mailbox m WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
END $$;

-- NULL in o_modseq: no such mailbox.
CREATE FUNCTION mailbox.expunge(
  p_tenant bigint, p_account bigint, p_box bigint, firsts bigint[], lasts bigint[], only_deleted boolean)
RETURNS TABLE (o_modseq bigint, o_uids bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  seq bigint;
  uids bigint[];
  emails bigint[];
  octets bigint;
  unseen_gone bigint;
BEGIN
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account FOR UPDATE;
  SELECT m.highest_modseq INTO seq FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box AND m.account_id = p_account;
  IF NOT FOUND THEN
    RETURN QUERY SELECT NULL::bigint, NULL::bigint[];
    RETURN;
  END IF;
  uids := mailbox.uids_in(p_tenant, p_box, firsts, lasts, only_deleted);
  WITH gone AS (
    DELETE FROM mailbox.entry e
    WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (uids)
    RETURNING e.uid, e.email_id, e.size, e.flags
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
    PERFORM mailbox.count_entries(p_tenant, p_account, emails, -1);
  END IF;
  RETURN QUERY SELECT seq, coalesce(uids, '{}');
END $$;

-- COPY and MOVE. o_outcome: 1 done, 3 over quota, 4 no such source, 5 no such destination.
CREATE FUNCTION mailbox.copy(
  p_tenant bigint, p_account bigint, p_box bigint, firsts bigint[], lasts bigint[], destination text,
  moving boolean)
RETURNS TABLE (o_outcome int, o_uid_validity bigint, o_from bigint[], o_to bigint[],
               o_modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  acc record;
  dest record;
  seq bigint;
  from_uids bigint[];
  to_uids bigint[];
  emails bigint[];
  octets bigint;
  unseen_new bigint;
  n bigint;
BEGIN
  SELECT a.* INTO acc FROM mailbox.account a
  WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
  IF NOT FOUND OR NOT EXISTS (
      SELECT FROM mailbox.mailbox m
      WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box AND m.account_id = p_account) THEN
    RETURN QUERY SELECT 4, 0::bigint, NULL::bigint[], NULL::bigint[], 0::bigint;
    RETURN;
  END IF;
  SELECT m.* INTO dest FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.name = destination;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 5, 0::bigint, NULL::bigint[], NULL::bigint[], 0::bigint;
    RETURN;
  END IF;
  SELECT array_agg(e.uid ORDER BY e.uid), array_agg(e.email_id ORDER BY e.uid),
         coalesce(sum(e.size), 0)::bigint, count(*) FILTER (WHERE e.flags & 1 = 0), count(*)
  INTO from_uids, emails, octets, unseen_new, n
  FROM mailbox.entry e
  WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box
    AND e.uid = ANY (mailbox.uids_in(p_tenant, p_box, firsts, lasts, false));
  IF n = 0 THEN
    RETURN QUERY SELECT 1, dest.uid_validity, '{}'::bigint[], '{}'::bigint[], acc.modseq;
    RETURN;
  END IF;
  IF NOT moving AND acc.quota_bytes > 0 AND acc.used_bytes + octets > acc.quota_bytes THEN
    RETURN QUERY SELECT 3, 0::bigint, NULL::bigint[], NULL::bigint[], 0::bigint;
    RETURN;
  END IF;
  seq := acc.modseq + 1;
  INSERT INTO mailbox.entry (tenant_id, mailbox_id, uid, modseq, email_id, size, received_at, flags,
                             keywords)
  SELECT p_tenant, dest.mailbox_id, dest.uid_next - 1 + row_number() OVER (ORDER BY e.uid), seq,
         e.email_id, e.size, e.received_at, e.flags, e.keywords
  FROM mailbox.entry e
  WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (from_uids);
  SELECT array_agg(dest.uid_next - 1 + i ORDER BY i) INTO to_uids FROM generate_series(1, n) i;
  UPDATE mailbox.mailbox m
  SET uid_next = m.uid_next + n, messages = m.messages + n, unseen = m.unseen + unseen_new,
      size = m.size + octets, highest_modseq = seq
  WHERE m.tenant_id = p_tenant AND m.mailbox_id = dest.mailbox_id;
  IF moving THEN
    DELETE FROM mailbox.entry e
    WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (from_uids);
    INSERT INTO mailbox.expunged (tenant_id, mailbox_id, modseq, uid)
    SELECT p_tenant, p_box, seq, u FROM unnest(from_uids) u;
    UPDATE mailbox.mailbox m
    SET messages = m.messages - n, unseen = m.unseen - unseen_new, size = m.size - octets,
        highest_modseq = seq
    WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
    UPDATE mailbox.account a SET modseq = seq
    WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
  ELSE
    PERFORM mailbox.count_entries(p_tenant, p_account, emails, 1);
    UPDATE mailbox.account a
    SET modseq = seq, messages = a.messages + n, used_bytes = a.used_bytes + octets
    WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
  END IF;
  RETURN QUERY SELECT 1, dest.uid_validity, from_uids, to_uids, seq;
END $$;

-- Removes a mailbox with what is in it.
CREATE FUNCTION mailbox.delete_mailbox(p_tenant bigint, p_account bigint, p_box bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  emails bigint[];
  octets bigint;
BEGIN
  WITH gone AS (
    DELETE FROM mailbox.entry e WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box
    RETURNING e.email_id, e.size)
  SELECT array_agg(email_id), coalesce(sum(size), 0)::bigint INTO emails, octets FROM gone;
  UPDATE mailbox.account
  SET messages = messages - coalesce(cardinality(emails), 0), used_bytes = used_bytes - octets
  WHERE tenant_id = p_tenant AND account_id = p_account;
  IF emails IS NOT NULL THEN
    PERFORM mailbox.count_entries(p_tenant, p_account, emails, -1);
  END IF;
  DELETE FROM mailbox.expunged WHERE tenant_id = p_tenant AND mailbox_id = p_box;
  DELETE FROM mailbox.mailbox WHERE tenant_id = p_tenant AND mailbox_id = p_box;
END $$;

CREATE FUNCTION mailbox.delete_account(p_tenant bigint, p_account bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  boxes bigint[];
  hashes bytea[];
BEGIN
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account FOR UPDATE;
  SELECT array_agg(mailbox_id) INTO boxes FROM mailbox.mailbox
  WHERE tenant_id = p_tenant AND account_id = p_account;
  DELETE FROM mailbox.entry WHERE tenant_id = p_tenant AND mailbox_id = ANY (boxes);
  DELETE FROM mailbox.expunged WHERE tenant_id = p_tenant AND mailbox_id = ANY (boxes);
  WITH gone AS (
    DELETE FROM mailbox.email WHERE tenant_id = p_tenant AND account_id = p_account RETURNING sha256)
  SELECT array_agg(sha256) INTO hashes FROM gone;
  IF hashes IS NOT NULL THEN
    PERFORM mailbox.release_bodies(p_tenant, hashes);
  END IF;
  DELETE FROM mailbox.mailbox WHERE tenant_id = p_tenant AND account_id = p_account;
  DELETE FROM mailbox.subscription WHERE tenant_id = p_tenant AND account_id = p_account;
  DELETE FROM mailbox.delivery WHERE tenant_id = p_tenant AND account_id = p_account;
  DELETE FROM mailbox.pop_lock WHERE tenant_id = p_tenant AND account_id = p_account;
  DELETE FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mailbox FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mailbox TO posthorn_mailbox;
