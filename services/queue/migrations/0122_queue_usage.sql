-- How much waits, by tenant, for the limits on it. Counted in the transaction of the change; each
-- backend adds to a row of its own, since one row a tenant would line up all groups behind it.

CREATE TABLE queue.usage (
  tenant_id bigint NOT NULL,
  slot int NOT NULL,                 -- backend number modulo 64
  messages bigint NOT NULL,          -- the sum over the slots counts: one alone may be negative
  octets bigint NOT NULL,            -- of their bodies
  PRIMARY KEY (tenant_id, slot)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
SELECT posthorn.tenant_table('queue.usage', 'posthorn_queue');
GRANT SELECT ON queue.usage TO posthorn_lookup;
INSERT INTO queue.usage
  SELECT tenant_id, 0, count(*), sum(size) FROM queue.message GROUP BY tenant_id;

CREATE FUNCTION queue.count_usage(a_tenant bigint, more_messages bigint, more_octets bigint)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE queue.usage u SET messages = u.messages + more_messages, octets = u.octets + more_octets
    WHERE u.tenant_id = a_tenant AND u.slot = pg_backend_pid() % 64;
  IF FOUND THEN RETURN; END IF;
  INSERT INTO queue.usage AS u (tenant_id, slot, messages, octets)
    VALUES (a_tenant, pg_backend_pid() % 64, more_messages, more_octets)
    ON CONFLICT (tenant_id, slot) DO UPDATE
      SET messages = u.messages + excluded.messages, octets = u.octets + excluded.octets;
END $$;

-- Messages of these sizes are gone.
CREATE FUNCTION queue.count_out(a_tenant bigint[], a_size bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM queue.count_usage(g.t, g.messages, g.octets)
    FROM (SELECT t, -count(*) AS messages, -sum(z)::bigint AS octets
          FROM unnest(a_tenant, a_size) AS u(t, z) GROUP BY t ORDER BY t) g;
END $$;

-- Once for the whole group that queue.enqueue inserts.
CREATE FUNCTION queue.count_in() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM queue.count_usage(g.tenant_id, g.messages, g.octets)
    FROM (SELECT tenant_id, count(*) AS messages, sum(size)::bigint AS octets
          FROM added GROUP BY tenant_id ORDER BY tenant_id) g;
  RETURN NULL;
END $$;
CREATE TRIGGER count_in AFTER INSERT ON queue.message
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION queue.count_in();

CREATE FUNCTION lookup.queue_usage()
RETURNS TABLE (tenant_id bigint, messages bigint, octets bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = on AS $$
  SELECT u.tenant_id, sum(u.messages)::bigint, sum(u.octets)::bigint
  FROM queue.usage u GROUP BY u.tenant_id
$$;

-- Removes those of these messages (of several jobs) that have no job left, with their recipients and
-- their hold on the body. Their rows are locked: two reports that finish the last two jobs at the
-- same time must not both see the other's.
CREATE OR REPLACE FUNCTION queue.remove_finished(now_at timestamptz, a_tenant bigint[], a_message bytea[])
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
  v_size bigint;
  gone_tenants bigint[] := '{}';
  gone_sizes bigint[] := '{}';
BEGIN
  FOR v_tenant, v_id IN
    SELECT DISTINCT t, id FROM unnest(a_tenant, a_message) AS a(t, id) ORDER BY t, id
  LOOP
    SELECT first_job_id, last_job_id, body_sha256, size INTO v_first, v_last, v_sha, v_size
      FROM queue.message WHERE tenant_id = v_tenant AND message_id = v_id FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    PERFORM FROM queue.job
      WHERE tenant_id = v_tenant AND job_id >= v_first AND job_id <= v_last LIMIT 1;
    CONTINUE WHEN FOUND;
    DELETE FROM queue.message WHERE tenant_id = v_tenant AND message_id = v_id;
    gone_tenants := gone_tenants || v_tenant;
    gone_sizes := gone_sizes || v_size;
    DELETE FROM queue.recipient
      WHERE tenant_id = v_tenant AND job_id >= v_first AND job_id <= v_last;
    IF v_sha IS NOT NULL THEN
      owners := owners || v_tenant;
      shas := shas || v_sha;
    END IF;
  END LOOP;
  IF owners <> '{}' THEN PERFORM queue.release_bodies(now_at, owners, shas); END IF;
  IF gone_tenants <> '{}' THEN PERFORM queue.count_out(gone_tenants, gone_sizes); END IF;
END $$;

-- The kind of event for an outcome: as the state of the recipient, and 5.4.7 says that time ran out.
CREATE FUNCTION queue.event_kind(outcome bigint, status text) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE outcome WHEN 1 THEN 2 WHEN 2 THEN 3 WHEN 3 THEN CASE status WHEN '5.4.7' THEN 5 ELSE 4 END
         END
$$;

-- Records what became of attempts. The recipients of report n are p_count[n] elements of the r_
-- arrays from p_first[n] on; no job may appear twice. r_outcome is the new state of the recipient.
-- Answers for each report:
--   outcome 0: nothing left, the job is gone; 1: waits until its p_due; 2: outdated, the job goes on
--   under another attempt; 3: unknown job.
--   accepted: the report was that of the current attempt. priority: the job's.
-- What an operator wants returned is due at once; what is held stays so.
-- Each recipient whose state this changes or confirms has its event.
DROP FUNCTION queue.report(
  timestamptz, bigint[], bigint[], bigint[], timestamptz[], bigint[], bigint[], bigint[], bigint[],
  bigint[], text[], bigint[], text[], text[]);
CREATE FUNCTION queue.report(
  now_at timestamptz,
  p_tenant bigint[], p_job bigint[], p_attempt bigint[], p_due timestamptz[], p_warned bigint[],
  p_first bigint[], p_count bigint[],
  r_id bigint[], r_outcome bigint[], r_host text[], r_code bigint[], r_status text[], r_text text[])
RETURNS TABLE (outcome int, accepted boolean, late_deliveries int, priority int)
LANGUAGE plpgsql AS $$
DECLARE
  outcomes int[] := array_fill(3, ARRAY[cardinality(p_job)]);
  currents boolean[] := array_fill(false, ARRAY[cardinality(p_job)]);
  lates int[] := array_fill(0, ARRAY[cardinality(p_job)]);
  priorities int[] := array_fill(0, ARRAY[cardinality(p_job)]);
  n int;
  f int;
  l int;
  v_tenant bigint;
  v_job bigint;
  v_message bytea;
  v_destination text;
  v_alone boolean;
  v_current boolean;
  v_priority int;
  v_changed int;
  v_sha bytea;
  v_finished boolean;
  done_tenants bigint[] := '{}';
  done_messages bytea[] := '{}';
  owners bigint[] := '{}';
  shas bytea[] := '{}';
  v_size bigint;
  gone_tenants bigint[] := '{}';
  gone_sizes bigint[] := '{}';
BEGIN
  FOR n IN SELECT p.n FROM unnest(p_tenant, p_job) WITH ORDINALITY AS p(t, id, n) ORDER BY t, id LOOP
    v_tenant := p_tenant[n];
    v_job := p_job[n];
    f := p_first[n];
    l := f + p_count[n] - 1;
    SELECT j.message_id, j.destination, j.alone, j.priority,
           j.attempt = p_attempt[n] AND j.leased_until IS NOT NULL
      INTO v_message, v_destination, v_alone, v_priority, v_current
      FROM queue.job j WHERE j.tenant_id = v_tenant AND j.job_id = v_job FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    currents[n] := v_current;
    priorities[n] := v_priority;

    -- Are all recipients that were pending in their last state now?
    PERFORM FROM queue.recipient r
      WHERE r.tenant_id = v_tenant AND r.job_id = v_job AND r.state < 2 AND NOT EXISTS (
        SELECT FROM unnest(r_id[f:l], r_outcome[f:l]) AS x(id, o)
        WHERE x.id = r.recipient_id AND (x.o = 2 OR (x.o = 3 AND v_current)))
      LIMIT 1;
    v_finished := NOT FOUND;

    IF v_finished AND v_current AND v_alone THEN
      -- Nearly all: nothing is left of the message.
      WITH gone AS (
        DELETE FROM queue.recipient r WHERE r.tenant_id = v_tenant AND r.job_id = v_job
        RETURNING r.recipient_id, r.address, r.state)
      INSERT INTO queue.event (tenant_id, at, kind, message_id, recipient, destination, attempt,
          remote_host, smtp_code, enhanced_status, reply)
        SELECT v_tenant, now_at, queue.event_kind(x.o, x.s), v_message, g.address, v_destination,
               p_attempt[n], x.h, x.c, x.s, x.txt
        FROM gone g
        JOIN unnest(r_id[f:l], r_outcome[f:l], r_host[f:l], r_code[f:l], r_status[f:l], r_text[f:l])
             AS x(id, o, h, c, s, txt) ON x.id = g.recipient_id
        WHERE g.state < 2;
      DELETE FROM queue.message m WHERE m.tenant_id = v_tenant AND m.message_id = v_message
        RETURNING m.body_sha256, m.size INTO v_sha, v_size;
      gone_tenants := gone_tenants || v_tenant;
      gone_sizes := gone_sizes || v_size;
      IF v_sha IS NOT NULL THEN
        owners := owners || v_tenant;
        shas := shas || v_sha;
      END IF;
    ELSIF f <= l THEN
      WITH changed AS (
        UPDATE queue.recipient r
          SET state = x.o, remote_host = x.h, smtp_code = x.c, enhanced_status = x.s, reply = x.txt
          FROM unnest(r_id[f:l], r_outcome[f:l], r_host[f:l], r_code[f:l], r_status[f:l],
                      r_text[f:l]) AS x(id, o, h, c, s, txt)
          WHERE r.tenant_id = v_tenant AND r.job_id = v_job AND r.recipient_id = x.id
            AND r.state < 2 AND (v_current OR x.o = 2)
        RETURNING r.address, r.state, r.remote_host, r.smtp_code, r.enhanced_status, r.reply)
      INSERT INTO queue.event (tenant_id, at, kind, message_id, recipient, destination, attempt,
          remote_host, smtp_code, enhanced_status, reply)
        SELECT v_tenant, now_at, queue.event_kind(c.state, c.enhanced_status), v_message, c.address,
               v_destination, p_attempt[n], c.remote_host, c.smtp_code, c.enhanced_status, c.reply
        FROM changed c;
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
        SET leased_until = NULL, repeated = false, worker = NULL,
            due_at = CASE WHEN j.due_at = 'infinity' THEN j.due_at
                          WHEN j.bounce_reason IS NOT NULL THEN now_at ELSE p_due[n] END,
            delay_warning_sent = j.delay_warning_sent OR p_warned[n] <> 0
        WHERE j.tenant_id = v_tenant AND j.job_id = v_job;
      outcomes[n] := 1;
    ELSE
      outcomes[n] := 2;
    END IF;
  END LOOP;
  IF done_tenants <> '{}' THEN PERFORM queue.remove_finished(now_at, done_tenants, done_messages); END IF;
  IF owners <> '{}' THEN PERFORM queue.release_bodies(now_at, owners, shas); END IF;
  IF gone_tenants <> '{}' THEN PERFORM queue.count_out(gone_tenants, gone_sizes); END IF;
  RETURN QUERY SELECT * FROM unnest(outcomes, currents, lates, priorities);
END $$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  f := 'lookup.queue_usage()'::regprocedure;
  EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
