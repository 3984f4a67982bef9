-- Routing by address: domain aliases, catch-all, postmaster, suspension, tags, quota at RCPT.

-- A domain alias is a row of directory.domain that names another: both are unique together, and
-- mail to x@alias is mail to x@domain. Aliases are not chained.
ALTER TABLE directory.domain
  ADD COLUMN alias_of text,
  ADD COLUMN suspended boolean NOT NULL DEFAULT false,
  ADD COLUMN catch_all text,           -- where mail for unknown local parts goes; NULL: refused
  ADD COLUMN postmaster text,          -- of postmaster@ and abuse@; NULL: the tenant's first account
  ADD CONSTRAINT domain_alias_of FOREIGN KEY (tenant_id, alias_of)
    REFERENCES directory.domain (tenant_id, name),
  ADD CONSTRAINT domain_alias_of_itself CHECK (alias_of <> name);
CREATE INDEX domain_alias_of ON directory.domain (tenant_id, alias_of)
  WHERE alias_of IS NOT NULL;

-- What a tag ("alice+tag@") means: 0 nothing, 1 a mailbox of that name if there is one, 2 one that
-- is created.
ALTER TABLE directory.account ADD COLUMN tag_mode smallint NOT NULL DEFAULT 0;

GRANT SELECT (tenant_id, account_id, quota_bytes, used_bytes) ON mailbox.account
  TO posthorn_lookup;

-- The domain that `domain_name` is or is an alias of.
CREATE FUNCTION lookup.main_domain(domain_name text) RETURNS TABLE (tenant_id bigint, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT d.tenant_id, coalesce(d.alias_of, d.name) FROM directory.domain d
  WHERE d.name = domain_name
$$;

-- What the directory has under each name; rows for those in a domain of ours only. The address
-- columns are NULL where the local part is unknown. An address with no targets is a list.
CREATE FUNCTION lookup.recipients(domains text[], locals text[])
RETURNS TABLE (n bigint, tenant_id bigint, domain text, suspended boolean, catch_all text,
               postmaster text, address text, account_id bigint, targets text[], disabled boolean,
               quota_bytes bigint, used_bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT q.n, m.tenant_id, m.name, d.suspended OR m.suspended, m.catch_all, m.postmaster,
         a.address, a.account_id, a.targets, coalesce(c.disabled, false), b.quota_bytes,
         b.used_bytes
  FROM unnest(domains, locals) WITH ORDINALITY q (domain, local, n)
  JOIN directory.domain d ON d.name = q.domain
  JOIN directory.domain m ON m.tenant_id = d.tenant_id AND m.name = coalesce(d.alias_of, d.name)
  LEFT JOIN directory.address a
    ON a.tenant_id = m.tenant_id AND a.address = q.local || '@' || m.name
  LEFT JOIN directory.account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id
  LEFT JOIN mailbox.account b ON b.tenant_id = a.tenant_id AND b.account_id = a.account_id
$$;

-- Nobody logs in to a suspended domain.
CREATE OR REPLACE FUNCTION lookup.login(login_name text)
RETURNS TABLE (tenant_id bigint, account_id bigint, password_hash text, credential_version bigint,
               disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.tenant_id, c.account_id, c.password_hash, c.credential_version,
         c.disabled OR d.suspended
  FROM directory.address a
  JOIN directory.account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id
  JOIN directory.domain d ON d.tenant_id = a.tenant_id AND d.name = a.domain
  WHERE a.address = login_name
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY[
      'lookup.main_domain(text)', 'lookup.recipients(text[],text[])']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;
