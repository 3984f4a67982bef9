-- A plan made while queue.job was empty took a comparison of due_at with infinity for a way to a row,
-- and read the whole index on due_at for each. isfinite() gives no such way. The functions are as
-- before otherwise (0123_queue_operate.sql); queue.lease is in 0140_queue_waits.sql.

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
        AND j.leased_until IS NULL AND CASE WHEN isfinite(j.due_at) THEN j.due_at > now_at END
        AND (only_destination IS NULL OR j.destination = only_destination)
      RETURNING j.tenant_id, j.job_id, j.hash;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION queue.hold(a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  FOR tenant_id, job_id IN SELECT * FROM queue.jobs_of(a_tenant, a_message, only_destination) LOOP
    UPDATE queue.job j SET due_at = 'infinity'
      WHERE j.tenant_id = hold.tenant_id AND j.job_id = hold.job_id AND isfinite(j.due_at)
      RETURNING j.hash INTO hold.hash;
    IF FOUND THEN RETURN NEXT; END IF;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION queue.release(
  now_at timestamptz, a_tenant bigint[], a_message bytea[], only_destination text)
RETURNS TABLE (tenant_id bigint, job_id bigint, hash int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  FOR tenant_id, job_id IN SELECT * FROM queue.jobs_of(a_tenant, a_message, only_destination) LOOP
    UPDATE queue.job j SET due_at = now_at
      WHERE j.tenant_id = release.tenant_id AND j.job_id = release.job_id AND NOT isfinite(j.due_at)
      RETURNING j.hash INTO release.hash;
    IF FOUND THEN RETURN NEXT; END IF;
  END LOOP;
END $$;
