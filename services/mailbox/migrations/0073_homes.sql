-- Where a message is, found by the message: a search of a large mailbox must not read all of it to know
-- the UIDs of the few messages that it finds. A message remembers where it was delivered; only what has
-- come to its place otherwise (COPY, MOVE, what was there before this migration) is in an index, so that
-- neither a delivery nor a change of flags writes another index entry.
ALTER TABLE mailbox.email
  ADD COLUMN home_id bigint,    -- the mailbox it was delivered to; NULL: before this migration
  ADD COLUMN home_uid bigint;
ALTER TABLE mailbox.entry
  ADD COLUMN moved boolean NOT NULL DEFAULT true;  -- false: it is at its home
CREATE INDEX entry_moved ON mailbox.entry (tenant_id, mailbox_id, email_id) WHERE moved;

-- As before, and remembers the home.
CREATE OR REPLACE FUNCTION mailbox.deliver(
  tenants text,
  body_tenant bigint[], body_sha256 bytea[], body_size bigint[], body_data bytea[],
  body_envelope bytea[], body_structure bytea[],
  row_body bigint[], row_account bigint[], row_mailbox bigint[], row_message bytea[],
  row_resend bytea[], row_prefix bytea[], row_received timestamptz[], row_flags bigint[],
  row_keywords text[], version smallint)
