-- The same as in 0071, and for one range of UIDs, as of STORE 1:*, in one walk over it: where all that
-- change have the same effect on the number of unseen ones, or none, nothing needs to be counted before.
CREATE OR REPLACE FUNCTION mailbox.store_flags(
  p_tenant bigint, p_account bigint, p_box bigint, firsts bigint[], lasts bigint[], mode int,
  new_flags int, new_keywords text[])
RETURNS TABLE (o_uid bigint, o_modseq bigint, o_flags int, o_keywords text[], o_size bigint,
               o_email_id bigint, o_received_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  seq bigint;
  changed bigint;
  unseen_change bigint;
  uids bigint[];
  first_uid bigint := firsts[1];
  last_uid bigint := lasts[1];
  -- By how much each change changes the number of unseen ones; NULL: that depends on the message.
  unseen_each int := CASE
    WHEN mode IN (2, 3) AND new_flags & 1 = 0 THEN 0
    WHEN mode = 2 AND new_flags = 1 AND new_keywords = '{}' THEN -1
    WHEN mode = 3 AND new_flags = 1 AND new_keywords = '{}' THEN 1
  END;
  -- What stays of the old flags, and what is added.
  kept int := CASE mode WHEN 1 THEN 0 WHEN 2 THEN -1 ELSE ~new_flags END;
  added int := CASE mode WHEN 3 THEN 0 ELSE new_flags END;
  -- 1: keywords stay, 2: there are none afterwards, 3: they change.
  keywording int := CASE WHEN new_keywords <> '{}' THEN 3 WHEN mode = 1 THEN 2 ELSE 1 END;
BEGIN
  PERFORM 1 FROM mailbox.account WHERE tenant_id = p_tenant AND account_id = p_account FOR UPDATE;
  IF NOT EXISTS (SELECT FROM mailbox.mailbox WHERE tenant_id = p_tenant AND mailbox_id = p_box
                                               AND account_id = p_account) THEN
    RETURN QUERY SELECT 0::bigint, -1::bigint, 0, NULL::text[], 0::bigint, 0::bigint, now();
    RETURN;
  END IF;
  SELECT modseq + 1 INTO seq FROM mailbox.account
  WHERE tenant_id = p_tenant AND account_id = p_account;
  IF cardinality(firsts) = 1 AND unseen_each IS NOT NULL THEN
    RETURN QUERY
      WITH stored AS (
        UPDATE mailbox.entry e
        SET flags = e.flags & kept | added, modseq = seq,
            keywords = CASE keywording WHEN 1 THEN e.keywords WHEN 2 THEN NULL
                       ELSE mailbox.change_keywords(e.keywords, mode, new_keywords) END
        WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid BETWEEN first_uid AND last_uid
          AND ((e.flags & kept | added) <> e.flags
            OR CASE keywording WHEN 1 THEN false WHEN 2 THEN e.keywords IS NOT NULL
               ELSE mailbox.change_keywords(e.keywords, mode, new_keywords)
                    IS DISTINCT FROM e.keywords
               END)
        RETURNING e.uid, e.modseq, e.flags, e.keywords, e.size, e.email_id, e.received_at)
      SELECT s.uid, s.modseq, s.flags, s.keywords, s.size, s.email_id, s.received_at
      FROM stored s ORDER BY s.uid;
    GET DIAGNOSTICS changed = ROW_COUNT;
    unseen_change := unseen_each * changed;
  ELSE
    -- What differs, and by how much it changes the number of unseen ones.
    SELECT count(*), coalesce(sum((e.flags & 1) - ((e.flags & kept | added) & 1)), 0)::bigint,
           array_agg(e.uid)
    INTO changed, unseen_change, uids
    FROM unnest(firsts, lasts) r (f, l) CROSS JOIN LATERAL (
      SELECT uid, flags, keywords FROM mailbox.entry
      WHERE tenant_id = p_tenant AND mailbox_id = p_box AND uid BETWEEN r.f AND r.l
      OFFSET 0) e
    WHERE (e.flags & kept | added) <> e.flags
       OR CASE keywording WHEN 1 THEN false WHEN 2 THEN e.keywords IS NOT NULL
          ELSE mailbox.change_keywords(e.keywords, mode, new_keywords) IS DISTINCT FROM e.keywords
          END;
    IF changed > 0 THEN
      RETURN QUERY
        WITH stored AS (
          UPDATE mailbox.entry e
          SET flags = e.flags & kept | added, modseq = seq,
              keywords = CASE keywording WHEN 1 THEN e.keywords WHEN 2 THEN NULL
                         ELSE mailbox.change_keywords(e.keywords, mode, new_keywords) END
          WHERE e.tenant_id = p_tenant AND e.mailbox_id = p_box AND e.uid = ANY (uids)
          RETURNING e.uid, e.modseq, e.flags, e.keywords, e.size, e.email_id, e.received_at)
        SELECT s.uid, s.modseq, s.flags, s.keywords, s.size, s.email_id, s.received_at
        FROM stored s ORDER BY s.uid;
    END IF;
  END IF;
  IF changed > 0 THEN
    UPDATE mailbox.account SET modseq = seq WHERE tenant_id = p_tenant AND account_id = p_account;
    UPDATE mailbox.mailbox m SET unseen = m.unseen + unseen_change, highest_modseq = seq
    WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
  END IF;
  RETURN QUERY
    SELECT 0::bigint, m.highest_modseq, 0, NULL::text[], 0::bigint, 0::bigint, now()
    FROM mailbox.mailbox m WHERE m.tenant_id = p_tenant AND m.mailbox_id = p_box;
END $$;
