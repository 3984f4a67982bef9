-- What queue.enqueue does for a group, whatever its size, cost more than its rows: joins of its arrays
-- back to what was inserted, copies of the bodies in sorts and for a trigger that counted messages. The
-- rows are taken from the arrays by position now, and what is returned is matched in order. Counted
-- here, by all replicas, so that the trigger can go.
DROP TRIGGER count_in ON queue.message;
DROP FUNCTION queue.count_in();

-- As before (0121_queue_options.sql).
CREATE OR REPLACE FUNCTION queue.enqueue(
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
#variable_conflict use_column
DECLARE
  has_stored boolean := EXISTS (SELECT FROM unnest(m_sha256) AS s WHERE s IS NOT NULL);
  outcomes int[] := array_fill(1, ARRAY[cardinality(m_id)]);
  known bytea[] := m_id;
  wanted bigint[] := '{}';
  taken bigint[] := '{}';
  fresh bigint[] := '{}';
  n bigint;
  j bigint;
  v_tenant bigint;
  v_sha bytea;
  v_key bytea;
  v_count bigint;
  v_octets bigint;
BEGIN
  IF has_stored THEN
    FOR v_tenant, v_sha IN
      SELECT DISTINCT t, s FROM unnest(m_tenant, m_sha256) AS m(t, s) WHERE s IS NOT NULL ORDER BY t, s
    LOOP
      -- Locked, so that the collector cannot take it.
      PERFORM FROM queue.body WHERE tenant_id = v_tenant AND sha256 = v_sha FOR UPDATE;
      CONTINUE WHEN FOUND;
      FOR n IN 1 .. cardinality(m_id) LOOP
        IF m_tenant[n] = v_tenant AND m_sha256[n] = v_sha THEN outcomes[n] := 2; END IF;
      END LOOP;
    END LOOP;
  END IF;

  -- Always in the same order, because several groups insert at once. Of two with one key the first
  -- counts.
  FOR n IN SELECT m.n FROM unnest(m_tenant, m_key) WITH ORDINALITY AS m(t, k, n) ORDER BY t, k, m.n LOOP
    CONTINUE WHEN outcomes[n] = 2 OR (m_key[n] = v_key AND m_tenant[n] = v_tenant);
    v_tenant := m_tenant[n];
    v_key := m_key[n];
    wanted := wanted || n;
  END LOOP;
  -- What is returned comes in the order of what is asked for, with gaps.
  j := 0;
  FOR v_tenant, v_key IN
    INSERT INTO queue.accepted AS a (tenant_id, key, message_id, expires_at)
      SELECT m_tenant[w.n], m_key[w.n], m_id[w.n], keys_expire_at FROM unnest(wanted) AS w(n)
      ON CONFLICT (tenant_id, key) DO UPDATE
        SET message_id = excluded.message_id, expires_at = excluded.expires_at
        WHERE a.expires_at <= now_at
      RETURNING a.tenant_id, a.key
  LOOP
    LOOP
      j := j + 1;
      n := wanted[j];
      IF n IS NULL THEN RAISE EXCEPTION 'rows were returned in another order'; END IF;
      EXIT WHEN m_key[n] = v_key AND m_tenant[n] = v_tenant;
    END LOOP;
    taken := taken || n;
  END LOOP;
  j := 0;
  FOR v_tenant, v_key IN
    INSERT INTO queue.message (tenant_id, message_id, reverse_path, prefix, inline_body, body_sha256,
        size, received_at, expires_at, body_is_8bit, local_resend_key, first_job_id, last_job_id,
        options, hold_until)
      SELECT m_tenant[w.n], m_id[w.n], m_reverse_path[w.n], m_prefix[w.n], m_inline[w.n],
             m_sha256[w.n], m_size[w.n], m_received[w.n], m_expires[w.n], m_8bit[w.n] <> 0,
             m_local_key[w.n], m_first_job[w.n], m_last_job[w.n], m_options[w.n],
             NULLIF(m_hold[w.n], 'epoch')
      FROM unnest(taken) AS w(n)
      ON CONFLICT DO NOTHING
      RETURNING tenant_id, message_id
  LOOP
    LOOP
      j := j + 1;
      n := taken[j];
      IF n IS NULL THEN RAISE EXCEPTION 'rows were returned in another order'; END IF;
      EXIT WHEN m_id[n] = v_key AND m_tenant[n] = v_tenant;
    END LOOP;
    fresh := fresh || n;
    outcomes[n] := 0;
  END LOOP;
  IF cardinality(fresh) < cardinality(m_id) THEN
    FOR n IN 1 .. cardinality(m_id) LOOP
      CONTINUE WHEN outcomes[n] <> 1;
      SELECT a.message_id INTO v_key FROM queue.accepted a
        WHERE a.tenant_id = m_tenant[n] AND a.key = m_key[n];
      IF FOUND THEN known[n] := v_key; END IF;
    END LOOP;
  END IF;

  INSERT INTO queue.job (tenant_id, job_id, message_id, destination, hash, alone, due_at, attempt,
      leased_until, priority, expires_at)
    SELECT m_tenant[j.n], id, m_id[j.n], d, h, m_first_job[j.n] = m_last_job[j.n],
           coalesce(NULLIF(m_hold[j.n], 'epoch'), now_at), m_claimed[j.n],
           CASE m_claimed[j.n] WHEN 1 THEN lease_end END, m_priority[j.n], NULLIF(ex, m_expires[j.n])
    FROM unnest(j_message, j_id, j_destination, j_hash, j_expires) AS j(n, id, d, h, ex)
    WHERE outcomes[j.n] = 0;
  INSERT INTO queue.recipient (tenant_id, job_id, recipient_id, address, original_address, account_id,
      options)
    SELECT m_tenant[j_message[r.j]], j_id[r.j], id, a, o, acc, op
    FROM unnest(r_job, r_id, r_address, r_original, r_account, r_options) AS r(j, id, a, o, acc, op)
    WHERE outcomes[j_message[r.j]] = 0;
  INSERT INTO queue.event (tenant_id, at, kind, message_id)
    SELECT m_tenant[f.n], now_at, 1, m_id[f.n] FROM unnest(fresh) AS f(n);

  -- `fresh` is in the order of tenants.
  v_count := 0;
  v_octets := 0;
  FOR j IN 1 .. cardinality(fresh) LOOP
    n := fresh[j];
    v_count := v_count + 1;
    v_octets := v_octets + m_size[n];
    IF j = cardinality(fresh) OR m_tenant[fresh[j + 1]] <> m_tenant[n] THEN
      PERFORM queue.count_usage(m_tenant[n], v_count, v_octets);
      v_count := 0;
      v_octets := 0;
    END IF;
  END LOOP;

  IF has_stored THEN
    FOR v_tenant, v_sha, v_count IN
      SELECT t, s, count(*) FROM unnest(m_tenant, m_sha256) WITH ORDINALITY AS m(t, s, n)
      WHERE s IS NOT NULL AND m.n = ANY (fresh) GROUP BY t, s ORDER BY t, s
    LOOP
      UPDATE queue.body SET refs = refs + v_count, marked_at = NULL
        WHERE tenant_id = v_tenant AND sha256 = v_sha;
    END LOOP;
  END IF;
  RETURN QUERY SELECT * FROM unnest(outcomes, known);
END $$;
