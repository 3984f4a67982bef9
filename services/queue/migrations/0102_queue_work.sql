-- One call does the work of a whole group. They run as the caller: row-level security applies, for
-- the tenants in app.t.
--
-- Existing rows are read and written one by one by their primary key, in the order of the keys, so
-- that groups don't deadlock. Joins of these tables with the arrays of a group would be one
-- statement less, but PostgreSQL plans them by the size the tables had when the plan was made:
-- often none. The plan then reads all rows of the tenants, dead ones too, and a busy queue slows
-- down tenfold until the next vacuum (tried). A primary key leaves no choice. Where an array is
-- joined for reading, LATERAL with OFFSET 0 leaves none either.

-- Accepts messages with their jobs and recipients. Arrays of one kind (m_, j_, r_) have one length;
-- j_message and r_job are positions, from 1, in the arrays above them. Answers for each message:
--   outcome 0: queued; 1: accepted before, as `known_id`; 2: no such body.
CREATE FUNCTION queue.enqueue(
  now_at timestamptz, keys_expire_at timestamptz,
  m_tenant bigint[], m_id bytea[], m_key bytea[], m_reverse_path text[], m_prefix bytea[],
  m_inline bytea[], m_sha256 bytea[], m_size bigint[], m_received timestamptz[],
  m_expires timestamptz[], m_8bit bigint[], m_local_key bytea[], m_first_job bigint[],
  m_last_job bigint[],
  j_message bigint[], j_id bigint[], j_destination text[], j_hash bigint[],
  r_job bigint[], r_id bigint[], r_address text[], r_original text[], r_account bigint[])
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
      size, received_at, expires_at, body_is_8bit, local_resend_key, first_job_id, last_job_id)
    SELECT t, id, rp, px, b, s, z, rc, ex, e8 <> 0, lk, fj, lj
    FROM unnest(m_tenant, m_id, m_reverse_path, m_prefix, m_inline, m_sha256, m_size, m_received,
                m_expires, m_8bit, m_local_key, m_first_job, m_last_job) WITH ORDINALITY
         AS m(t, id, rp, px, b, s, z, rc, ex, e8, lk, fj, lj, n)
    WHERE n = ANY (fresh) ORDER BY t, id
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, message_id)
  SELECT array_agg(n) INTO fresh FROM (
    SELECT DISTINCT ON (t, id) n
    FROM unnest(m_tenant, m_id) WITH ORDINALITY AS m(t, id, n)
    JOIN inserted i ON i.tenant_id = t AND i.message_id = id
    WHERE n = ANY (fresh) ORDER BY t, id, n) AS first;

  INSERT INTO queue.job (tenant_id, job_id, message_id, destination, hash, alone, due_at)
    SELECT m_tenant[n], id, m_id[n], d, h, m_first_job[n] = m_last_job[n], now_at
    FROM unnest(j_message, j_id, j_destination, j_hash) AS j(n, id, d, h) WHERE n = ANY (fresh);
  INSERT INTO queue.recipient (tenant_id, job_id, recipient_id, address, original_address, account_id)
    SELECT m_tenant[j_message[j]], j_id[j], id, a, o, acc
    FROM unnest(r_job, r_id, r_address, r_original, r_account) AS r(j, id, a, o, acc)
    WHERE j_message[j] = ANY (fresh);

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
  v_tenant bigint;
  v_job bigint;
  mine bigint[] := '{}';
BEGIN
  FOR v_tenant, v_job IN SELECT t, id FROM unnest(a_tenant, a_job) AS a(t, id) ORDER BY t, id LOOP
    UPDATE queue.job
      SET attempt = attempt + 1, repeated = leased_until IS NOT NULL, leased_until = lease_end,
          worker = worker_name
      WHERE tenant_id = v_tenant AND job_id = v_job
        AND CASE WHEN leased_until IS NULL THEN due_at <= now_at + interval '1 second'
                 ELSE leased_until <= now_at END;
    IF FOUND THEN mine := mine || v_job; END IF;
  END LOOP;
  RETURN QUERY
    SELECT a.t, a.id,
           CASE WHEN j.job_id IS NULL THEN 0 WHEN NOT a.id = ANY (mine) THEN 2
                WHEN m.message_id IS NULL THEN 0 ELSE 1 END,
           CASE WHEN j.leased_until IS NULL THEN j.due_at ELSE j.leased_until END,
           coalesce(j.repeated, false), j.attempt, j.destination, j.delay_warning_sent,
           m.message_id, m.reverse_path, m.prefix, m.inline_body, m.body_sha256, m.size,
           m.received_at, m.expires_at, m.body_is_8bit, m.local_resend_key,
           r.ids, r.addresses, r.originals, r.accounts
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
DECLARE
  v_tenant bigint;
  v_job bigint;
  v_attempt bigint;
BEGIN
  FOR v_tenant, v_job, v_attempt IN
    SELECT t, id, n FROM unnest(a_tenant, a_job, a_attempt) AS a(t, id, n) ORDER BY t, id
  LOOP
    UPDATE queue.job SET leased_until = greatest(leased_until, lease_end)
      WHERE tenant_id = v_tenant AND job_id = v_job AND attempt = v_attempt
        AND leased_until IS NOT NULL;
    IF FOUND THEN RETURN NEXT v_job; END IF;
  END LOOP;
