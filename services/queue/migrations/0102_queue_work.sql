-- One call does the work of a whole group: what is to be locked is locked first, in the order of
-- the keys, and each statement after that sees what the locks protect. They run as the caller: row
-- level security applies, for the tenants in app.t.

-- Accepts messages with their jobs and recipients. Arrays of one kind (m_, j_, r_) have one length;
-- j_message and r_job are positions, from 1, in the arrays above them. Answers for each message:
--   outcome 0: queued; 1: accepted before, as `known_id`; 2: no such body.
CREATE FUNCTION queue.enqueue(
  now_at timestamptz, keys_expire_at timestamptz,
  m_tenant bigint[], m_id bytea[], m_key bytea[], m_reverse_path text[], m_prefix bytea[],
  m_inline bytea[], m_sha256 bytea[], m_size bigint[], m_received timestamptz[],
  m_expires timestamptz[], m_8bit bigint[], m_local_key bytea[], m_first_job bigint[], m_job_count bigint[],
  j_message bigint[], j_id bigint[], j_destination text[], j_hash bigint[],
  r_job bigint[], r_id bigint[], r_address text[], r_original text[], r_account bigint[])
RETURNS TABLE (outcome int, known_id bytea)
LANGUAGE plpgsql AS $$
DECLARE
  has_stored boolean := EXISTS (SELECT FROM unnest(m_sha256) AS s WHERE s IS NOT NULL);
  bad bigint[] := '{}';
  fresh bigint[];
BEGIN
  IF has_stored THEN
    -- Locked, so that the collector cannot take them.
    PERFORM FROM queue.body b
      WHERE (b.tenant_id, b.sha256) IN
        (SELECT t, s FROM unnest(m_tenant, m_sha256) AS m(t, s) WHERE s IS NOT NULL)
      ORDER BY b.tenant_id, b.sha256 FOR UPDATE;
    bad := ARRAY(SELECT n FROM unnest(m_tenant, m_sha256) WITH ORDINALITY AS m(t, s, n)
                 WHERE s IS NOT NULL AND NOT EXISTS
                   (SELECT FROM queue.body b WHERE b.tenant_id = t AND b.sha256 = s));
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
      size, received_at, expires_at, body_is_8bit, local_resend_key, first_job_id, job_count)
    SELECT t, id, rp, px, b, s, z, rc, ex, e8 <> 0, lk, fj, jc
    FROM unnest(m_tenant, m_id, m_reverse_path, m_prefix, m_inline, m_sha256, m_size, m_received,
                m_expires, m_8bit, m_local_key, m_first_job, m_job_count) WITH ORDINALITY
         AS m(t, id, rp, px, b, s, z, rc, ex, e8, lk, fj, jc, n)
    WHERE n = ANY (fresh)
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, message_id)
  SELECT array_agg(n) INTO fresh FROM (
    SELECT DISTINCT ON (t, id) n
    FROM unnest(m_tenant, m_id) WITH ORDINALITY AS m(t, id, n)
    JOIN inserted i ON i.tenant_id = t AND i.message_id = id
    WHERE n = ANY (fresh) ORDER BY t, id, n) AS first;

  INSERT INTO queue.job (tenant_id, job_id, message_id, destination, hash, due_at)
    SELECT m_tenant[n], id, m_id[n], d, h, now_at
    FROM unnest(j_message, j_id, j_destination, j_hash) AS j(n, id, d, h) WHERE n = ANY (fresh);
  INSERT INTO queue.recipient (tenant_id, job_id, recipient_id, address, original_address, account_id)
    SELECT m_tenant[j_message[j]], j_id[j], id, a, o, acc
    FROM unnest(r_job, r_id, r_address, r_original, r_account) AS r(j, id, a, o, acc)
    WHERE j_message[j] = ANY (fresh);

  IF has_stored THEN
    UPDATE queue.body b SET refs = b.refs + c.added, marked_at = NULL
      FROM (SELECT t, s, count(*) AS added
            FROM unnest(m_tenant, m_sha256) WITH ORDINALITY AS m(t, s, n)
            WHERE s IS NOT NULL AND n = ANY (fresh) GROUP BY t, s) c
      WHERE b.tenant_id = c.t AND b.sha256 = c.s;
  END IF;

  RETURN QUERY
    SELECT CASE WHEN n = ANY (fresh) THEN 0 WHEN n = ANY (bad) THEN 2 ELSE 1 END,
           CASE WHEN n = ANY (fresh) THEN id ELSE coalesce(a.message_id, id) END
    FROM unnest(m_tenant, m_id, m_key) WITH ORDINALITY AS m(t, id, k, n)
    LEFT JOIN queue.accepted a ON a.tenant_id = t AND a.key = k AND NOT n = ANY (coalesce(fresh, '{}'))
    ORDER BY n;
