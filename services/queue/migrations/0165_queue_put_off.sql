-- Jobs that are due, but whose destination stands still, wait until a later time without being leased: no
-- attempt, no wait is counted. A job that somebody else has leased or put off meanwhile stays as it is.
-- Answers those that wait.
CREATE FUNCTION queue.put_off(
  now_at timestamptz, a_tenant bigint[], a_job bigint[], a_until timestamptz[])
RETURNS TABLE (tenant_id bigint, job_id bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_tenant bigint;
  v_job bigint;
  v_until timestamptz;
BEGIN
  FOR v_tenant, v_job, v_until IN
    SELECT t, id, u FROM unnest(a_tenant, a_job, a_until) AS a(t, id, u) ORDER BY t, id
  LOOP
    UPDATE queue.job j SET due_at = v_until
      WHERE j.tenant_id = v_tenant AND j.job_id = v_job AND j.leased_until IS NULL
        AND CASE WHEN isfinite(j.due_at) THEN j.due_at <= now_at + interval '1 second' END;
    CONTINUE WHEN NOT FOUND;
    tenant_id := v_tenant;
    job_id := v_job;
    RETURN NEXT;
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION queue.put_off(timestamptz, bigint[], bigint[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue.put_off(timestamptz, bigint[], bigint[], timestamptz[])
  TO posthorn_queue;