END $$;

-- Messages that are gone held these bodies once each (NULL: none).
CREATE FUNCTION queue.release_bodies(now_at timestamptz, a_tenant bigint[], a_sha256 bytea[])
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_tenant bigint;
  v_sha bytea;
  v_count bigint;
BEGIN
  FOR v_tenant, v_sha, v_count IN
    SELECT t, s, count(*) FROM unnest(a_tenant, a_sha256) AS u(t, s)
    WHERE s IS NOT NULL GROUP BY t, s ORDER BY t, s
  LOOP
    UPDATE queue.body SET refs = refs - v_count,
        marked_at = CASE WHEN refs - v_count <= 0 THEN now_at END
      WHERE tenant_id = v_tenant AND sha256 = v_sha;
  END LOOP;
END $$;

-- Removes those of these messages (of several jobs) that have no job left, with their recipients and
-- their hold on the body. Their rows are locked: two reports that finish the last two jobs at the
-- same time must not both see the other's.
CREATE FUNCTION queue.remove_finished(now_at timestamptz, a_tenant bigint[], a_message bytea[])
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_tenant bigint;
  v_id bytea;
  v_first bigint;
  v_last bigint;
  v_sha bytea;
  owners bigint[] := '{}';
  shas bytea[] := '{}';
BEGIN
  FOR v_tenant, v_id IN
    SELECT DISTINCT t, id FROM unnest(a_tenant, a_message) AS a(t, id) ORDER BY t, id
  LOOP
    SELECT first_job_id, last_job_id, body_sha256 INTO v_first, v_last, v_sha
      FROM queue.message WHERE tenant_id = v_tenant AND message_id = v_id FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    PERFORM FROM queue.job
      WHERE tenant_id = v_tenant AND job_id >= v_first AND job_id <= v_last LIMIT 1;
    CONTINUE WHEN FOUND;
    DELETE FROM queue.message WHERE tenant_id = v_tenant AND message_id = v_id;
    DELETE FROM queue.recipient
      WHERE tenant_id = v_tenant AND job_id >= v_first AND job_id <= v_last;
    IF v_sha IS NOT NULL THEN
      owners := owners || v_tenant;
      shas := shas || v_sha;
    END IF;
  END LOOP;
  IF owners <> '{}' THEN PERFORM queue.release_bodies(now_at, owners, shas); END IF;
END $$;

-- Records what became of attempts. The recipients of report n are p_count[n] elements of the r_
-- arrays from p_first[n] on; no job may appear twice. r_outcome is the new state of the recipient.
-- Answers for each report:
--   outcome 0: nothing left, the job is gone; 1: waits until its p_due; 2: outdated, the job goes on
--   under another attempt; 3: unknown job.
--   accepted: the report was that of the current attempt.
CREATE FUNCTION queue.report(
  now_at timestamptz,
  p_tenant bigint[], p_job bigint[], p_attempt bigint[], p_due timestamptz[], p_warned bigint[],
  p_first bigint[], p_count bigint[],
  r_id bigint[], r_outcome bigint[], r_host text[], r_code bigint[], r_status text[], r_text text[])
RETURNS TABLE (outcome int, accepted boolean, late_deliveries int)
LANGUAGE plpgsql AS $$
DECLARE
  outcomes int[] := array_fill(3, ARRAY[cardinality(p_job)]);
  currents boolean[] := array_fill(false, ARRAY[cardinality(p_job)]);
  lates int[] := array_fill(0, ARRAY[cardinality(p_job)]);
  n int;
  f int;
  l int;
  v_tenant bigint;
  v_job bigint;
  v_message bytea;
  v_alone boolean;
  v_current boolean;
  v_changed int;
  v_sha bytea;
  v_finished boolean;
  done_tenants bigint[] := '{}';
  done_messages bytea[] := '{}';
  owners bigint[] := '{}';
  shas bytea[] := '{}';
