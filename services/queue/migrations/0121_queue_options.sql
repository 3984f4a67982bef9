-- What senders asked for with ESMTP parameters. Most ask for nothing: NULL costs a bit a row. The
-- octets are those of EnvelopeOptions and RecipientOptions of queue.proto; what the queue itself
-- goes by has columns of its own.

ALTER TABLE queue.message
  ADD COLUMN options bytea,
  ADD COLUMN hold_until timestamptz;       -- no attempt before (RFC 4865)
ALTER TABLE queue.recipient
  ADD COLUMN options bytea;
ALTER TABLE queue.job
  ADD COLUMN priority smallint NOT NULL DEFAULT 0,  -- -9 to 9 (RFC 6710)
  ADD COLUMN deliver_by_notified boolean NOT NULL DEFAULT false,
  ADD COLUMN expires_at timestamptz,                -- NULL: that of the message
  -- What an operator wants: the next attempt fails for this reason; or goes to these hosts.
  ADD COLUMN bounce_reason text,
  ADD COLUMN route text;
-- A job that an operator holds has a due_at of infinity.
GRANT SELECT (priority) ON queue.job TO posthorn_lookup;

-- Accepts messages with their jobs and recipients. Arrays of one kind (m_, j_, r_) have one length;
-- j_message and r_job are positions, from 1, in the arrays above them. m_hold is the epoch where
-- nothing holds the message; m_claimed is 0 where something does. Answers for each message:
--   outcome 0: queued; 1: accepted before, as `known_id`; 2: no such body.
-- The jobs of a message that is claimed (1) begin their first attempt at once, until `lease_end`.
CREATE FUNCTION queue.enqueue(
  now_at timestamptz, keys_expire_at timestamptz,
  m_tenant bigint[], m_id bytea[], m_key bytea[], m_reverse_path text[], m_prefix bytea[],
  m_inline bytea[], m_sha256 bytea[], m_size bigint[], m_received timestamptz[],
  m_expires timestamptz[], m_8bit bigint[], m_local_key bytea[], m_first_job bigint[],
  m_last_job bigint[],
  j_message bigint[], j_id bigint[], j_destination text[], j_hash bigint[],
  r_job bigint[], r_id bigint[], r_address text[], r_original text[], r_account bigint[],
  m_claimed bigint[], lease_end timestamptz,
  m_options bytea[], m_hold timestamptz[], m_priority bigint[], r_options bytea[],
  j_expires timestamptz[])
RETURNS TABLE (outcome int, known_id bytea)
LANGUAGE plpgsql AS $$
DECLARE
  has_stored boolean := EXISTS (SELECT FROM unnest(m_sha256) AS s WHERE s IS NOT NULL);
  bad bigint[] := '{}';
  fresh bigint[];
  v_tenant bigint;
  v_sha bytea;
  v_count bigint;
