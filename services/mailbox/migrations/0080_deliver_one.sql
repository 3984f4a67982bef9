-- What mailbox.deliver does for one message that goes by itself, in a third of the time: nine short
-- statements instead of a long one that sorts and numbers rows. The same outcomes in the same order:
-- 0: the account is busy, 1: stored, 2: it was already, 3: over quota, 4: no such account, 5: no such
-- mailbox, 6: `p_data` is NULL but the body is not stored. Of a change to one the other has to learn.
CREATE FUNCTION mailbox.deliver_one(
  p_tenant bigint, p_sha256 bytea, p_octets bigint, p_data bytea, p_envelope bytea,
  p_structure bytea, p_account bigint, p_mailbox bigint, p_message bytea, p_resend bytea,
  p_prefix bytea, p_received timestamptz, p_flags bigint, p_keywords text, p_version smallint)
RETURNS TABLE (o_outcome int, o_uid bigint, o_modseq bigint, o_uid_validity bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  acc record;
  box record;
  l_octets bigint := p_octets + length(p_prefix);
BEGIN
  PERFORM set_config('app.t', '{' || p_tenant || '}', true);
  SELECT a.quota_bytes, a.used_bytes, a.quota_messages, a.messages, a.modseq, a.inbox_id INTO acc
  FROM mailbox.account a WHERE a.tenant_id = p_tenant AND a.account_id = p_account
  FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    PERFORM 1 FROM mailbox.account a WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    o_outcome := CASE WHEN FOUND THEN 0 ELSE 4 END;
    RETURN NEXT;
    RETURN;
  END IF;
  SELECT m.mailbox_id, m.uid_next, m.uid_validity INTO box
  FROM mailbox.mailbox m
  WHERE m.tenant_id = p_tenant AND m.account_id = p_account
    AND m.mailbox_id = CASE WHEN p_mailbox = 0 THEN acc.inbox_id ELSE p_mailbox END;
  o_uid_validity := box.uid_validity;
  SELECT d.uid INTO o_uid FROM mailbox.delivery d
  WHERE d.tenant_id = p_tenant AND d.account_id = p_account AND d.key = p_message;
  IF FOUND THEN
    o_outcome := 2;
    RETURN NEXT;
    RETURN;
  END IF;
  IF p_resend IS NOT NULL THEN
    PERFORM 1 FROM mailbox.delivery d
    WHERE d.tenant_id = p_tenant AND d.account_id = p_account AND d.key = p_resend
      AND d.delivered_at > now() - interval '24 hours';
    IF FOUND THEN
      o_outcome := 2;
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  IF box.mailbox_id IS NULL THEN
    o_outcome := 5;
    RETURN NEXT;
    RETURN;
  END IF;
  IF p_data IS NULL THEN
    PERFORM 1 FROM mailbox.body b WHERE b.tenant_id = p_tenant AND b.sha256 = p_sha256 FOR UPDATE;
    IF NOT FOUND THEN
      o_outcome := 6;
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  IF acc.quota_bytes > 0 AND acc.used_bytes + l_octets > acc.quota_bytes
     OR acc.quota_messages > 0 AND acc.messages >= acc.quota_messages THEN
    o_outcome := 3;
    RETURN NEXT;
    RETURN;
  END IF;
  o_outcome := 1;
  o_uid := box.uid_next;
  o_modseq := acc.modseq + 1;
  IF p_data IS NULL THEN
    UPDATE mailbox.body b SET refs = b.refs + 1, marked_at = NULL
    WHERE b.tenant_id = p_tenant AND b.sha256 = p_sha256;
  ELSE
    INSERT INTO mailbox.body AS b (tenant_id, sha256, size, refs, data)
    VALUES (p_tenant, p_sha256, p_octets, 1, p_data)
    ON CONFLICT (tenant_id, sha256) DO UPDATE SET refs = b.refs + 1, marked_at = NULL;
  END IF;
  INSERT INTO mailbox.delivery (tenant_id, account_id, mailbox_id, uid, delivered_at, key)
  VALUES (p_tenant, p_account, box.mailbox_id, o_uid, now(), p_message);
  IF p_resend IS NOT NULL THEN
    INSERT INTO mailbox.delivery (tenant_id, account_id, mailbox_id, uid, delivered_at, key)
    VALUES (p_tenant, p_account, box.mailbox_id, o_uid, now(), p_resend)
    ON CONFLICT (tenant_id, account_id, key)  -- one that has expired
      DO UPDATE SET mailbox_id = EXCLUDED.mailbox_id, uid = EXCLUDED.uid,
                    delivered_at = EXCLUDED.delivered_at;
  END IF;
  INSERT INTO mailbox.email (tenant_id, account_id, email_id, received_at, body_size, entries,
                             structure_version, message_id, sha256, prefix, envelope, structure,
                             home_id, home_uid)
  VALUES (p_tenant, p_account, o_modseq, p_received, p_octets, 1, p_version, p_message, p_sha256,
          p_prefix, p_envelope, p_structure, box.mailbox_id, o_uid);
  INSERT INTO mailbox.entry (tenant_id, mailbox_id, uid, modseq, email_id, size, received_at,
                             flags, keywords, moved)
  VALUES (p_tenant, box.mailbox_id, o_uid, o_modseq, o_modseq, l_octets, p_received,
          p_flags::int, string_to_array(NULLIF(p_keywords, ''), ' '), false);
  UPDATE mailbox.mailbox m
  SET uid_next = o_uid + 1, messages = m.messages + 1, unseen = m.unseen + (1 - (p_flags & 1)),
      size = m.size + l_octets, highest_modseq = o_modseq
  WHERE m.tenant_id = p_tenant AND m.mailbox_id = box.mailbox_id;
  UPDATE mailbox.account a
  SET messages = a.messages + 1, used_bytes = a.used_bytes + l_octets, modseq = o_modseq
  WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
  RETURN NEXT;
END $$;
REVOKE EXECUTE ON FUNCTION mailbox.deliver_one FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailbox.deliver_one TO posthorn_mailbox;
