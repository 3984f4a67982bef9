-- What was imported into an account, by a key that names it in its source: an import that is run
-- again, or goes on after an interruption, stores nothing twice.
CREATE TABLE mailbox.imported (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  key bytea NOT NULL,                  -- 16 octets
  PRIMARY KEY (tenant_id, account_id, key)
);
SELECT posthorn.tenant_table('mailbox.imported', 'posthorn_mailbox');

CREATE FUNCTION mailbox.forget_imported() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM mailbox.imported WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION mailbox.forget_imported() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailbox.forget_imported() TO posthorn_mailbox;
CREATE TRIGGER forget_imported AFTER DELETE ON mailbox.account
  FOR EACH ROW EXECUTE FUNCTION mailbox.forget_imported();