BEGIN
  IF has_stored THEN
    FOR v_tenant, v_sha IN
      SELECT DISTINCT t, s FROM unnest(m_tenant, m_sha256) AS m(t, s) WHERE s IS NOT NULL ORDER BY t, s
    LOOP
      -- Locked, so that the collector cannot take it.
      PERFORM FROM queue.body WHERE tenant_id = v_tenant AND sha256 = v_sha FOR UPDATE;
      IF NOT FOUND THEN
        bad := bad || ARRAY(SELECT n FROM unnest(m_tenant, m_sha256) WITH ORDINALITY AS m(t, s, n)
                            WHERE t = v_tenant AND s = v_sha);
      END IF;
    END LOOP;
  END IF;

  WITH wanted AS MATERIALIZED (
    SELECT DISTINCT ON (t, k) t, k, id, n
    FROM unnest(m_tenant, m_key, m_id) WITH ORDINALITY AS m(t, k, id, n)
    WHERE n <> ALL (bad) ORDER BY t, k, n),
  taken AS (
    INSERT INTO queue.accepted AS a (tenant_id, key, message_id, expires_at)
    SELECT t, k, id, keys_expire_at FROM wanted ORDER BY t, k
    ON CONFLICT (tenant_id, key) DO UPDATE
      SET message_id = excluded.message_id, expires_at = excluded.expires_at
      WHERE a.expires_at <= now_at
    RETURNING a.tenant_id, a.key)
  SELECT array_agg(w.n) INTO fresh FROM taken x JOIN wanted w ON w.t = x.tenant_id AND w.k = x.key;

  WITH inserted AS (
    INSERT INTO queue.message (tenant_id, message_id, reverse_path, prefix, inline_body, body_sha256,
      size, received_at, expires_at, body_is_8bit, local_resend_key, first_job_id, last_job_id,
      options, hold_until)
    SELECT t, id, rp, px, b, s, z, rc, ex, e8 <> 0, lk, fj, lj, op, NULLIF(h, 'epoch')
    FROM unnest(m_tenant, m_id, m_reverse_path, m_prefix, m_inline, m_sha256, m_size, m_received,
                m_expires, m_8bit, m_local_key, m_first_job, m_last_job, m_options, m_hold)
         WITH ORDINALITY AS m(t, id, rp, px, b, s, z, rc, ex, e8, lk, fj, lj, op, h, n)
    WHERE n = ANY (fresh) ORDER BY t, id
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, message_id)
  SELECT array_agg(n) INTO fresh FROM (
    SELECT DISTINCT ON (t, id) n
    FROM unnest(m_tenant, m_id) WITH ORDINALITY AS m(t, id, n)
    JOIN inserted i ON i.tenant_id = t AND i.message_id = id
    WHERE n = ANY (fresh) ORDER BY t, id, n) AS first;

  INSERT INTO queue.job (tenant_id, job_id, message_id, destination, hash, alone, due_at, attempt,
      leased_until, priority, expires_at)
    SELECT m_tenant[n], id, m_id[n], d, h, m_first_job[n] = m_last_job[n],
           coalesce(NULLIF(m_hold[n], 'epoch'), now_at), m_claimed[n],
           CASE m_claimed[n] WHEN 1 THEN lease_end END, m_priority[n], NULLIF(ex, m_expires[n])
    FROM unnest(j_message, j_id, j_destination, j_hash, j_expires) AS j(n, id, d, h, ex)
    WHERE n = ANY (fresh);
  INSERT INTO queue.recipient (tenant_id, job_id, recipient_id, address, original_address, account_id,
      options)
    SELECT m_tenant[j_message[j]], j_id[j], id, a, o, acc, op
    FROM unnest(r_job, r_id, r_address, r_original, r_account, r_options) AS r(j, id, a, o, acc, op)
    WHERE j_message[j] = ANY (fresh);
  INSERT INTO queue.event (tenant_id, at, kind, message_id)
    SELECT m_tenant[n], now_at, 1, m_id[n] FROM unnest(fresh) AS n;

  IF has_stored THEN
    FOR v_tenant, v_sha, v_count IN
      SELECT t, s, count(*) FROM unnest(m_tenant, m_sha256) WITH ORDINALITY AS m(t, s, n)
      WHERE s IS NOT NULL AND n = ANY (fresh) GROUP BY t, s ORDER BY t, s
    LOOP
      UPDATE queue.body SET refs = refs + v_count, marked_at = NULL
        WHERE tenant_id = v_tenant AND sha256 = v_sha;
    END LOOP;
  END IF;

  RETURN QUERY
    SELECT CASE WHEN n = ANY (fresh) THEN 0 WHEN n = ANY (bad) THEN 2 ELSE 1 END,
           CASE WHEN n = ANY (fresh) THEN id ELSE coalesce(a.message_id, id) END
    FROM unnest(m_tenant, m_id, m_key) WITH ORDINALITY AS m(t, id, k, n)
    LEFT JOIN LATERAL (
      SELECT x.message_id FROM queue.accepted x WHERE x.tenant_id = t AND x.key = k OFFSET 0) a
      ON NOT n = ANY (coalesce(fresh, '{}'))
    ORDER BY n;
END $$;

