-- Distribution lists. The list's address is in directory.address, with no targets.

CREATE TABLE directory.list (
  tenant_id bigint NOT NULL,
  address text NOT NULL,
  description text NOT NULL,
  owners text[] NOT NULL,              -- as the directory compares addresses
  bounces text NOT NULL,               -- the first owner, as it was given
  posting smallint NOT NULL,           -- 0 anyone 1 tenant 2 members 3 owners 4 senders
  senders text[] NOT NULL,             -- addresses and "@domain"
  visibility smallint NOT NULL,        -- who sees the members: 0 owners 1 members 2 the tenant
  PRIMARY KEY (tenant_id, address),
  FOREIGN KEY (tenant_id, address) REFERENCES directory.address ON DELETE CASCADE,
  CHECK (cardinality(owners) > 0)
);

CREATE TABLE directory.list_member (
  tenant_id bigint NOT NULL,
  list text NOT NULL,
  member text NOT NULL,                -- as the directory compares it
  address text NOT NULL,               -- as it was given: other systems may tell case apart
  added_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, list, member),
  FOREIGN KEY (tenant_id, list) REFERENCES directory.list ON DELETE CASCADE
);
CREATE INDEX list_member_member ON directory.list_member (tenant_id, member, list);

SELECT posthorn.tenant_table('directory.list', 'posthorn_mailbox');
SELECT posthorn.tenant_table('directory.list_member', 'posthorn_mailbox');
