-- More ways to log in: SCRAM-SHA-256 (RFC 5802, RFC 7677) and application passwords.

-- Keys of SCRAM, made together with password_hash; NULL: not made yet. All keys of an account share
-- its salt, because a client is told one salt before it is known which password it has.
ALTER TABLE directory.account
  ADD COLUMN scram_salt bytea,
  ADD COLUMN scram_iterations int,
  ADD COLUMN scram_stored_key bytea,
  ADD COLUMN scram_server_key bytea,
  ADD COLUMN app_passwords_required boolean NOT NULL DEFAULT false;

CREATE TABLE directory.app_password (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  app_password_id bigint NOT NULL,
  hash bytea NOT NULL,                 -- SHA-256 of the password, which is random
  scram_stored_key bytea NOT NULL,
  scram_server_key bytea NOT NULL,
  description text NOT NULL,
  services text[] NOT NULL,            -- 'smtp', 'imap', 'pop3'
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,            -- to some minutes
  PRIMARY KEY (tenant_id, account_id, app_password_id),
  FOREIGN KEY (tenant_id, account_id) REFERENCES directory.account ON DELETE CASCADE
);
SELECT posthorn.tenant_table('directory.app_password', 'posthorn_mailbox');
GRANT SELECT ON directory.app_password TO posthorn_lookup;

-- What belongs to the platform as a whole, and to no tenant; read by functions of schema lookup only.
CREATE TABLE posthorn.secret (
  name text PRIMARY KEY,
  value bytea NOT NULL
);
INSERT INTO posthorn.secret
  SELECT 'scram_salt', sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid()), 'UTF8'));
GRANT SELECT ON posthorn.secret TO posthorn_lookup;

-- Built on lookup.login, so that what keeps somebody out there keeps him out everywhere.
CREATE FUNCTION lookup.credentials(login_name text)
RETURNS TABLE (tenant_id bigint, account_id bigint, password_hash text, credential_version bigint,
               disabled boolean, app_passwords_required boolean, has_scram boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT l.tenant_id, l.account_id, l.password_hash, l.credential_version, l.disabled,
         c.app_passwords_required, c.scram_stored_key IS NOT NULL
  FROM lookup.login(login_name) l
  JOIN directory.account c ON c.tenant_id = l.tenant_id AND c.account_id = l.account_id
$$;

-- What a SCRAM client is told of a name. The salt of a new account is the one that its name had
-- before anybody had the name: nobody learns from it which names exist.
CREATE FUNCTION lookup.scram(login_name text, default_iterations bigint)
RETURNS TABLE (salt bytea, iterations bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT coalesce(c.scram_salt,
                  substring(sha256(s.value || convert_to(login_name, 'UTF8')) FROM 1 FOR 16)),
         coalesce(c.scram_iterations::bigint, default_iterations)
  FROM posthorn.secret s
  LEFT JOIN directory.address a ON a.address = login_name AND a.account_id IS NOT NULL
  LEFT JOIN directory.account c ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id
  WHERE s.name = 'scram_salt'
$$;

-- The tenant and account of an application password.
CREATE FUNCTION lookup.app_password_owner(id bigint)
RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT p.tenant_id, p.account_id FROM directory.app_password p WHERE p.app_password_id = id
$$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['lookup.credentials(text)', 'lookup.scram(text,bigint)',
      'lookup.app_password_owner(bigint)']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO posthorn_lookup', f);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;
