-- How many messages are recent was counted anew by whoever asked for a mailbox, after an import all of
-- them. What is not recent is counted now, as it changes, so that one row tells.
ALTER TABLE mailbox.mailbox
  ADD COLUMN old_messages bigint NOT NULL DEFAULT 0;  -- those below recent_uid

-- A session claims what is recent: recent_uid becomes uid_next, and all that is there is old.
CREATE FUNCTION mailbox.claim_recent() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.old_messages := NEW.messages;
  RETURN NEW;
END $$;
CREATE TRIGGER claim_recent BEFORE UPDATE OF recent_uid ON mailbox.mailbox FOR EACH ROW
  WHEN (NEW.recent_uid <> OLD.recent_uid) EXECUTE FUNCTION mailbox.claim_recent();

-- New messages have UIDs from uid_next on, so only what goes changes the number.
CREATE FUNCTION mailbox.count_old_gone() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  box record;
BEGIN
  FOR box IN SELECT DISTINCT o.tenant_id, o.mailbox_id FROM old_entries o LOOP
    UPDATE mailbox.mailbox m
    SET old_messages = m.old_messages - g.n
    FROM (SELECT count(*) AS n FROM old_entries o, (
            SELECT b.recent_uid FROM mailbox.mailbox b
            WHERE b.tenant_id = box.tenant_id AND b.mailbox_id = box.mailbox_id OFFSET 0) b
          WHERE o.tenant_id = box.tenant_id AND o.mailbox_id = box.mailbox_id
            AND o.uid < b.recent_uid) g
    WHERE m.tenant_id = box.tenant_id AND m.mailbox_id = box.mailbox_id AND g.n > 0;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER count_old_gone AFTER DELETE ON mailbox.entry
  REFERENCING OLD TABLE AS old_entries FOR EACH STATEMENT
  EXECUTE FUNCTION mailbox.count_old_gone();

REVOKE EXECUTE ON FUNCTION mailbox.claim_recent(), mailbox.count_old_gone() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailbox.claim_recent(), mailbox.count_old_gone() TO posthorn_mailbox;

-- The owner of the tables need not be a superuser, and sees no rows while security is forced.
ALTER TABLE mailbox.mailbox NO FORCE ROW LEVEL SECURITY;
ALTER TABLE mailbox.entry NO FORCE ROW LEVEL SECURITY;
UPDATE mailbox.mailbox m SET old_messages = (
  SELECT count(*) FROM mailbox.entry e
  WHERE e.tenant_id = m.tenant_id AND e.mailbox_id = m.mailbox_id AND e.uid < m.recent_uid)
WHERE m.messages > 0 AND m.recent_uid > 1;
ALTER TABLE mailbox.mailbox FORCE ROW LEVEL SECURITY;
ALTER TABLE mailbox.entry FORCE ROW LEVEL SECURITY;