END $$;

-- Starts an attempt of each of these jobs that is due, until `lease_end`. One row for each that was
-- asked for, in that order: verdict 0: gone; 1: leased, with its content; 2: not due before next_at.
-- repeated: the attempt before was never reported.
CREATE FUNCTION queue.lease(
  now_at timestamptz, lease_end timestamptz, worker_name text, a_tenant bigint[], a_job bigint[])
RETURNS TABLE (
  tenant_id bigint, job_id bigint, verdict int, next_at timestamptz, repeated boolean, attempt int,
  destination text, delay_warning_sent boolean, message_id bytea, reverse_path text, prefix bytea,
  inline_body bytea, body_sha256 bytea, size bigint, received_at timestamptz,
  expires_at timestamptz, body_is_8bit boolean, local_resend_key bytea,
  recipient_ids bigint[], addresses text[], originals text[], accounts bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  mine bigint[];
  again bigint[];
BEGIN
  PERFORM FROM unnest(a_tenant, a_job) AS a(t, id)
    JOIN queue.job j ON j.tenant_id = a.t AND j.job_id = a.id
    ORDER BY j.tenant_id, j.job_id FOR UPDATE OF j;
  WITH started AS (
    UPDATE queue.job j
      SET attempt = j.attempt + 1, leased_until = lease_end, worker = worker_name
      FROM (SELECT o.tenant_id AS t, o.job_id AS id, o.leased_until IS NOT NULL AS again
            FROM unnest(a_tenant, a_job) AS a(t, id)
            JOIN queue.job o ON o.tenant_id = a.t AND o.job_id = a.id
            WHERE CASE WHEN o.leased_until IS NULL THEN o.due_at <= now_at + interval '1 second'
                       ELSE o.leased_until <= now_at END) AS due
      WHERE j.tenant_id = due.t AND j.job_id = due.id
      RETURNING j.job_id, due.again)
  SELECT array_agg(s.job_id), array_agg(s.job_id) FILTER (WHERE s.again) INTO mine, again
  FROM started s;
  RETURN QUERY
    SELECT a.t, a.id,
           CASE WHEN j.job_id IS NULL THEN 0
                WHEN NOT a.id = ANY (coalesce(mine, '{}')) THEN 2
                WHEN m.message_id IS NULL THEN 0 ELSE 1 END,
           CASE WHEN j.leased_until IS NULL THEN j.due_at ELSE j.leased_until END,
           coalesce(a.id = ANY (again), false), j.attempt, j.destination, j.delay_warning_sent,
           m.message_id, m.reverse_path, m.prefix, m.inline_body, m.body_sha256, m.size,
           m.received_at, m.expires_at, m.body_is_8bit, m.local_resend_key,
           r.ids, r.addresses, r.originals, r.accounts
    FROM unnest(a_tenant, a_job) WITH ORDINALITY AS a(t, id, n)
    LEFT JOIN queue.job j ON j.tenant_id = a.t AND j.job_id = a.id
    LEFT JOIN queue.message m ON m.tenant_id = j.tenant_id AND m.message_id = j.message_id
      AND a.id = ANY (mine)
    LEFT JOIN LATERAL (
      SELECT array_agg(p.recipient_id::bigint ORDER BY p.recipient_id) AS ids,
             array_agg(p.address ORDER BY p.recipient_id) AS addresses,
             array_agg(p.original_address ORDER BY p.recipient_id) AS originals,
             array_agg(p.account_id ORDER BY p.recipient_id) AS accounts
      FROM queue.recipient p
      WHERE p.tenant_id = a.t AND p.job_id = a.id AND p.state < 2) r ON a.id = ANY (mine)
    ORDER BY a.n;
END $$;

-- Extends the leases that are still held under these attempts; answers their jobs.
CREATE FUNCTION queue.heartbeat(
  lease_end timestamptz, a_tenant bigint[], a_job bigint[], a_attempt bigint[])
RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM unnest(a_tenant, a_job) AS a(t, id)
    JOIN queue.job j ON j.tenant_id = a.t AND j.job_id = a.id
    ORDER BY j.tenant_id, j.job_id FOR UPDATE OF j;
  RETURN QUERY
    UPDATE queue.job j SET leased_until = greatest(j.leased_until, lease_end)
    FROM unnest(a_tenant, a_job, a_attempt) AS a(t, id, n)
    WHERE j.tenant_id = a.t AND j.job_id = a.id AND j.attempt = a.n AND j.leased_until IS NOT NULL
    RETURNING j.job_id;
END $$;

-- Removes those of these messages that have no job left, with their recipients and their hold on
-- the body. The rows of messages with several jobs are locked first: two reports that finish the
-- last two jobs at the same time must not both see the other's.
CREATE FUNCTION queue.remove_finished(now_at timestamptz, a_tenant bigint[], a_message bytea[])
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  shas bytea[];
  owners bigint[];
BEGIN
  PERFORM FROM unnest(a_tenant, a_message) AS a(t, id)
    JOIN queue.message m ON m.tenant_id = a.t AND m.message_id = a.id
    WHERE m.job_count > 1 ORDER BY m.tenant_id, m.message_id FOR UPDATE OF m;
  WITH gone AS (
    DELETE FROM queue.message m
      USING (SELECT DISTINCT t, id FROM unnest(a_tenant, a_message) AS u(t, id)) AS a
      WHERE m.tenant_id = a.t AND m.message_id = a.id
        AND NOT EXISTS (SELECT FROM queue.job j WHERE j.tenant_id = m.tenant_id
                        AND j.job_id >= m.first_job_id AND j.job_id < m.first_job_id + m.job_count)
      RETURNING m.tenant_id, m.first_job_id, m.job_count, m.body_sha256),
  removed AS (
    DELETE FROM queue.recipient r USING gone g
      WHERE r.tenant_id = g.tenant_id AND r.job_id >= g.first_job_id
        AND r.job_id < g.first_job_id + g.job_count)
  SELECT array_agg(g.tenant_id), array_agg(g.body_sha256) INTO owners, shas
  FROM gone g WHERE g.body_sha256 IS NOT NULL;
  IF owners IS NOT NULL THEN
    PERFORM FROM queue.body b
      WHERE (b.tenant_id, b.sha256) IN (SELECT * FROM unnest(owners, shas))
      ORDER BY b.tenant_id, b.sha256 FOR UPDATE;
    UPDATE queue.body b SET refs = b.refs - d.dropped,
        marked_at = CASE WHEN b.refs - d.dropped <= 0 THEN now_at END
      FROM (SELECT t, s, count(*) AS dropped FROM unnest(owners, shas) AS u(t, s) GROUP BY t, s) d
      WHERE b.tenant_id = d.t AND b.sha256 = d.s;
  END IF;
END $$;

-- Records what became of attempts. r_report is a position, from 1, in the p_ arrays; no job may
-- appear twice. r_outcome is the new state of the recipient. Answers for each report:
--   outcome 0: nothing left, the job is gone; 1: waits until its p_due; 2: outdated, the job goes on
--   under another attempt; 3: unknown job.
--   accepted: the report was that of the current attempt.
CREATE FUNCTION queue.report(
  now_at timestamptz,
  p_tenant bigint[], p_job bigint[], p_attempt bigint[], p_due timestamptz[], p_warned bigint[],
  r_report bigint[], r_id bigint[], r_outcome bigint[], r_host text[], r_code bigint[],
  r_status text[], r_text text[])
RETURNS TABLE (outcome int, accepted boolean, late_deliveries int)
LANGUAGE plpgsql AS $$
DECLARE
  known bigint[];
  current bigint[];
  finished bigint[];
  late bigint[];
  done_tenants bigint[];
  done_messages bytea[];
BEGIN
  PERFORM FROM unnest(p_tenant, p_job) AS p(t, id)
    JOIN queue.job j ON j.tenant_id = p.t AND j.job_id = p.id
    ORDER BY j.tenant_id, j.job_id FOR UPDATE OF j;
  SELECT array_agg(p.n),
         array_agg(p.n) FILTER (WHERE j.attempt = p.att AND j.leased_until IS NOT NULL)
    INTO known, current
    FROM unnest(p_tenant, p_job, p_attempt) WITH ORDINALITY AS p(t, id, att, n)
    JOIN queue.job j ON j.tenant_id = p.t AND j.job_id = p.id;

  WITH changed AS (
    UPDATE queue.recipient r
      SET state = x.o, remote_host = x.h, smtp_code = x.c, enhanced_status = x.s, reply = x.txt
      FROM unnest(r_report, r_id, r_outcome, r_host, r_code, r_status, r_text)
           AS x(n, id, o, h, c, s, txt)
      WHERE r.tenant_id = p_tenant[x.n] AND r.job_id = p_job[x.n] AND r.recipient_id = x.id
        AND r.state < 2 AND (x.n = ANY (current) OR (x.o = 2 AND x.n = ANY (known)))
      RETURNING x.n, x.o)
  SELECT array_agg(c.n) FILTER (WHERE c.o = 2 AND NOT c.n = ANY (coalesce(current, '{}')))
    INTO late FROM changed c;

  WITH gone AS (
    DELETE FROM queue.job j
      USING unnest(p_tenant, p_job) WITH ORDINALITY AS p(t, id, n)
      WHERE j.tenant_id = p.t AND j.job_id = p.id AND p.n = ANY (known)
        AND NOT EXISTS (SELECT FROM queue.recipient r
                        WHERE r.tenant_id = j.tenant_id AND r.job_id = j.job_id AND r.state < 2)
      RETURNING p.n, j.tenant_id, j.message_id)
  SELECT array_agg(g.n), array_agg(g.tenant_id), array_agg(g.message_id)
    INTO finished, done_tenants, done_messages FROM gone g;

  UPDATE queue.job j
    SET leased_until = NULL, worker = NULL, due_at = p.due,
        delay_warning_sent = j.delay_warning_sent OR p.w <> 0
    FROM unnest(p_tenant, p_job, p_due, p_warned) WITH ORDINALITY AS p(t, id, due, w, n)
    WHERE j.tenant_id = p.t AND j.job_id = p.id AND p.n = ANY (current);

  IF done_tenants IS NOT NULL THEN
    PERFORM queue.remove_finished(now_at, done_tenants, done_messages);
  END IF;

  RETURN QUERY
    SELECT CASE WHEN n = ANY (finished) THEN 0 WHEN n = ANY (current) THEN 1
                WHEN n = ANY (known) THEN 2 ELSE 3 END,
           coalesce(n = ANY (current), false),
           (SELECT count(*)::int FROM unnest(late) AS l WHERE l = n)
    FROM unnest(p_job) WITH ORDINALITY AS p(id, n) ORDER BY n;
END $$;

-- Removes pending recipients, and what is then finished, of these messages (and this destination,
-- if not NULL). Answers the jobs that are gone, with the number of recipients each lost.
CREATE FUNCTION queue.cancel(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int, recipients int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  t_ids bigint[];
  j_ids bigint[];
  hashes int[];
  counts int[];
BEGIN
  SELECT array_agg(l.tenant_id), array_agg(l.job_id), array_agg(l.hash) INTO t_ids, j_ids, hashes
  FROM (SELECT j.tenant_id, j.job_id, j.hash
        FROM unnest(a_tenant, a_message) AS a(t, id)
        JOIN queue.message m ON m.tenant_id = a.t AND m.message_id = a.id
        JOIN queue.job j ON j.tenant_id = m.tenant_id AND j.job_id >= m.first_job_id
          AND j.job_id < m.first_job_id + m.job_count
        WHERE only_destination IS NULL OR j.destination = only_destination
        ORDER BY j.tenant_id, j.job_id FOR UPDATE OF j) AS l;
  IF t_ids IS NULL THEN RETURN; END IF;
  WITH dropped AS (
    UPDATE queue.recipient r SET state = 4
      FROM unnest(t_ids, j_ids) AS j(t, id)
      WHERE r.tenant_id = j.t AND r.job_id = j.id AND r.state < 2
      RETURNING r.job_id)
  SELECT array_agg(coalesce(d.lost, 0) ORDER BY j.n) INTO counts
    FROM unnest(j_ids) WITH ORDINALITY AS j(id, n)
    LEFT JOIN (SELECT x.job_id, count(*)::int AS lost FROM dropped x GROUP BY x.job_id) d
      ON d.job_id = j.id;
  DELETE FROM queue.job j USING unnest(t_ids, j_ids) AS x(t, id)
    WHERE j.tenant_id = x.t AND j.job_id = x.id;
  PERFORM queue.remove_finished(now_at, a_tenant, a_message);
  RETURN QUERY SELECT * FROM unnest(t_ids, j_ids, hashes, counts);
END $$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
