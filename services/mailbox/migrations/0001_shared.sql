-- What every service's schema uses.

-- Roles. The login role of a service is a member of its role and takes it on with SET ROLE: it owns
-- nothing and row-level security binds it. posthorn_lookup owns the functions of schema lookup, the
-- only way to find something before its tenant is known. None of them can log in.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['posthorn_mailbox', 'posthorn_queue', 'posthorn_lookup'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;  -- roles are shared by the databases of a cluster
    END;
  END LOOP;
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT posthorn_mailbox, posthorn_queue, posthorn_lookup TO %I', current_user);
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS posthorn;
CREATE SCHEMA lookup;
GRANT USAGE ON SCHEMA posthorn, lookup TO posthorn_mailbox, posthorn_queue, posthorn_lookup;
REVOKE ALL ON ALL TABLES IN SCHEMA posthorn FROM PUBLIC;

-- Puts a table that holds tenant data under forced row-level security: a session sees the rows of
-- the tenants in the setting app.t ('{1,2}'), and none when it is not set. After a transaction the
-- setting reads ''. `service_role` gets the use of it. Rows are seen by posthorn_lookup for SELECT,
-- UPDATE and DELETE as far as a migration grants it these on the table.
CREATE FUNCTION posthorn.tenant_table(target regclass, service_role name) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format(
    'CREATE POLICY tenant ON %s TO PUBLIC USING '
    '(tenant_id = ANY ((SELECT NULLIF(current_setting(''app.t'', true), '''')::bigint[])::bigint[]))',
    target);
  EXECUTE format('CREATE POLICY lookup ON %s TO posthorn_lookup USING (true)', target);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', target, service_role);
END $$;
REVOKE EXECUTE ON FUNCTION posthorn.tenant_table(regclass, name) FROM PUBLIC;

-- The tables of a body store (lib/postgres/body_store.h) in `schema_name`, for `service_role`.
CREATE FUNCTION posthorn.create_body_tables(schema_name name, service_role name) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($sql$
    CREATE SEQUENCE %1$I.body_chunks_id;
    CREATE TABLE %1$I.body (
      tenant_id bigint NOT NULL,
      sha256 bytea NOT NULL,            -- of the body itself
      size bigint NOT NULL,             -- octets of the body itself
      refs int NOT NULL,                -- what refers to it
      marked_at timestamptz,            -- unreferenced since then; NULL while referenced
      chunks_id bigint,                 -- its chunks; NULL: inline
      data bytea,                       -- inline: one zstd frame
      info bytea,                       -- what the service found out while it was written
      PRIMARY KEY (tenant_id, sha256)
    ) WITH (fillfactor = 95, toast_tuple_target = 8160);
    -- Compressed already.
    ALTER TABLE %1$I.body ALTER data SET STORAGE EXTERNAL;
    CREATE INDEX body_marked ON %1$I.body (tenant_id, marked_at) WHERE marked_at IS NOT NULL;
    CREATE TABLE %1$I.body_chunk (
      tenant_id bigint NOT NULL,
      chunks_id bigint NOT NULL,
      number int NOT NULL,              -- octets [number * 262144, ...)
      data bytea NOT NULL,              -- one zstd frame
      PRIMARY KEY (tenant_id, chunks_id, number)
    );
    ALTER TABLE %1$I.body_chunk ALTER data SET STORAGE EXTERNAL;
    CREATE TABLE %1$I.body_upload (
      tenant_id bigint NOT NULL,
      chunks_id bigint NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, chunks_id)
    );
    SELECT posthorn.tenant_table('%1$I.body', %2$L);
    SELECT posthorn.tenant_table('%1$I.body_chunk', %2$L);
    SELECT posthorn.tenant_table('%1$I.body_upload', %2$L);
    GRANT USAGE ON SEQUENCE %1$I.body_chunks_id TO %2$I;
    GRANT SELECT ON %1$I.body, %1$I.body_upload TO posthorn_lookup;
    GRANT USAGE ON SCHEMA %1$I TO posthorn_lookup;
  $sql$, schema_name, service_role);
  -- Tenants with something to collect: background work starts without a tenant.
  EXECUTE format($sql$
    CREATE FUNCTION lookup.%1$s_tenants_to_collect(grace interval) RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $fn$
      SELECT DISTINCT tenant_id FROM %1$I.body WHERE marked_at < now() - grace
      UNION SELECT tenant_id FROM %1$I.body_upload WHERE started_at < now() - interval '1 day'
    $fn$;
    ALTER FUNCTION lookup.%1$s_tenants_to_collect(interval) OWNER TO posthorn_lookup;
    REVOKE EXECUTE ON FUNCTION lookup.%1$s_tenants_to_collect(interval) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION lookup.%1$s_tenants_to_collect(interval) TO %2$I;
  $sql$, schema_name, service_role);
END $$;
REVOKE EXECUTE ON FUNCTION posthorn.create_body_tables(name, name) FROM PUBLIC;
GRANT CREATE ON SCHEMA lookup TO posthorn_lookup;
