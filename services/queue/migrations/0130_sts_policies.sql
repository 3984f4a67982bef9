-- Policies of MTA-STS (RFC 8461) that workers have fetched. What other domains publish belongs to no
-- tenant.
CREATE TABLE queue.sts_policy (
  domain text PRIMARY KEY,
  id text NOT NULL,
  policy text NOT NULL,
  fetched_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX sts_policy_expiry ON queue.sts_policy (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON queue.sts_policy TO posthorn_queue;
