-- How TLS with other domains' servers went, counted by UTC day, for the reports that domains ask for
-- (RFC 8460). What other domains publish and answer belongs to no tenant.

-- Batches of counts that were added: a worker that has not heard of it adds them again.
CREATE TABLE queue.tls_batch (
  batch bytea PRIMARY KEY,
  added_at timestamptz NOT NULL
);

CREATE TABLE queue.tls_report (
  day date NOT NULL,
  domain text NOT NULL,
  state smallint NOT NULL DEFAULT 0,  -- 0 waits, 1 sent, 2 not wanted, 3 given up
  due_at timestamptz NOT NULL,        -- while a worker makes it: when another may
  attempt int NOT NULL DEFAULT 0,
  message_id bytea,                   -- of its mail, which is queued under it once
  note text NOT NULL DEFAULT '',
  finished_at timestamptz,
  PRIMARY KEY (day, domain)
);
CREATE INDEX tls_report_due ON queue.tls_report (due_at) WHERE state = 0;

-- One row an outcome. `result` is empty for success. Gone with the end of its report.
CREATE TABLE queue.tls_result (
  day date NOT NULL,
  domain text NOT NULL,
  policy_key bytea NOT NULL,   -- a digest of the four that follow: they may be long
  type text NOT NULL,
  policy_domain text NOT NULL,
  policy text NOT NULL,        -- lines
  mx text NOT NULL,            -- lines
  result text NOT NULL,
  sending_ip text NOT NULL,
  mx_host text NOT NULL,
  receiving_ip text NOT NULL,
  reason text NOT NULL,
  sessions bigint NOT NULL,
  PRIMARY KEY (day, domain, policy_key, result, sending_ip, mx_host, receiving_ip)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON queue.tls_batch, queue.tls_report, queue.tls_result
  TO posthorn_queue;

-- Adds a batch, unless it was added before.
CREATE FUNCTION queue.add_tls_results(
  now_at timestamptz, a_batch bytea, a_day bigint[], a_domain text[], a_type text[],
  a_policy_domain text[], a_policy text[], a_mx text[], a_result text[], a_sending_ip text[],
  a_mx_host text[], a_receiving_ip text[], a_reason text[], a_sessions bigint[])
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO queue.tls_batch (batch, added_at) VALUES (a_batch, now_at) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN; END IF;
  -- Reports are made after the day, and not all at once (RFC 8460 section 4.1). Always in the same
  -- order, because several workers add at once.
  INSERT INTO queue.tls_report (day, domain, due_at)
    SELECT g.day, g.domain,
           (g.day + 1)::timestamp AT TIME ZONE 'UTC' + interval '10 minutes'
             + random() * interval '4 hours'
    FROM (SELECT DISTINCT DATE '1970-01-01' + a.d::int AS day, a.n AS domain
          FROM unnest(a_day, a_domain) AS a(d, n)) g
    ORDER BY g.day, g.domain
    ON CONFLICT DO NOTHING;
  INSERT INTO queue.tls_result AS r (day, domain, policy_key, type, policy_domain, policy, mx, result,
                                     sending_ip, mx_host, receiving_ip, reason, sessions)
    SELECT g.day, g.domain, g.policy_key, min(g.type), min(g.policy_domain), min(g.policy), min(g.mx),
           g.result, g.sending_ip, g.mx_host, g.receiving_ip, max(g.reason), sum(g.sessions)
    FROM (SELECT DATE '1970-01-01' + a.d::int AS day, a.domain, a.type, a.policy_domain, a.policy, a.mx,
                 sha256(convert_to(concat_ws(E'\x01', a.type, a.policy_domain, a.policy, a.mx), 'UTF8'))
                   AS policy_key,
                 a.result, a.sending_ip, a.mx_host, a.receiving_ip, a.reason, a.sessions
          FROM unnest(a_day, a_domain, a_type, a_policy_domain, a_policy, a_mx, a_result,
                      a_sending_ip, a_mx_host, a_receiving_ip, a_reason, a_sessions)
            AS a(d, domain, type, policy_domain, policy, mx, result, sending_ip, mx_host,
                 receiving_ip, reason, sessions)) g
    GROUP BY g.day, g.domain, g.policy_key, g.result, g.sending_ip, g.mx_host, g.receiving_ip
    ORDER BY g.day, g.domain, g.policy_key, g.result, g.sending_ip, g.mx_host, g.receiving_ip
    ON CONFLICT (day, domain, policy_key, result, sending_ip, mx_host, receiving_ip)
      DO UPDATE SET sessions = r.sessions + excluded.sessions;
END $$;

-- One that is due, for one worker until `lease_end`.
CREATE FUNCTION queue.lease_tls_report(now_at timestamptz, lease_end timestamptz, new_id bytea)
RETURNS TABLE (day_number int, domain text, attempt int, message_id bytea)
LANGUAGE sql AS $$
  UPDATE queue.tls_report r
    SET attempt = r.attempt + 1, due_at = lease_end, message_id = coalesce(r.message_id, new_id)
    FROM (SELECT t.day, t.domain FROM queue.tls_report t
          WHERE t.state = 0 AND t.due_at <= now_at
          ORDER BY t.due_at LIMIT 1 FOR UPDATE SKIP LOCKED) d
    WHERE r.day = d.day AND r.domain = d.domain
    RETURNING r.day - DATE '1970-01-01', r.domain, r.attempt, r.message_id
$$;

-- `a_state` as in queue.tls_report; 0: later, until two days after the day are over. Whether the
-- attempt was the current one.
CREATE FUNCTION queue.finish_tls_report(
  now_at timestamptz, a_day int, a_domain text, a_attempt int, a_state int, a_note text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  the_day date := DATE '1970-01-01' + a_day;
  new_state int := CASE WHEN a_state = 0
                          AND now_at >= (the_day + 3)::timestamp AT TIME ZONE 'UTC' THEN 3
                        ELSE a_state END;
BEGIN
  UPDATE queue.tls_report r
    SET state = new_state, note = a_note,
        due_at = CASE WHEN new_state = 0 THEN now_at + interval '1 hour' ELSE r.due_at END,
        finished_at = CASE WHEN new_state = 0 THEN NULL ELSE now_at END
    WHERE r.day = the_day AND r.domain = a_domain AND r.attempt = a_attempt AND r.state = 0;
  IF NOT FOUND THEN RETURN false; END IF;
  -- One that was given up may be asked for again.
  IF new_state IN (1, 2) THEN
    DELETE FROM queue.tls_result r WHERE r.day = the_day AND r.domain = a_domain;
  END IF;
  RETURN true;
END $$;

-- Forgets what is older than `days`.
CREATE FUNCTION queue.keep_tls_reports(now_at timestamptz, days int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  first_day date := (now_at AT TIME ZONE 'UTC')::date - days;
BEGIN
  DELETE FROM queue.tls_result r WHERE r.day < first_day;
  DELETE FROM queue.tls_report r WHERE r.day < first_day;
  DELETE FROM queue.tls_batch b WHERE b.added_at < now_at - interval '1 day';
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
