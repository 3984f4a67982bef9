-- How the mail of a domain is handed to its smart hosts: a login, and the least of TLS ("required",
-- "verified"). The password has to be said to those hosts, so it is kept as it is; nothing but
-- delivery is told of it.
ALTER TABLE directory.domain
  ADD COLUMN smart_host_username text NOT NULL DEFAULT '',
  ADD COLUMN smart_host_password text NOT NULL DEFAULT '',
  ADD COLUMN smart_host_tls text NOT NULL DEFAULT '';
