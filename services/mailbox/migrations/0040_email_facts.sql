-- What IMAP tells of a message beyond what is known at its delivery, found out when it is first asked
-- for: the thread (RFC 8474) and the preview (RFC 8970).

ALTER TABLE mailbox.email
  ADD COLUMN thread_id bigint,  -- the email_id of the thread's first message; NULL: its own
  ADD COLUMN preview text;      -- NULL: not made yet

ALTER TABLE mailbox.account
  ADD COLUMN threaded_to bigint NOT NULL DEFAULT 0;  -- emails up to this one are in their threads

-- Which thread a message id belongs to, with a subject: key is of both.
CREATE TABLE mailbox.thread (
  tenant_id bigint NOT NULL,
  account_id bigint NOT NULL,
  key bytea NOT NULL,
  thread_id bigint NOT NULL,
  PRIMARY KEY (tenant_id, account_id, key),
  FOREIGN KEY (tenant_id, account_id) REFERENCES mailbox.account ON DELETE CASCADE
);
SELECT posthorn.tenant_table('mailbox.thread', 'posthorn_mailbox');