-- What replicas of the releases before call: nothing has options.
CREATE OR REPLACE FUNCTION queue.enqueue(
  now_at timestamptz, keys_expire_at timestamptz,
  m_tenant bigint[], m_id bytea[], m_key bytea[], m_reverse_path text[], m_prefix bytea[],
  m_inline bytea[], m_sha256 bytea[], m_size bigint[], m_received timestamptz[],
  m_expires timestamptz[], m_8bit bigint[], m_local_key bytea[], m_first_job bigint[],
  m_last_job bigint[],
  j_message bigint[], j_id bigint[], j_destination text[], j_hash bigint[],
  r_job bigint[], r_id bigint[], r_address text[], r_original text[], r_account bigint[],
  m_claimed bigint[], lease_end timestamptz)
RETURNS TABLE (outcome int, known_id bytea)
LANGUAGE sql AS $$
  SELECT * FROM queue.enqueue(
    now_at, keys_expire_at, m_tenant, m_id, m_key, m_reverse_path, m_prefix, m_inline, m_sha256,
    m_size, m_received, m_expires, m_8bit, m_local_key, m_first_job, m_last_job, j_message, j_id,
    j_destination, j_hash, r_job, r_id, r_address, r_original, r_account,
    m_claimed, lease_end,
    array_fill(NULL::bytea, ARRAY[cardinality(m_id)]),
    array_fill('epoch'::timestamptz, ARRAY[cardinality(m_id)]),
    array_fill(0::bigint, ARRAY[cardinality(m_id)]),
    array_fill(NULL::bytea, ARRAY[cardinality(r_id)]),
    ARRAY(SELECT m_expires[n] FROM unnest(j_message) WITH ORDINALITY AS j(n, place) ORDER BY place))
$$;

CREATE OR REPLACE FUNCTION queue.enqueue(
  now_at timestamptz, keys_expire_at timestamptz,
  m_tenant bigint[], m_id bytea[], m_key bytea[], m_reverse_path text[], m_prefix bytea[],
  m_inline bytea[], m_sha256 bytea[], m_size bigint[], m_received timestamptz[],
  m_expires timestamptz[], m_8bit bigint[], m_local_key bytea[], m_first_job bigint[],
  m_last_job bigint[],
  j_message bigint[], j_id bigint[], j_destination text[], j_hash bigint[],
  r_job bigint[], r_id bigint[], r_address text[], r_original text[], r_account bigint[])
RETURNS TABLE (outcome int, known_id bytea)
LANGUAGE sql AS $$
  SELECT * FROM queue.enqueue(
    now_at, keys_expire_at, m_tenant, m_id, m_key, m_reverse_path, m_prefix, m_inline, m_sha256,
    m_size, m_received, m_expires, m_8bit, m_local_key, m_first_job, m_last_job, j_message, j_id,
    j_destination, j_hash, r_job, r_id, r_address, r_original, r_account,
    array_fill(0::bigint, ARRAY[cardinality(m_id)]), now_at,
    array_fill(NULL::bytea, ARRAY[cardinality(m_id)]),
    array_fill('epoch'::timestamptz, ARRAY[cardinality(m_id)]),
    array_fill(0::bigint, ARRAY[cardinality(m_id)]),
    array_fill(NULL::bytea, ARRAY[cardinality(r_id)]),
    ARRAY(SELECT m_expires[n] FROM unnest(j_message) WITH ORDINALITY AS j(n, place) ORDER BY place))
$$;

-- As before, with the options.
DROP FUNCTION queue.lease(timestamptz, timestamptz, text, bigint[], bigint[]);
CREATE FUNCTION queue.lease(
  now_at timestamptz, lease_end timestamptz, worker_name text, a_tenant bigint[], a_job bigint[])
