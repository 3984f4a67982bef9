-- What the queue must find before it knows a tenant. Ids, times and counts only.

-- Jobs of these shards that are due by `horizon`, oldest first, after the given one. A leased job is
-- due when its lease ends.
CREATE FUNCTION lookup.queue_due(
  shards int[], shard_count int, horizon timestamptz,
  after_due timestamptz, after_tenant bigint, after_job bigint, max_rows int)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int, due_at timestamptz, next_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
  SELECT j.tenant_id, j.job_id, j.hash, j.due_at, greatest(j.due_at, j.leased_until)
  FROM queue.job j
  WHERE j.due_at <= horizon AND (j.due_at, j.tenant_id, j.job_id) > (after_due, after_tenant, after_job)
    AND j.hash % shard_count = ANY (shards)
  ORDER BY j.due_at, j.tenant_id, j.job_id
  LIMIT max_rows
$$;

-- Tenants that have anything in the queue, by a skip scan of the primary key.
CREATE FUNCTION lookup.queue_tenants() RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
  WITH RECURSIVE t AS (
    (SELECT tenant_id FROM queue.message ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT m.tenant_id FROM queue.message m WHERE m.tenant_id > t.tenant_id
            ORDER BY m.tenant_id LIMIT 1)
    FROM t WHERE t.tenant_id IS NOT NULL)
  SELECT tenant_id FROM t WHERE tenant_id IS NOT NULL
$$;

-- Tenants with accepted keys that have expired.
CREATE FUNCTION lookup.queue_expired(now_at timestamptz) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT tenant_id FROM queue.accepted WHERE expires_at < now_at
$$;

-- For metrics.
CREATE FUNCTION lookup.queue_totals()
RETURNS TABLE (messages bigint, oldest timestamptz, jobs bigint, leased bigint, deferred bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = on AS $$
  SELECT m.messages, m.oldest, j.jobs, j.leased, j.deferred
  FROM (SELECT count(*) AS messages, min(received_at) AS oldest FROM queue.message) m,
       (SELECT count(*) AS jobs, count(leased_until) AS leased,
               count(*) FILTER (WHERE attempt > 0 AND leased_until IS NULL) AS deferred
        FROM queue.job) j
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY[
      'lookup.queue_due(int[],int,timestamptz,timestamptz,bigint,bigint,int)',
      'lookup.queue_tenants()', 'lookup.queue_expired(timestamptz)',
      'lookup.queue_totals()']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
END $$;
