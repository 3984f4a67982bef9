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

-- Removes pending recipients, and what is then finished, of these messages (and this destination,
-- if not NULL). Answers the jobs that are gone, with the number of recipients each lost.
CREATE OR REPLACE FUNCTION queue.cancel(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int, recipients int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_tenant bigint;
  v_id bytea;
  v_destination text;
  v_first bigint;
  v_last bigint;
BEGIN
  FOR v_tenant, v_id IN SELECT t, id FROM unnest(a_tenant, a_message) AS a(t, id) ORDER BY t, id LOOP
    SELECT m.first_job_id, m.last_job_id INTO v_first, v_last
      FROM queue.message m WHERE m.tenant_id = v_tenant AND m.message_id = v_id;
    CONTINUE WHEN NOT FOUND;
    FOR tenant_id, job_id, hash, v_destination IN
      SELECT j.tenant_id, j.job_id, j.hash, j.destination FROM queue.job j
      WHERE j.tenant_id = v_tenant AND j.job_id >= v_first AND j.job_id <= v_last
        AND (only_destination IS NULL OR j.destination = only_destination)
      ORDER BY j.job_id FOR UPDATE
    LOOP
      WITH gone AS (
        UPDATE queue.recipient r SET state = 4
          WHERE r.tenant_id = cancel.tenant_id AND r.job_id = cancel.job_id AND r.state < 2
        RETURNING r.address)
      INSERT INTO queue.event (tenant_id, at, kind, message_id, recipient, destination)
        SELECT v_tenant, now_at, 6, v_id, g.address, v_destination FROM gone g;
      GET DIAGNOSTICS recipients = ROW_COUNT;
      DELETE FROM queue.job j
        WHERE j.tenant_id = cancel.tenant_id AND j.job_id = cancel.job_id;
      RETURN NEXT;
    END LOOP;
  END LOOP;
  PERFORM queue.remove_finished(now_at, a_tenant, a_message);
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
  f := 'lookup.queue_summary(timestamptz,bigint,int)'::regprocedure;
  EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