RETURNS TABLE (o_row bigint, o_outcome int, o_uid bigint, o_modseq bigint, o_uid_validity bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  l_tenant bigint[];
  l_account bigint[];
  l_quota bigint[];
  l_used bigint[];
  l_modseq bigint[];
  l_inbox bigint[];
  l_room bigint[];  -- messages that still fit; NULL: no limit
BEGIN
  PERFORM set_config('app.t', tenants, true);

  SELECT array_agg(a.tenant_id), array_agg(a.account_id), array_agg(a.quota_bytes),
         array_agg(a.used_bytes), array_agg(a.modseq), array_agg(a.inbox_id),
         array_agg(CASE WHEN a.quota_messages > 0 THEN a.quota_messages - a.messages END)
  INTO l_tenant, l_account, l_quota, l_used, l_modseq, l_inbox, l_room
  FROM (
    SELECT c.* FROM
      (SELECT DISTINCT body_tenant[r.body] AS tenant_id, r.account AS account_id
       FROM unnest(row_body, row_account) r (body, account)) k
    JOIN mailbox.account c ON c.tenant_id = k.tenant_id AND c.account_id = k.account_id
    ORDER BY c.tenant_id, c.account_id FOR UPDATE OF c SKIP LOCKED) a;

  IF array_position(body_data, NULL) IS NOT NULL THEN
    PERFORM 1 FROM
      (SELECT b.tenant, b.sha256 FROM unnest(body_tenant, body_sha256, body_data)
         b (tenant, sha256, data) WHERE b.data IS NULL) k
      JOIN mailbox.body b ON b.tenant_id = k.tenant AND b.sha256 = k.sha256
    ORDER BY b.tenant_id, b.sha256 FOR UPDATE OF b;
  END IF;

  RETURN QUERY
  WITH bodies AS MATERIALIZED (
    SELECT b.* FROM unnest(body_tenant, body_sha256, body_size, body_data, body_envelope,
                           body_structure) WITH ORDINALITY
      b (tenant, sha256, size, data, envelope, structure, n)
  ), asked AS MATERIALIZED (
    -- All that the lookups below compare with comes from this one relation: a join with several
    -- would let a plan made while tables are small use but the first columns of an index.
    SELECT r.*, b.tenant, b.sha256, b.data IS NULL AS is_stored, b.size + length(r.prefix) AS size,
           a.account AS locked, a.modseq, a.quota, a.used, a.room,
           CASE WHEN r.mailbox = 0 THEN a.inbox ELSE r.mailbox END AS box
    FROM unnest(row_body, row_account, row_mailbox, row_message, row_resend, row_prefix,
                row_received, row_flags, row_keywords) WITH ORDINALITY
      r (body, account, mailbox, message, resend, prefix, received, flags, keywords, n)
    JOIN bodies b ON b.n = r.body
    LEFT JOIN unnest(l_tenant, l_account, l_quota, l_used, l_modseq, l_inbox, l_room)
      a (tenant, account, quota, used, modseq, inbox, room)
      ON a.tenant = b.tenant AND a.account = r.account
  ), judged AS MATERIALIZED (
    SELECT r.*, m.mailbox_id, m.uid_next, m.uid_validity, d.uid AS known_uid,
           CASE
             WHEN r.locked IS NULL THEN
               CASE WHEN (SELECT true FROM mailbox.account x
                          WHERE x.tenant_id = r.tenant AND x.account_id = r.account LIMIT 1)
                    THEN 0 ELSE 4 END
             WHEN d.key IS NOT NULL THEN 2
             WHEN s.delivered_at > now() - interval '24 hours' THEN 2
             WHEN m.mailbox_id IS NULL THEN 5
             WHEN r.is_stored AND (
               SELECT true FROM mailbox.body x
               WHERE x.tenant_id = r.tenant AND x.sha256 = r.sha256 LIMIT 1) IS NULL
               THEN 6
             WHEN r.quota > 0 AND r.used + r.size > r.quota THEN 3
             WHEN r.room < 1 THEN 3
             WHEN row_number() OVER (PARTITION BY r.tenant, r.account, r.message ORDER BY r.n) > 1
               THEN 0
             WHEN r.resend IS NOT NULL AND
                  row_number() OVER (PARTITION BY r.tenant, r.account, r.resend ORDER BY r.n) > 1
               THEN 0
             ELSE 1
           END AS verdict
    FROM asked r
    LEFT JOIN mailbox.mailbox m
      ON m.tenant_id = r.tenant AND m.mailbox_id = r.box AND m.account_id = r.account
    LEFT JOIN mailbox.delivery d
      ON d.tenant_id = r.tenant AND d.account_id = r.locked AND d.key = r.message
    LEFT JOIN mailbox.delivery s
      ON s.tenant_id = r.tenant AND s.account_id = r.locked AND s.key = r.resend
  ), fits AS MATERIALIZED (
    SELECT j.*,
           (j.quota = 0 OR j.used + sum(j.size) OVER (PARTITION BY j.tenant, j.account
                                                      ORDER BY j.n) <= j.quota)
           AND (j.room IS NULL OR row_number() OVER (PARTITION BY j.tenant, j.account
                                                     ORDER BY j.n) <= j.room) AS fit
    FROM judged j WHERE j.verdict = 1
  ), good AS MATERIALIZED (
    SELECT f.*,
           f.uid_next - 1 + row_number() OVER (PARTITION BY f.tenant, f.mailbox_id
                                               ORDER BY f.n) AS uid,
           f.modseq + row_number() OVER (PARTITION BY f.tenant, f.account
                                         ORDER BY f.n) AS new_modseq
    FROM fits f WHERE f.fit
  ), body_refs AS MATERIALIZED (
    SELECT b.tenant, b.sha256, b.size, b.data, g.refs
    FROM (SELECT body, count(*)::int AS refs FROM good GROUP BY body) g
    JOIN bodies b ON b.n = g.body
    ORDER BY b.tenant, b.sha256
  ), new_bodies AS (
    INSERT INTO mailbox.body AS t (tenant_id, sha256, size, refs, data)
    SELECT b.tenant, b.sha256, b.size, b.refs, b.data FROM body_refs b WHERE b.data IS NOT NULL
    ON CONFLICT (tenant_id, sha256)
      DO UPDATE SET refs = t.refs + EXCLUDED.refs, marked_at = NULL
  ), stored_bodies AS (
    UPDATE mailbox.body t SET refs = t.refs + b.refs, marked_at = NULL
    FROM body_refs b
    WHERE b.data IS NULL AND t.tenant_id = b.tenant AND t.sha256 = b.sha256
  ), new_deliveries AS (
    INSERT INTO mailbox.delivery (tenant_id, account_id, mailbox_id, uid, delivered_at, key)
    SELECT g.tenant, g.account, g.mailbox_id, g.uid, now(), g.message FROM good g
    UNION ALL
    SELECT g.tenant, g.account, g.mailbox_id, g.uid, now(), g.resend FROM good g
    WHERE g.resend IS NOT NULL
    ON CONFLICT (tenant_id, account_id, key)  -- a resend key that has expired
      DO UPDATE SET mailbox_id = EXCLUDED.mailbox_id, uid = EXCLUDED.uid,
                    delivered_at = EXCLUDED.delivered_at
  ), new_emails AS (
    INSERT INTO mailbox.email (tenant_id, account_id, email_id, received_at, body_size, entries,
                               structure_version, message_id, sha256, prefix, envelope, structure,
                               home_id, home_uid)
    SELECT g.tenant, g.account, g.new_modseq, g.received, b.size, 1, version, g.message, b.sha256,
           g.prefix, b.envelope, b.structure, g.mailbox_id, g.uid
    FROM good g JOIN bodies b ON b.n = g.body
  ), new_entries AS (
    INSERT INTO mailbox.entry (tenant_id, mailbox_id, uid, modseq, email_id, size, received_at,
                               flags, keywords, moved)
    SELECT g.tenant, g.mailbox_id, g.uid, g.new_modseq, g.new_modseq, g.size, g.received,
           g.flags::int, string_to_array(NULLIF(g.keywords, ''), ' '), false
    FROM good g
  ), mailboxes AS (
    UPDATE mailbox.mailbox m
    SET uid_next = m.uid_next + s.messages, messages = m.messages + s.messages,
        unseen = m.unseen + s.unseen, size = m.size + s.size, highest_modseq = s.modseq
    FROM (SELECT g.tenant, g.mailbox_id, count(*) AS messages,
                 count(*) FILTER (WHERE g.flags & 1 = 0) AS unseen,
                 sum(g.size)::bigint AS size, max(g.new_modseq) AS modseq
          FROM good g GROUP BY 1, 2) s
    WHERE m.tenant_id = s.tenant AND m.mailbox_id = s.mailbox_id
  ), accounts AS (
    UPDATE mailbox.account a
    SET messages = a.messages + s.messages, used_bytes = a.used_bytes + s.size, modseq = s.modseq
    FROM (SELECT g.tenant, g.account, count(*) AS messages, sum(g.size)::bigint AS size,
                 max(g.new_modseq) AS modseq
          FROM good g GROUP BY 1, 2) s
    WHERE a.tenant_id = s.tenant AND a.account_id = s.account
  )
  SELECT j.n, CASE WHEN j.verdict = 1 AND g.uid IS NULL THEN 0 ELSE j.verdict END,
         coalesce(g.uid, j.known_uid), g.new_modseq, j.uid_validity
  FROM judged j LEFT JOIN good g ON g.n = j.n
  ORDER BY j.n;
END $$;
