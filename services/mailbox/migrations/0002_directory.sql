-- Who is who: tenants, domains, accounts, aliases, credentials.

CREATE SCHEMA directory;
GRANT USAGE ON SCHEMA directory TO posthorn_mailbox, posthorn_lookup;

CREATE SEQUENCE directory.id;
GRANT USAGE ON SEQUENCE directory.id TO posthorn_mailbox;

CREATE TABLE directory.tenant (
  tenant_id bigint PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE directory.domain (
  tenant_id bigint NOT NULL REFERENCES directory.tenant,
  name text NOT NULL UNIQUE,           -- lower case, A-labels
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, name)
);

CREATE TABLE directory.account (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  password_hash text NOT NULL,         -- Argon2id; '' lets nobody in
  credential_version bigint NOT NULL DEFAULT 1,
  disabled boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, account_id)
);

-- Every local address once, whether it names an account or an alias.
CREATE TABLE directory.address (
  tenant_id bigint NOT NULL,
  address text NOT NULL UNIQUE,        -- lower case
  domain text NOT NULL,
  account_id bigint,                   -- NULL: an alias
  targets text[],                      -- of an alias
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, address),
  FOREIGN KEY (tenant_id, domain) REFERENCES directory.domain (tenant_id, name),
  FOREIGN KEY (tenant_id, account_id) REFERENCES directory.account ON DELETE CASCADE,
  CHECK ((account_id IS NULL) <> (targets IS NULL))
);
CREATE INDEX address_account ON directory.address (tenant_id, account_id);
CREATE INDEX address_domain ON directory.address (tenant_id, domain, address);

CREATE TABLE directory.api_key (
  tenant_id bigint NOT NULL REFERENCES directory.tenant,
  key_id bigint NOT NULL,
  hash bytea NOT NULL UNIQUE,          -- SHA-256 of the key, which is random
  description text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key_id)
);

SELECT posthorn.tenant_table('directory.tenant', 'posthorn_mailbox');
SELECT posthorn.tenant_table('directory.domain', 'posthorn_mailbox');
SELECT posthorn.tenant_table('directory.account', 'posthorn_mailbox');
SELECT posthorn.tenant_table('directory.address', 'posthorn_mailbox');
SELECT posthorn.tenant_table('directory.api_key', 'posthorn_mailbox');
GRANT SELECT ON directory.tenant, directory.domain, directory.account, directory.address,
  directory.api_key TO posthorn_lookup;

-- What is known before the tenant is: each answers ids and what the check needs.

CREATE FUNCTION lookup.tenant(tenant_name text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT tenant_id FROM directory.tenant WHERE name = tenant_name
$$;

CREATE FUNCTION lookup.tenants() RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT tenant_id FROM directory.tenant
$$;

CREATE FUNCTION lookup.domain(domain_name text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT tenant_id FROM directory.domain WHERE name = domain_name
$$;

-- One row where the domain is ours; the address columns are NULL where the local part is not.
CREATE FUNCTION lookup.address(domain_name text, addresses text[])
RETURNS TABLE (tenant_id bigint, address text, account_id bigint, targets text[], disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT d.tenant_id, a.address, a.account_id, a.targets, coalesce(c.disabled, false)
  FROM directory.domain d
  LEFT JOIN directory.address a ON a.tenant_id = d.tenant_id AND a.address = ANY (addresses)
  LEFT JOIN directory.account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id
  WHERE d.name = domain_name
$$;

CREATE FUNCTION lookup.login(login_name text)
RETURNS TABLE (tenant_id bigint, account_id bigint, password_hash text, credential_version bigint,
               disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.tenant_id, c.account_id, c.password_hash, c.credential_version, c.disabled
  FROM directory.address a
  JOIN directory.account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id
  WHERE a.address = login_name
$$;

CREATE FUNCTION lookup.api_key(key_hash bytea) RETURNS TABLE (tenant_id bigint, key_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT tenant_id, key_id FROM directory.api_key WHERE hash = key_hash
$$;

CREATE FUNCTION lookup.api_key_tenant(id bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT tenant_id FROM directory.api_key WHERE key_id = id
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY[
      'lookup.tenant(text)', 'lookup.tenants()', 'lookup.domain(text)',
      'lookup.address(text,text[])', 'lookup.login(text)', 'lookup.api_key(bytea)',
      'lookup.api_key_tenant(bigint)']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;