BEGIN
  FOR n IN SELECT p.n FROM unnest(p_tenant, p_job) WITH ORDINALITY AS p(t, id, n) ORDER BY t, id LOOP
    v_tenant := p_tenant[n];
    v_job := p_job[n];
    f := p_first[n];
    l := f + p_count[n] - 1;
    SELECT j.message_id, j.alone, j.attempt = p_attempt[n] AND j.leased_until IS NOT NULL
      INTO v_message, v_alone, v_current
      FROM queue.job j WHERE j.tenant_id = v_tenant AND j.job_id = v_job FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    currents[n] := v_current;

    -- Are all recipients that were pending in their last state now?
    PERFORM FROM queue.recipient r
      WHERE r.tenant_id = v_tenant AND r.job_id = v_job AND r.state < 2 AND NOT EXISTS (
        SELECT FROM unnest(r_id[f:l], r_outcome[f:l]) AS x(id, o)
        WHERE x.id = r.recipient_id AND (x.o = 2 OR (x.o = 3 AND v_current)))
      LIMIT 1;
    v_finished := NOT FOUND;

    IF v_finished AND v_current AND v_alone THEN
      -- Nearly all: nothing is left of the message.
      DELETE FROM queue.recipient r WHERE r.tenant_id = v_tenant AND r.job_id = v_job;
      DELETE FROM queue.message m WHERE m.tenant_id = v_tenant AND m.message_id = v_message
        RETURNING m.body_sha256 INTO v_sha;
      IF v_sha IS NOT NULL THEN
        owners := owners || v_tenant;
        shas := shas || v_sha;
      END IF;
    ELSIF f <= l THEN
      UPDATE queue.recipient r
        SET state = x.o, remote_host = x.h, smtp_code = x.c, enhanced_status = x.s, reply = x.txt
        FROM unnest(r_id[f:l], r_outcome[f:l], r_host[f:l], r_code[f:l], r_status[f:l], r_text[f:l])
             AS x(id, o, h, c, s, txt)
        WHERE r.tenant_id = v_tenant AND r.job_id = v_job AND r.recipient_id = x.id
          AND r.state < 2 AND (v_current OR x.o = 2);
      GET DIAGNOSTICS v_changed = ROW_COUNT;
      IF NOT v_current THEN lates[n] := v_changed; END IF;
    END IF;

    IF v_finished THEN
      DELETE FROM queue.job j WHERE j.tenant_id = v_tenant AND j.job_id = v_job;
      outcomes[n] := 0;
      IF NOT (v_current AND v_alone) THEN
        done_tenants := done_tenants || v_tenant;
        done_messages := done_messages || v_message;
      END IF;
    ELSIF v_current THEN
      UPDATE queue.job j
        SET leased_until = NULL, repeated = false, worker = NULL, due_at = p_due[n],
            delay_warning_sent = j.delay_warning_sent OR p_warned[n] <> 0
        WHERE j.tenant_id = v_tenant AND j.job_id = v_job;
      outcomes[n] := 1;
    ELSE
      outcomes[n] := 2;
    END IF;
  END LOOP;
  IF done_tenants <> '{}' THEN PERFORM queue.remove_finished(now_at, done_tenants, done_messages); END IF;
  IF owners <> '{}' THEN PERFORM queue.release_bodies(now_at, owners, shas); END IF;
  RETURN QUERY SELECT * FROM unnest(outcomes, currents, lates);
END $$;

-- Makes the jobs of these messages due now that wait for later (of this destination, if not NULL).
CREATE FUNCTION queue.retry(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_tenant bigint;
  v_id bytea;
  v_first bigint;
  v_last bigint;
BEGIN
  FOR v_tenant, v_id IN SELECT t, id FROM unnest(a_tenant, a_message) AS a(t, id) ORDER BY t, id LOOP
    SELECT m.first_job_id, m.last_job_id INTO v_first, v_last
      FROM queue.message m WHERE m.tenant_id = v_tenant AND m.message_id = v_id;
    CONTINUE WHEN NOT FOUND;
    RETURN QUERY
      UPDATE queue.job j SET due_at = now_at
      WHERE j.tenant_id = v_tenant AND j.job_id >= v_first AND j.job_id <= v_last
        AND j.leased_until IS NULL AND j.due_at > now_at
        AND (only_destination IS NULL OR j.destination = only_destination)
      RETURNING j.tenant_id, j.job_id, j.hash;
  END LOOP;
END $$;

-- Removes pending recipients, and what is then finished, of these messages (and this destination,
-- if not NULL). Answers the jobs that are gone, with the number of recipients each lost.
CREATE FUNCTION queue.cancel(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int, recipients int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_tenant bigint;
  v_id bytea;
  v_first bigint;
  v_last bigint;
BEGIN
  FOR v_tenant, v_id IN SELECT t, id FROM unnest(a_tenant, a_message) AS a(t, id) ORDER BY t, id LOOP
    SELECT m.first_job_id, m.last_job_id INTO v_first, v_last
      FROM queue.message m WHERE m.tenant_id = v_tenant AND m.message_id = v_id;
    CONTINUE WHEN NOT FOUND;
    FOR tenant_id, job_id, hash IN
      SELECT j.tenant_id, j.job_id, j.hash FROM queue.job j
      WHERE j.tenant_id = v_tenant AND j.job_id >= v_first AND j.job_id <= v_last
        AND (only_destination IS NULL OR j.destination = only_destination)
      ORDER BY j.job_id FOR UPDATE
    LOOP
      UPDATE queue.recipient r SET state = 4
        WHERE r.tenant_id = cancel.tenant_id AND r.job_id = cancel.job_id AND r.state < 2;
      GET DIAGNOSTICS recipients = ROW_COUNT;
      DELETE FROM queue.job j
        WHERE j.tenant_id = cancel.tenant_id AND j.job_id = cancel.job_id;
      RETURN NEXT;
    END LOOP;
  END LOOP;
  PERFORM queue.remove_finished(now_at, a_tenant, a_message);
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
