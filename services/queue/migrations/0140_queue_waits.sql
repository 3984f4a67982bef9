-- Jobs that wait because of a limit, and destinations that an operator has paused.

-- A lease that ended before anything was tried counts here: `attempt` stays the fence, and the number
-- of real attempts is attempt - waits.
ALTER TABLE queue.job ADD COLUMN waits int NOT NULL DEFAULT 0;
GRANT SELECT (waits) ON queue.job TO posthorn_lookup;

-- As before, with the waits; isfinite() for the reason in 0125_queue_plans.sql.
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
  recipient_options bytea[], bounce_reason text, route text,
  waits int)
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
      WHERE tenant_id = v_tenant AND job_id = v_job AND isfinite(due_at)
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
           j.bounce_reason, j.route, j.waits
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

-- What queue.report gathers for queue.event.
CREATE TYPE queue.new_event AS (
  tenant_id bigint, kind int, message_id bytea, recipient text, destination text, attempt int,
  remote_host text, smtp_code int, enhanced_status text, reply text);

-- As before; p_warned is a set: 1: the delay warning was sent; 2: nothing was tried, the job waits
-- because of a limit. Events tell the number of the real attempt.
--
-- The jobs of a group of reports are locked and their recipients read in two statements, and its events
-- written in one: statements for each report took most of a report's time, and workers wait for it. Only
-- what goes is removed row by row (0122_queue_usage.sql).
CREATE OR REPLACE FUNCTION queue.report(
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
  tries int[] := array_fill(0, ARRAY[cardinality(p_job)]);
  messages bytea[] := array_fill(NULL::bytea, ARRAY[cardinality(p_job)]);
  destinations text[] := array_fill(NULL::text, ARRAY[cardinality(p_job)]);
  alones boolean[] := array_fill(false, ARRAY[cardinality(p_job)]);
  found_jobs bigint[] := '{}';
  n bigint;
  f int;
  l int;
  v_tenant bigint;
  v_job bigint;
  v_message bytea;
  v_destination text;
  v_alone boolean;
  v_current boolean;
  v_priority int;
  v_try int;
  v_finished boolean;
  v_events queue.new_event[];
  v_sha bytea;
  v_size bigint;
  events queue.new_event[] := '{}';
  done_tenants bigint[] := '{}';
  done_messages bytea[] := '{}';
  owners bigint[] := '{}';
  shas bytea[] := '{}';
  gone_tenants bigint[] := '{}';
  gone_sizes bigint[] := '{}';
BEGIN
  -- All locks before anything is read that they guard.
  FOR n, v_message, v_destination, v_alone, v_priority, v_current, v_try IN
    SELECT a.n, j.message_id, j.destination, j.alone, j.priority,
           j.attempt = a.attempt AND j.leased_until IS NOT NULL, a.attempt - j.waits
    FROM (SELECT * FROM unnest(p_tenant, p_job, p_attempt) WITH ORDINALITY AS p(t, id, attempt, n)
          ORDER BY t, id) a
    CROSS JOIN LATERAL (
      SELECT x.message_id, x.destination, x.alone, x.priority, x.attempt, x.leased_until, x.waits
      FROM queue.job x WHERE x.tenant_id = a.t AND x.job_id = a.id FOR UPDATE OFFSET 0) j
  LOOP
    found_jobs := found_jobs || n;
    messages[n] := v_message;
    destinations[n] := v_destination;
    alones[n] := v_alone;
    priorities[n] := v_priority;
    currents[n] := v_current;
    tries[n] := v_try;
  END LOOP;

  -- v_finished: all recipients that were pending are in their last state now. v_events: of what
  -- becomes of those.
  FOR n, v_finished, v_events IN
    SELECT a.n, r.finished, r.events
    FROM unnest(found_jobs) WITH ORDINALITY AS a(n, place)
    CROSS JOIN LATERAL (
      SELECT coalesce(bool_and(coalesce(x.o = 2 OR (x.o = 3 AND currents[a.n]), false)), true)
               AS finished,
             array_agg(ROW(p_tenant[a.n], queue.event_kind(x.o, x.s), messages[a.n], y.address,
                           destinations[a.n], tries[a.n], x.h, x.c, x.s,
                           x.txt)::queue.new_event ORDER BY y.recipient_id)
               FILTER (WHERE x.o IS NOT NULL) AS events
      FROM (SELECT z.recipient_id, z.address FROM queue.recipient z
            WHERE z.tenant_id = p_tenant[a.n] AND z.job_id = p_job[a.n] AND z.state < 2 OFFSET 0) y
      LEFT JOIN LATERAL (
        SELECT p_first[a.n] AS f, p_first[a.n] + p_count[a.n] - 1 AS l) s ON true
      LEFT JOIN LATERAL unnest(r_id[s.f:s.l], r_outcome[s.f:s.l], r_host[s.f:s.l], r_code[s.f:s.l],
                               r_status[s.f:s.l], r_text[s.f:s.l]) AS x(id, o, h, c, s, txt)
        ON x.id = y.recipient_id) r
    ORDER BY a.place
  LOOP
    v_tenant := p_tenant[n];
    v_job := p_job[n];
    v_current := currents[n];
    IF v_finished AND v_current AND alones[n] THEN
      -- Nearly all: nothing is left of the message.
      DELETE FROM queue.recipient r WHERE r.tenant_id = v_tenant AND r.job_id = v_job;
      DELETE FROM queue.message m WHERE m.tenant_id = v_tenant AND m.message_id = messages[n]
        RETURNING m.body_sha256, m.size INTO v_sha, v_size;
      events := events || v_events;
      gone_tenants := gone_tenants || v_tenant;
      gone_sizes := gone_sizes || v_size;
      IF v_sha IS NOT NULL THEN
        owners := owners || v_tenant;
        shas := shas || v_sha;
      END IF;
    ELSIF p_count[n] > 0 THEN
      f := p_first[n];
      l := f + p_count[n] - 1;
      WITH changed AS (
        UPDATE queue.recipient r
          SET state = x.o, remote_host = x.h, smtp_code = x.c, enhanced_status = x.s, reply = x.txt
          FROM unnest(r_id[f:l], r_outcome[f:l], r_host[f:l], r_code[f:l], r_status[f:l],
                      r_text[f:l]) AS x(id, o, h, c, s, txt)
          WHERE r.tenant_id = v_tenant AND r.job_id = v_job AND r.recipient_id = x.id
            AND r.state < 2 AND (v_current OR x.o = 2)
        RETURNING r.address, r.state, r.remote_host, r.smtp_code, r.enhanced_status, r.reply)
      SELECT array_agg(ROW(v_tenant, queue.event_kind(c.state, c.enhanced_status), messages[n],
               c.address, destinations[n], tries[n], c.remote_host, c.smtp_code,
               c.enhanced_status, c.reply)::queue.new_event)
        INTO v_events
        FROM changed c;
      events := events || v_events;
      IF NOT v_current THEN lates[n] := coalesce(cardinality(v_events), 0); END IF;
    END IF;

    IF v_finished THEN
      DELETE FROM queue.job j WHERE j.tenant_id = v_tenant AND j.job_id = v_job;
      outcomes[n] := 0;
      IF NOT (v_current AND alones[n]) THEN
        done_tenants := done_tenants || v_tenant;
        done_messages := done_messages || messages[n];
      END IF;
    ELSIF v_current THEN
      UPDATE queue.job j
        SET leased_until = NULL, repeated = false, worker = NULL,
            due_at = CASE WHEN j.due_at = 'infinity' THEN j.due_at
                          WHEN j.bounce_reason IS NOT NULL THEN now_at ELSE p_due[n] END,
            delay_warning_sent = j.delay_warning_sent OR p_warned[n] & 1 <> 0,
            waits = j.waits + ((p_warned[n] >> 1) & 1)::int
        WHERE j.tenant_id = v_tenant AND j.job_id = v_job;
      outcomes[n] := 1;
    ELSE
      outcomes[n] := 2;
    END IF;
  END LOOP;
  IF events <> '{}' THEN
    INSERT INTO queue.event (tenant_id, at, kind, message_id, recipient, destination, attempt,
        remote_host, smtp_code, enhanced_status, reply)
      SELECT e.tenant_id, now_at, e.kind, e.message_id, e.recipient, e.destination, e.attempt,
             e.remote_host, e.smtp_code, e.enhanced_status, e.reply
      FROM unnest(events) AS e;
  END IF;
  IF done_tenants <> '{}' THEN PERFORM queue.remove_finished(now_at, done_tenants, done_messages); END IF;
  IF owners <> '{}' THEN PERFORM queue.release_bodies(now_at, owners, shas); END IF;
  IF gone_tenants <> '{}' THEN PERFORM queue.count_out(gone_tenants, gone_sizes); END IF;
  RETURN QUERY SELECT * FROM unnest(outcomes, currents, lates, priorities);
END $$;

-- Tried at least once, not counting what only waited.
CREATE OR REPLACE FUNCTION lookup.queue_summary(now_at timestamptz, only_tenant bigint, max_rows int)
RETURNS TABLE (destination text, jobs bigint, deferred bigint, held bigint, by_age bigint[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = on AS $$
  SELECT a.destination, count(*), count(*) FILTER (WHERE a.attempt > a.waits),
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
  FROM (SELECT j.destination, j.attempt, j.waits, j.due_at,
               (extract(epoch FROM now_at) * 1000
                - ('x' || encode(substr(j.message_id, 1, 6), 'hex'))::bit(48)::bigint) / 60000
                 AS minutes
        FROM queue.job j WHERE only_tenant = 0 OR j.tenant_id = only_tenant) a
  GROUP BY a.destination ORDER BY count(*) DESC, a.destination LIMIT max_rows
$$;

CREATE OR REPLACE FUNCTION lookup.queue_totals()
RETURNS TABLE (messages bigint, oldest timestamptz, jobs bigint, leased bigint, deferred bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = on AS $$
  SELECT m.messages, m.oldest, j.jobs, j.leased, j.deferred
  FROM (SELECT count(*) AS messages, min(received_at) AS oldest FROM queue.message) m,
       (SELECT count(*) AS jobs, count(leased_until) AS leased,
               count(*) FILTER (WHERE attempt > waits AND leased_until IS NULL) AS deferred
        FROM queue.job) j
$$;

-- What an operator has paused; tenant 0: for all. `pattern` names a domain, all below one
-- ("*.example.net") or a site.
CREATE TABLE queue.pause (
  tenant_id bigint NOT NULL,
  pattern text NOT NULL,
  paused_until timestamptz NOT NULL,  -- infinity: until it is taken back
  reason text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, pattern)
);
SELECT posthorn.tenant_table('queue.pause', 'posthorn_queue');

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
