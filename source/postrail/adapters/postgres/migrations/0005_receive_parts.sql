-- Keeps a batch of posting parts and says which sequences they complete and which they contradict.
--
-- Arrays run in parallel, one element a part. One row comes back for each part of a completed sequence
-- (`complete`); its `event` is null when this very transaction brought the part, so that nothing travels twice. One
-- row comes back for each sequence that this batch made inconsistent; `batch_no` is the element (from 1) at fault.
--
-- `closed_at IS NULL` means waiting; written so, plans go by the key and not through all sequences that wait.

CREATE FUNCTION ledger.receive_parts(
    p_sequence_id text[], p_part_index integer[], p_total integer[], p_payment_id text[], p_payment_key text[],
    p_fingerprint text[], p_correlation_id text[], p_event_id text[], p_event text[]
) RETURNS TABLE (verdict text, sequence_id text, part_index integer, event_id text, event text, batch_no integer)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_kept bigint[];
    v_contradicting bigint[];
    v_broken text[];
BEGIN
    -- Creates the sequences or locks them, in sorted order. The update never happens; its lock does, so that of two
    -- sessions which bring the last two parts the second waits, and then sees both.
    INSERT INTO ledger.posting_sequences AS s
           (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id)
    SELECT DISTINCT ON (b.sequence_id COLLATE "C")
           b.sequence_id, b.payment_id, b.payment_key, b.fingerprint, b.total, b.correlation_id
      FROM unnest(p_sequence_id, p_payment_id, p_payment_key, p_fingerprint, p_total, p_correlation_id)
           WITH ORDINALITY AS b (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id, no)
     ORDER BY b.sequence_id COLLATE "C", b.no
        ON CONFLICT (sequence_id) DO UPDATE SET total = s.total WHERE false;

    -- The sequences are ours now, so what is not there yet will not come in beside us. Of equal indexes in the batch
    -- the first is kept.
    SELECT coalesce(array_agg(fresh.no), '{}') INTO v_kept
      FROM (SELECT DISTINCT ON (b.sequence_id, b.part_index) b.no
              FROM unnest(p_sequence_id, p_part_index, p_total, p_payment_id, p_payment_key, p_fingerprint)
                   WITH ORDINALITY AS b (sequence_id, part_index, total, payment_id, payment_key, fingerprint, no)
              JOIN ledger.posting_sequences AS s ON s.sequence_id = b.sequence_id
              LEFT JOIN ledger.posting_parts AS p ON p.sequence_id = b.sequence_id AND p.part_index = b.part_index
             WHERE s.closed_at IS NULL
               AND p.sequence_id IS NULL
               AND (s.total, s.payment_id, s.payment_key, s.fingerprint)
                 = (b.total, b.payment_id, b.payment_key, b.fingerprint)
             ORDER BY b.sequence_id, b.part_index, b.no) AS fresh;

    INSERT INTO ledger.posting_parts (sequence_id, part_index, event_id, event)
    SELECT p_sequence_id[no], p_part_index[no], p_event_id[no], p_event[no]::jsonb FROM unnest(v_kept) AS k (no);

    -- Only what moves money counts as content: a payment that was decided twice brings the same legs with another
    -- time of decision, and that is a repetition.
    SELECT coalesce(array_agg(b.no ORDER BY b.no), '{}') INTO v_contradicting
      FROM unnest(p_sequence_id, p_part_index, p_total, p_payment_id, p_payment_key, p_fingerprint, p_event)
           WITH ORDINALITY AS b (sequence_id, part_index, total, payment_id, payment_key, fingerprint, event, no)
      JOIN ledger.posting_sequences AS s ON s.sequence_id = b.sequence_id
      LEFT JOIN ledger.posting_parts AS p ON p.sequence_id = b.sequence_id AND p.part_index = b.part_index
     WHERE b.no <> ALL (v_kept)
       AND ((s.total, s.payment_id, s.payment_key, s.fingerprint)
            <> (b.total, b.payment_id, b.payment_key, b.fingerprint)
            OR p.event #> '{data,part}' <> b.event::jsonb #> '{data,part}');

    IF cardinality(v_contradicting) > 0 THEN
        INSERT INTO audit.contradicting_parts (event_id, sequence_id, part_index, event)
        SELECT p_event_id[no], p_sequence_id[no], p_part_index[no], p_event[no]::jsonb
          FROM unnest(v_contradicting) AS c (no)
            ON CONFLICT DO NOTHING;

        WITH broken AS (
            UPDATE ledger.posting_sequences AS s
               SET status = 'refused', reason = 'SEQUENCE_INCONSISTENT', closed_at = clock_timestamp(),
                   detail = 'a part contradicts the parts that came before it'
             WHERE s.closed_at IS NULL
               AND s.sequence_id IN (SELECT p_sequence_id[no] FROM unnest(v_contradicting) AS c (no))
            RETURNING s.sequence_id
        )
        SELECT coalesce(array_agg(sequence_id), '{}') INTO v_broken FROM broken;

        RETURN QUERY
        SELECT DISTINCT ON (p_sequence_id[no])
               'inconsistent', p_sequence_id[no], p_part_index[no], p_event_id[no], NULL::text, no::integer
          FROM unnest(v_contradicting) AS c (no)
         WHERE p_sequence_id[no] = ANY (v_broken)
         ORDER BY p_sequence_id[no], no;
    END IF;

    RETURN QUERY
    WITH complete AS (
        SELECT s.sequence_id
          FROM ledger.posting_sequences AS s
         WHERE s.sequence_id = ANY (p_sequence_id) AND s.closed_at IS NULL
           AND s.total = (SELECT count(*) FROM ledger.posting_parts AS p WHERE p.sequence_id = s.sequence_id)
    )
    SELECT 'complete', p.sequence_id, p.part_index::integer, p.event_id,
           CASE WHEN p.xmin <> pg_current_xact_id()::xid THEN p.event::text END, NULL::integer
      FROM complete AS c
      JOIN ledger.posting_parts AS p ON p.sequence_id = c.sequence_id
     ORDER BY p.sequence_id, p.part_index;
END;
$$;

REVOKE ALL ON FUNCTION ledger.receive_parts FROM PUBLIC;
