-- The text index (services/mailbox/text_index.h) in blocks, so that a search reads what may have its
-- words and not all there is. Per account, segments of emails; all up to word_state.upto are in one of
-- them, later ones are read by every search. Nothing here is part of storing a message. It is made in
-- the background, also of mail that is there already; until then searches read every message. The tables
-- of 0053 stay for replicas of the release before.
CREATE SEQUENCE mailbox.word_segment_id;
GRANT USAGE ON SEQUENCE mailbox.word_segment_id TO posthorn_mailbox;
CREATE TABLE mailbox.word_state (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  upto bigint NOT NULL,                -- email_id
  PRIMARY KEY (tenant_id, account_id)
);
CREATE TABLE mailbox.word_segment (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  first_email bigint NOT NULL,
  last_email bigint NOT NULL,
  segment_id bigint NOT NULL,          -- never the same again
  emails int NOT NULL,
  gone int NOT NULL DEFAULT 0,         -- of them, deleted since
  built_at timestamptz NOT NULL DEFAULT now(),
  version smallint NOT NULL,
  blocks int NOT NULL,
  octets bigint NOT NULL,              -- with the blocks
  ids bytea NOT NULL,
  always bytea NOT NULL,
  grams bytea NOT NULL,
  PRIMARY KEY (tenant_id, account_id, first_email)
);
CREATE TABLE mailbox.word_block (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  segment_id bigint NOT NULL,
  block int NOT NULL,
  words bytea NOT NULL,
  postings bytea NOT NULL,
  PRIMARY KEY (tenant_id, account_id, segment_id, block)
) WITH (toast_tuple_target = 8160);
-- Compressed already; of grams single octets are read.
ALTER TABLE mailbox.word_segment ALTER ids SET STORAGE EXTERNAL, ALTER always SET STORAGE EXTERNAL,
  ALTER grams SET STORAGE EXTERNAL;
ALTER TABLE mailbox.word_block ALTER words SET STORAGE EXTERNAL,
  ALTER postings SET STORAGE EXTERNAL;
SELECT posthorn.tenant_table('mailbox.word_state', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.word_segment', 'posthorn_mailbox');
SELECT posthorn.tenant_table('mailbox.word_block', 'posthorn_mailbox');
GRANT SELECT ON mailbox.word_state TO posthorn_lookup;
GRANT SELECT (tenant_id, account_id, gone, emails, built_at) ON mailbox.word_segment
  TO posthorn_lookup;

-- Words of a deleted message go when its segment is written again.
CREATE FUNCTION mailbox.words_gone() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE mailbox.word_segment s SET gone = s.gone + d.n
  FROM (SELECT o.tenant_id, o.account_id, t.first_email, count(*)::int AS n
        FROM old_emails o CROSS JOIN LATERAL (
          SELECT first_email FROM mailbox.word_segment x
          WHERE x.tenant_id = o.tenant_id AND x.account_id = o.account_id
            AND x.first_email <= o.email_id AND x.last_email >= o.email_id
          ORDER BY x.first_email DESC LIMIT 1) t
        GROUP BY 1, 2, 3) d
  WHERE s.tenant_id = d.tenant_id AND s.account_id = d.account_id
    AND s.first_email = d.first_email;
  RETURN NULL;
END $$;
CREATE TRIGGER words_gone AFTER DELETE ON mailbox.email
  REFERENCING OLD TABLE AS old_emails FOR EACH STATEMENT EXECUTE FUNCTION mailbox.words_gone();
CREATE FUNCTION mailbox.forget_words() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM mailbox.word_block WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  DELETE FROM mailbox.word_segment WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  DELETE FROM mailbox.word_state WHERE tenant_id = OLD.tenant_id AND account_id = OLD.account_id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_words AFTER DELETE ON mailbox.account
  FOR EACH ROW EXECUTE FUNCTION mailbox.forget_words();

-- Background work starts without a tenant. Accounts behind the one given, in order, that have
-- `tail` emails that are not indexed.
CREATE FUNCTION lookup.mailbox_word_tails(
  after_tenant bigint, after_account bigint, tail int, max_rows int)
RETURNS TABLE (tenant_id bigint, account_id bigint, has_tail boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT a.tenant_id, a.account_id, EXISTS (
    SELECT FROM mailbox.email e WHERE e.tenant_id = a.tenant_id AND e.account_id = a.account_id
      AND e.email_id > coalesce((SELECT s.upto FROM mailbox.word_state s
        WHERE s.tenant_id = a.tenant_id AND s.account_id = a.account_id), 0)
    ORDER BY e.tenant_id, e.account_id, e.email_id OFFSET tail - 1 LIMIT 1)
  FROM (SELECT tenant_id, account_id FROM mailbox.account
        WHERE (tenant_id, account_id) > (after_tenant, after_account)
        ORDER BY tenant_id, account_id LIMIT max_rows) a
$$;
ALTER FUNCTION lookup.mailbox_word_tails(bigint, bigint, int, int) OWNER TO posthorn_lookup;
-- Accounts with segments whose words should be written again without those of deleted messages: a
-- tenth of it, or any after a day.
CREATE INDEX word_segment_gone ON mailbox.word_segment (built_at) WHERE gone > 0;
CREATE FUNCTION lookup.mailbox_words_gone(max_rows int)
RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT s.tenant_id, s.account_id FROM (
    SELECT tenant_id, account_id FROM mailbox.word_segment
    WHERE gone > 0 AND (gone * 10 >= emails OR built_at < now() - interval '1 day')
    LIMIT max_rows) s
$$;
ALTER FUNCTION lookup.mailbox_words_gone(int) OWNER TO posthorn_lookup;
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['mailbox.words_gone()', 'mailbox.forget_words()',
      'lookup.mailbox_words_gone(int)',
      'lookup.mailbox_word_tails(bigint,bigint,int,int)']::regprocedure[] LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO posthorn_mailbox', f);
  END LOOP;
END $$;
