-- Ranges of UIDs were looked up by entry_modseq where a plan had been made for few rows: it begins
-- with the same columns as the primary key, so that each lookup read the whole mailbox. An index that
-- is partial, though it has all rows, is taken only by a query that speaks of "modseq > 0".
CREATE INDEX entry_changed ON mailbox.entry (tenant_id, mailbox_id, modseq) WHERE modseq > 0;
DROP INDEX mailbox.entry_modseq;
