-- Jobs that a worker waits for are leased as they are stored: one transaction less a message, and no
-- way over the schedule.

-- Accepts messages with their jobs and recipients. Arrays of one kind (m_, j_, r_) have one length;
-- j_message and r_job are positions, from 1, in the arrays above them. Answers for each message:
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
  m_claimed bigint[], lease_end timestamptz)
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

  INSERT INTO queue.job (tenant_id, job_id, message_id, destination, hash, alone, due_at, attempt,
      leased_until)
    SELECT m_tenant[n], id, m_id[n], d, h, m_first_job[n] = m_last_job[n], now_at, m_claimed[n],
           CASE m_claimed[n] WHEN 1 THEN lease_end END
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

-- As before: nothing is claimed.
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
    array_fill(0::bigint, ARRAY[cardinality(m_id)]), now_at)
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
