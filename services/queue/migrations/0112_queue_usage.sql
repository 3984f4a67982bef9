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

-- Records what became of attempts. The recipients of report n are p_count[n] elements of the r_
-- arrays from p_first[n] on; no job may appear twice. r_outcome is the new state of the recipient.
-- Answers for each report:
--   outcome 0: nothing left, the job is gone; 1: waits until its p_due; 2: outdated, the job goes on
--   under another attempt; 3: unknown job.
--   accepted: the report was that of the current attempt.
CREATE OR REPLACE FUNCTION queue.report(
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
  v_size bigint;
  gone_tenants bigint[] := '{}';
  gone_sizes bigint[] := '{}';
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
        RETURNING m.body_sha256, m.size INTO v_sha, v_size;
      gone_tenants := gone_tenants || v_tenant;
      gone_sizes := gone_sizes || v_size;
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
        SET leased_until = NULL, repeated = false, worker = NULL, due_at = CASE WHEN j.due_at = 'infinity' THEN j.due_at ELSE p_due[n] END,
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
  RETURN QUERY SELECT * FROM unnest(outcomes, currents, lates);
END $$;

-- What operators do. A held job is due at infinity, also after the attempt that is under way.

-- Makes the jobs of these messages due now that wait for later (of this destination, if not NULL).
CREATE OR REPLACE FUNCTION queue.retry(
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
        AND j.leased_until IS NULL AND j.due_at > now_at AND j.due_at < 'infinity'
        AND (only_destination IS NULL OR j.destination = only_destination)
      RETURNING j.tenant_id, j.job_id, j.hash;
  END LOOP;
END $$;

-- The jobs of these messages (and this destination, if not NULL).
CREATE FUNCTION queue.jobs_of(a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (of_tenant bigint, id bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_first bigint;
  v_last bigint;
BEGIN
  FOR n IN 1 .. cardinality(a_message) LOOP
    SELECT m.first_job_id, m.last_job_id INTO v_first, v_last
      FROM queue.message m WHERE m.tenant_id = a_tenant[n] AND m.message_id = a_message[n];
    CONTINUE WHEN NOT FOUND;
    RETURN QUERY
      SELECT j.tenant_id, j.job_id FROM queue.job j
      WHERE j.tenant_id = a_tenant[n] AND j.job_id >= v_first AND j.job_id <= v_last
        AND (only_destination IS NULL OR j.destination = only_destination)
      ORDER BY j.job_id;
  END LOOP;
END $$;

-- Keeps them from being tried.
CREATE FUNCTION queue.hold(a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  FOR tenant_id, job_id IN SELECT * FROM queue.jobs_of(a_tenant, a_message, only_destination) LOOP
    UPDATE queue.job j SET due_at = 'infinity'
      WHERE j.tenant_id = hold.tenant_id AND j.job_id = hold.job_id AND j.due_at < 'infinity'
      RETURNING j.hash INTO hold.hash;
    IF FOUND THEN RETURN NEXT; END IF;
  END LOOP;
END $$;

-- Those that are held are due now.
CREATE FUNCTION queue.release(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  FOR tenant_id, job_id IN SELECT * FROM queue.jobs_of(a_tenant, a_message, only_destination) LOOP
    UPDATE queue.job j SET due_at = now_at
      WHERE j.tenant_id = release.tenant_id AND j.job_id = release.job_id AND j.due_at = 'infinity'
      RETURNING j.hash INTO release.hash;
    IF FOUND THEN RETURN NEXT; END IF;
  END LOOP;
END $$;

-- The next attempt, now, returns them to the sender for this reason.
CREATE FUNCTION queue.bounce(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text, reason text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  FOR tenant_id, job_id IN SELECT * FROM queue.jobs_of(a_tenant, a_message, only_destination) LOOP
    UPDATE queue.job j SET bounce_reason = reason, due_at = now_at
      WHERE j.tenant_id = bounce.tenant_id AND j.job_id = bounce.job_id
      RETURNING j.hash INTO bounce.hash;
    IF FOUND THEN RETURN NEXT; END IF;
  END LOOP;
END $$;

-- Later attempts go to these hosts, the first of them now; '' takes that back. Held jobs stay held.
CREATE FUNCTION queue.reroute(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text, hosts text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  FOR tenant_id, job_id IN SELECT * FROM queue.jobs_of(a_tenant, a_message, only_destination) LOOP
    UPDATE queue.job j SET route = NULLIF(hosts, ''),
        due_at = CASE WHEN j.due_at = 'infinity' THEN j.due_at ELSE now_at END
      WHERE j.tenant_id = reroute.tenant_id AND j.job_id = reroute.job_id AND j.destination <> 'local'
      RETURNING j.hash INTO reroute.hash;
    IF FOUND THEN RETURN NEXT; END IF;
  END LOOP;
END $$;

-- Jobs by destination and age; only_tenant 0: of all. The age is that of the message id, which holds
-- the time of its making (UUIDv7).
CREATE FUNCTION lookup.queue_summary(now_at timestamptz, only_tenant bigint, max_rows int)
RETURNS TABLE (destination text, jobs bigint, deferred bigint, held bigint, by_age bigint[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = on AS $$
  SELECT a.destination, count(*), count(*) FILTER (WHERE a.attempt > 0),
         count(*) FILTER (WHERE a.due_at = 'infinity'),
         ARRAY[count(*) FILTER (WHERE minutes < 5),
               count(*) FILTER (WHERE minutes >= 5 AND minutes < 10),
               count(*) FILTER (WHERE minutes >= 10 AND minutes < 20),
               count(*) FILTER (WHERE minutes >= 20 AND minutes < 40),
               count(*) FILTER (WHERE minutes >= 40 AND minutes < 80),
               count(*) FILTER (WHERE minutes >= 80 AND minutes < 160),
               count(*) FILTER (WHERE minutes >= 160 AND minutes < 320),
               count(*) FILTER (WHERE minutes >= 320 AND minutes < 640),
               count(*) FILTER (WHERE minutes >= 640 AND minutes < 1280),
               count(*) FILTER (WHERE minutes >= 1280)]
  FROM (SELECT j.destination, j.attempt, j.due_at,
               (extract(epoch FROM now_at) * 1000
                - ('x' || encode(substr(j.message_id, 1, 6), 'hex'))::bit(48)::bigint) / 60000
                 AS minutes
        FROM queue.job j WHERE only_tenant = 0 OR j.tenant_id = only_tenant) a
  GROUP BY a.destination ORDER BY count(*) DESC, a.destination LIMIT max_rows
$$;
GRANT SELECT (message_id, destination) ON queue.job TO posthorn_lookup;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['lookup.queue_usage()',
                           'lookup.queue_summary(timestamptz,bigint,int)']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