RETURNS TABLE (
  tenant_id bigint, job_id bigint, verdict int, next_at timestamptz, repeated boolean, attempt int,
  destination text, delay_warning_sent boolean, message_id bytea, reverse_path text, prefix bytea,
  inline_body bytea, body_sha256 bytea, size bigint, received_at timestamptz,
  expires_at timestamptz, body_is_8bit boolean, local_resend_key bytea,
  recipient_ids bigint[], addresses text[], originals text[], accounts bigint[],
  options bytea, hold_until timestamptz, priority int, deliver_by_notified boolean,
  recipient_options bytea[], bounce_reason text, route text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_tenant bigint;
  v_job bigint;
  mine bigint[] := '{}';
BEGIN
  FOR v_tenant, v_job IN SELECT t, id FROM unnest(a_tenant, a_job) AS a(t, id) ORDER BY t, id LOOP
    UPDATE queue.job
      SET attempt = attempt + 1, repeated = leased_until IS NOT NULL, leased_until = lease_end,
          worker = worker_name
      WHERE tenant_id = v_tenant AND job_id = v_job AND due_at < 'infinity'
        AND CASE WHEN leased_until IS NULL THEN due_at <= now_at + interval '1 second'
                 ELSE leased_until <= now_at END;
    IF FOUND THEN mine := mine || v_job; END IF;
  END LOOP;
  RETURN QUERY
    SELECT a.t, a.id,
           CASE WHEN j.job_id IS NULL THEN 0 WHEN NOT a.id = ANY (mine) THEN 2
                WHEN m.message_id IS NULL THEN 0 ELSE 1 END,
           CASE WHEN j.leased_until IS NULL OR j.due_at = 'infinity' THEN j.due_at
                ELSE j.leased_until END,
           coalesce(j.repeated, false), j.attempt, j.destination, j.delay_warning_sent,
           m.message_id, m.reverse_path, m.prefix, m.inline_body, m.body_sha256, m.size,
           m.received_at, coalesce(j.expires_at, m.expires_at), m.body_is_8bit, m.local_resend_key,
           r.ids, r.addresses, r.originals, r.accounts,
           m.options, m.hold_until, j.priority::int, j.deliver_by_notified, r.options,
           j.bounce_reason, j.route
    FROM unnest(a_tenant, a_job) WITH ORDINALITY AS a(t, id, n)
    LEFT JOIN LATERAL (
      SELECT * FROM queue.job x WHERE x.tenant_id = a.t AND x.job_id = a.id OFFSET 0) j ON true
    LEFT JOIN LATERAL (
      SELECT * FROM queue.message x
      WHERE x.tenant_id = a.t AND x.message_id = j.message_id OFFSET 0) m ON a.id = ANY (mine)
    LEFT JOIN LATERAL (
      SELECT array_agg(p.recipient_id::bigint ORDER BY p.recipient_id) AS ids,
             array_agg(p.address ORDER BY p.recipient_id) AS addresses,
             array_agg(p.original_address ORDER BY p.recipient_id) AS originals,
             array_agg(p.account_id ORDER BY p.recipient_id) AS accounts,
             array_agg(p.options ORDER BY p.recipient_id) AS options
      FROM queue.recipient p
      WHERE p.tenant_id = a.t AND p.job_id = a.id AND p.state < 2) r ON a.id = ANY (mine)
    ORDER BY a.n;
END $$;

-- Remembers that the senders of these jobs have been told that the time of DELIVERBY has passed.
CREATE FUNCTION queue.note_deliver_by(a_tenant bigint[], a_job bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  FOR n IN 1 .. cardinality(a_job) LOOP
    UPDATE queue.job j SET deliver_by_notified = true
      WHERE j.tenant_id = a_tenant[n] AND j.job_id = a_job[n];
  END LOOP;
END $$;

DROP FUNCTION lookup.queue_due(int[], int, timestamptz, timestamptz, bigint, bigint, int);
CREATE FUNCTION lookup.queue_due(
  shards int[], shard_count int, horizon timestamptz,
  after_due timestamptz, after_tenant bigint, after_job bigint, max_rows int)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int, due_at timestamptz, next_at timestamptz,
               priority int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
  SELECT j.tenant_id, j.job_id, j.hash, j.due_at, greatest(j.due_at, j.leased_until),
         j.priority::int
  FROM queue.job j
  WHERE j.due_at <= horizon AND (j.due_at, j.tenant_id, j.job_id) > (after_due, after_tenant, after_job)
    AND j.hash % shard_count = ANY (shards)
  ORDER BY j.due_at, j.tenant_id, j.job_id
  LIMIT max_rows
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  f := 'lookup.queue_due(int[],int,timestamptz,timestamptz,bigint,bigint,int)'::regprocedure;
  EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p
           WHERE p.pronamespace = 'queue'::regnamespace OR p.oid = f LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
