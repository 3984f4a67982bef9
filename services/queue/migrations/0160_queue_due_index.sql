-- While queue.job is known to be empty, its primary key and an index that has the same columns further
-- back cost the same, and PostgreSQL took the latter to find a job: it reads the whole index for each,
-- until the table is analyzed again. With a predicate that always holds it serves only those who ask
-- for due_at.
CREATE INDEX job_due_at ON queue.job (due_at, tenant_id, job_id) WHERE due_at IS NOT NULL;
DROP INDEX queue.job_due;
