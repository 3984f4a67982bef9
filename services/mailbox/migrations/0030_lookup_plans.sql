-- What is asked for every login and change, again: PostgreSQL parses and plans a function in SQL in each
-- statement that calls it (half of the work of a recipient, when it was measured), and keeps the plans
-- of one in PL/pgSQL. As plans are kept, each has but one way: by unique key. lookup.recipients follows
-- in 0051_quota.sql.

CREATE OR REPLACE FUNCTION lookup.main_domain(domain_name text)
RETURNS TABLE (tenant_id bigint, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT d.tenant_id, coalesce(d.alias_of, d.name) FROM directory.domain d
    WHERE d.name = domain_name;
END $$;

CREATE OR REPLACE FUNCTION lookup.login(login_name text)
RETURNS TABLE (tenant_id bigint, account_id bigint, password_hash text, credential_version bigint,
               disabled boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT c.tenant_id, c.account_id, c.password_hash, c.credential_version,
           c.disabled OR d.suspended
    FROM directory.address a
    JOIN LATERAL (
      SELECT * FROM directory.account x
      WHERE x.tenant_id = a.tenant_id AND x.account_id = a.account_id OFFSET 0) c ON true
    JOIN LATERAL (
      SELECT x.suspended FROM directory.domain x
      WHERE x.tenant_id = a.tenant_id AND x.name = a.domain OFFSET 0) d ON true
    WHERE a.address = login_name;
END $$;

CREATE OR REPLACE FUNCTION lookup.credentials(login_name text)
RETURNS TABLE (tenant_id bigint, account_id bigint, password_hash text, credential_version bigint,
               disabled boolean, app_passwords_required boolean, has_scram boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT l.tenant_id, l.account_id, l.password_hash, l.credential_version, l.disabled,
           c.app_passwords_required, c.scram_stored_key IS NOT NULL
    FROM lookup.login(login_name) l
    JOIN LATERAL (
      SELECT * FROM directory.account x
      WHERE x.tenant_id = l.tenant_id AND x.account_id = l.account_id OFFSET 0) c ON true;
END $$;

CREATE OR REPLACE FUNCTION lookup.api_key(key_hash bytea)
RETURNS TABLE (tenant_id bigint, key_id bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT k.tenant_id, k.key_id FROM directory.api_key k WHERE k.hash = key_hash;
END $$;

CREATE OR REPLACE FUNCTION mailbox.next_modseq(p_tenant bigint, p_account bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_modseq bigint;
BEGIN
  UPDATE mailbox.account a SET modseq = a.modseq + 1
    WHERE a.tenant_id = p_tenant AND a.account_id = p_account RETURNING a.modseq INTO v_modseq;
  RETURN v_modseq;
END $$;
