-- The servers that mail from a domain leaves through, "host" or "host:port", in the order to try;
-- none: those of each recipient's domain.
ALTER TABLE directory.domain ADD COLUMN smart_hosts text[] NOT NULL DEFAULT '{}';
