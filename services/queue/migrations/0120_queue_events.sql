-- What became of mail, in order: each event is written in the transaction of the change it tells of,
-- and kept for some days. Readers order by (xid, seq) and stop before
-- pg_snapshot_xmin(pg_current_snapshot()): what commits late is not skipped.

CREATE SEQUENCE queue.event_seq CACHE 100;
CREATE TABLE queue.event (
  tenant_id bigint NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq bigint NOT NULL DEFAULT nextval('queue.event_seq'),
  at timestamptz NOT NULL,
  -- 1 accepted, 2 deferred, 3 delivered, 4 bounced, 5 expired (bounced since time ran out),
  -- 6 cancelled
  kind smallint NOT NULL,
  message_id bytea NOT NULL,
  -- NULL where a message was accepted: that is of all its recipients. `attempt` is 0 where none was
  -- needed.
  recipient text,
  destination text,
  attempt int,
  remote_host text,
  smtp_code int,
  enhanced_status text,
  reply text,
  PRIMARY KEY (tenant_id, xid, seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX event_message ON queue.event (message_id, tenant_id);
-- For days that have no partition yet. Normally empty.
CREATE TABLE queue.event_rest PARTITION OF queue.event DEFAULT;

SELECT posthorn.tenant_table('queue.event', 'posthorn_queue');
REVOKE UPDATE, DELETE ON queue.event FROM posthorn_queue;
GRANT USAGE ON SEQUENCE queue.event_seq TO posthorn_queue;
-- Its partitions are reached through it, and else only by its owner, who makes and drops them.
GRANT CREATE ON SCHEMA queue TO posthorn_lookup;
ALTER TABLE queue.event OWNER TO posthorn_lookup;
ALTER TABLE queue.event_rest OWNER TO posthorn_lookup;
ALTER SEQUENCE queue.event_seq OWNER TO posthorn_lookup;
ALTER TABLE queue.event_rest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY lookup ON queue.event_rest TO posthorn_lookup USING (true);

-- Makes the partitions of today and the days after, and drops those of days older than `days`. They
-- are attached rather than created in place, which needs no lock that waits for readers; the drop
-- gives up soon, to be tried again.
CREATE FUNCTION lookup.queue_keep_events(now_at timestamptz, days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  today date := (now_at AT TIME ZONE 'UTC')::date;
  day date;
  day_start timestamptz;
  name text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('queue.event', 0));
  FOR n IN 0 .. 2 LOOP
    day := today + n;
    day_start := day::timestamp AT TIME ZONE 'UTC';
    name := 'event_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('queue.' || name) IS NOT NULL;
    CONTINUE WHEN EXISTS (SELECT FROM queue.event_rest e
                          WHERE e.at >= day_start AND e.at < day_start + interval '24 hours');
    EXECUTE format('CREATE TABLE queue.%I (LIKE queue.event INCLUDING DEFAULTS)', name);
    EXECUTE format('ALTER TABLE queue.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY lookup ON queue.%I TO posthorn_lookup USING (true)', name);
    EXECUTE format('ALTER TABLE queue.event ATTACH PARTITION queue.%I FOR VALUES FROM (%L) TO (%L)',
                   name, day_start, day_start + interval '24 hours');
  END LOOP;
  DELETE FROM queue.event_rest WHERE at < (today - days)::timestamp AT TIME ZONE 'UTC';
  FOR name IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'queue.event'::regclass AND c.relname ~ '^event_[0-9]{8}$'
      AND to_date(substr(c.relname, 7), 'YYYYMMDD') < today - days
  LOOP
    EXECUTE format('DROP TABLE queue.%I', name);
  END LOOP;
END $$;

-- Whose message this is or was: an operator knows its id alone.
CREATE FUNCTION lookup.queue_event_tenants(message bytea) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT e.tenant_id FROM queue.event e WHERE e.message_id = message
$$;

-- What happened to one message, for operators: the latest first.
CREATE FUNCTION queue.events_of(a_tenant bigint[], a_message bytea, max_rows int)
RETURNS TABLE (happened_at timestamptz, kind int, recipient text, destination text, attempt int,
               remote_host text, smtp_code int, enhanced_status text, reply text)
LANGUAGE sql STABLE AS $$
  SELECT e.at, e.kind::int, e.recipient, e.destination, e.attempt, e.remote_host, e.smtp_code,
         e.enhanced_status, e.reply
  FROM queue.event e WHERE e.message_id = a_message AND e.tenant_id = ANY (a_tenant)
  ORDER BY e.xid DESC, e.seq DESC LIMIT max_rows
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['lookup.queue_keep_events(timestamptz,int)',
                           'lookup.queue_event_tenants(bytea)']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
  END LOOP;
  f := 'queue.events_of(bigint[],bytea,int)'::regprocedure;
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_queue', f);
END $$;
SELECT lookup.queue_keep_events(now(), 7);
