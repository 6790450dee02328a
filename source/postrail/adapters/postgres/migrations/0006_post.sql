-- Posts a batch of orders, each whole or not at all. A refused order leaves its neighbours alone.
--
-- Arrays p_* run in parallel, one element an order; arrays l_* one element a leg, where `l_order` says which order
-- (from 1) it belongs to. A payment key and a sequence may stand in one call once only.
-- One row an order comes back: the transaction that stands in the journal for it, and the reason when it was refused.
--
-- Reasons, the first that holds is given:
--   the reason for which the sequence was refused before; p_reason, a refusal that the caller brings along
--   SEQUENCE_INCONSISTENT  the sequence is known with another payment, key or fingerprint
--   ALREADY_POSTED       the payment key is in the journal with the same fingerprint
--   POSTING_CONFLICT     the payment key is in the journal with another fingerprint
--   ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH
--   ACCOUNT_NOT_OPEN     closed; or frozen, and the leg is a debit: what is owed to a customer still arrives
--   AMOUNT_OVERFLOW      a balance would leave the range of a bigint
--
-- Order of locks: sequences, balances, payment keys, each sorted. So sessions queue up, and do not deadlock.

CREATE FUNCTION ledger.post(
    p_transaction_id text[], p_sequence_id text[], p_payment_id text[], p_payment_key text[], p_fingerprint text[],
    p_description text[], p_occurred_at timestamptz[], p_leg_count integer[],
    p_correlation_id text[], p_total integer[],
    p_booking_event_id text[], p_booking text[], p_input_format text[], p_input bytea[],
    p_reason text[], p_detail text[],
    l_order integer[], l_account_id text[], l_amount_minor bigint[], l_currency text[]
) RETURNS TABLE (order_no integer, transaction_id text, reason text, detail text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_reason text[];
    v_detail text[];
    v_standing text[];
    v_accepted boolean[];
    v_inserted text[];
    v_no bigint;
    v_other record;
BEGIN
    INSERT INTO ledger.posting_sequences AS s
           (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id)
    SELECT o.sequence_id, o.payment_id, o.payment_key, o.fingerprint, o.total, o.correlation_id
      FROM unnest(p_sequence_id, p_payment_id, p_payment_key, p_fingerprint, p_total, p_correlation_id)
           AS o (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id)
     ORDER BY o.sequence_id COLLATE "C"
        ON CONFLICT (sequence_id) DO UPDATE SET total = s.total WHERE false;

    -- From here on nobody else moves these balances or changes the status of these accounts.
    PERFORM ledger.lock_balances(l_account_id);

    WITH faulty_legs AS (
        SELECT DISTINCT ON (l.order_no) l.order_no, fault.reason, fault.detail
          FROM unnest(l_order, l_account_id, l_amount_minor, l_currency)
               WITH ORDINALITY AS l (order_no, account_id, amount_minor, currency, no)
          LEFT JOIN ledger.accounts AS a ON a.account_id = l.account_id
         CROSS JOIN LATERAL (
               SELECT 1, 'ACCOUNT_NOT_FOUND', 'the ledger has no account ' || l.account_id
                WHERE a.account_id IS NULL
               UNION ALL
               SELECT 2, 'CURRENCY_MISMATCH',
                      'account ' || l.account_id || ' is kept in ' || a.currency || ', the leg is in ' || l.currency
                WHERE a.currency <> l.currency
               UNION ALL
               SELECT 3, 'ACCOUNT_NOT_OPEN', 'account ' || l.account_id || ' is ' || a.status
                WHERE a.status = 'closed' OR (a.status = 'frozen' AND l.amount_minor < 0)
               ) AS fault (rank, reason, detail)
         ORDER BY l.order_no, fault.rank, l.no
    ), judged AS (
        SELECT o.no, t.transaction_id AS standing,
               CASE WHEN s.status = 'refused' THEN s.reason
                    WHEN o.reason IS NOT NULL THEN o.reason
                    WHEN (s.payment_id, s.payment_key, s.fingerprint)
                      <> (o.payment_id, o.payment_key, o.fingerprint) THEN 'SEQUENCE_INCONSISTENT'
                    WHEN t.fingerprint = o.fingerprint THEN 'ALREADY_POSTED'
                    WHEN t.fingerprint IS NOT NULL THEN 'POSTING_CONFLICT'
                    ELSE f.reason END AS reason,
               CASE WHEN s.status = 'refused' THEN s.detail
                    WHEN o.reason IS NOT NULL THEN o.detail
                    WHEN (s.payment_id, s.payment_key, s.fingerprint)
                      <> (o.payment_id, o.payment_key, o.fingerprint)
                    THEN 'the sequence belongs to payment ' || s.payment_id || ' with key ' || s.payment_key
                    WHEN t.transaction_id IS NOT NULL THEN 'the payment key is posted by ' || t.transaction_id
                    ELSE f.detail END AS detail
          FROM unnest(p_sequence_id, p_payment_id, p_payment_key, p_fingerprint, p_reason, p_detail)
               WITH ORDINALITY AS o (sequence_id, payment_id, payment_key, fingerprint, reason, detail, no)
          JOIN ledger.posting_sequences AS s ON s.sequence_id = o.sequence_id
          LEFT JOIN ledger.journal_transactions AS t ON t.payment_key = o.payment_key
          LEFT JOIN faulty_legs AS f ON f.order_no = o.no
    )
    SELECT array_agg(reason ORDER BY no), array_agg(detail ORDER BY no), array_agg(standing ORDER BY no),
           array_agg(reason IS NULL ORDER BY no)
      INTO v_reason, v_detail, v_standing, v_accepted
      FROM judged;

    -- Orders count one after the other; the first that leaves the range is refused, and those after it count anew.
    LOOP
        SELECT min(running.order_no) INTO v_no
          FROM (SELECT l.order_no,
                       b.total_minor + sum(l.amount_minor) OVER (PARTITION BY l.account_id ORDER BY l.order_no) AS total
                  FROM unnest(l_order, l_account_id, l_amount_minor) AS l (order_no, account_id, amount_minor)
                  JOIN ledger.balances AS b ON b.account_id = l.account_id
                 WHERE v_accepted[l.order_no]) AS running
         WHERE running.total NOT BETWEEN -9223372036854775808 AND 9223372036854775807;
        EXIT WHEN v_no IS NULL;
        v_accepted[v_no] := false;
        v_reason[v_no] := 'AMOUNT_OVERFLOW';
        v_detail[v_no] := 'a balance would leave the range that the ledger can keep';
    END LOOP;

    WITH inserted AS (
        INSERT INTO ledger.journal_transactions
               (transaction_id, sequence_id, payment_id, payment_key, fingerprint, description, leg_count, occurred_at)
        SELECT o.transaction_id, o.sequence_id, o.payment_id, o.payment_key, o.fingerprint, o.description,
               o.leg_count, o.occurred_at
          FROM unnest(p_transaction_id, p_sequence_id, p_payment_id, p_payment_key, p_fingerprint, p_description,
                      p_leg_count, p_occurred_at)
               WITH ORDINALITY
               AS o (transaction_id, sequence_id, payment_id, payment_key, fingerprint, description,
                     leg_count, occurred_at, no)
         WHERE v_accepted[o.no]
         ORDER BY o.payment_key COLLATE "C"
            ON CONFLICT (payment_key) DO NOTHING
        RETURNING payment_key
    )
    SELECT coalesce(array_agg(payment_key), '{}') INTO v_inserted FROM inserted;

    -- Another session posted the same key between our look and our insert, on other accounts.
    IF cardinality(v_inserted) < (SELECT count(*) FROM unnest(v_accepted) AS a (ok) WHERE ok) THEN
        FOR v_other IN
            SELECT o.no, t.transaction_id AS standing, t.fingerprint = p_fingerprint[o.no] AS same
              FROM unnest(p_payment_key) WITH ORDINALITY AS o (payment_key, no)
              JOIN ledger.journal_transactions AS t ON t.payment_key = o.payment_key
             WHERE v_accepted[o.no] AND o.payment_key <> ALL (v_inserted)
        LOOP
            v_accepted[v_other.no] := false;
            v_standing[v_other.no] := v_other.standing;
            v_reason[v_other.no] := CASE WHEN v_other.same THEN 'ALREADY_POSTED' ELSE 'POSTING_CONFLICT' END;
            v_detail[v_other.no] := 'the payment key is posted by ' || v_other.standing;
        END LOOP;
    END IF;

    IF cardinality(v_inserted) > 0 THEN
        INSERT INTO ledger.entries (transaction_id, leg_no, account_id, amount_minor, currency)
        SELECT p_transaction_id[l.order_no], row_number() OVER (PARTITION BY l.order_no ORDER BY l.no),
               l.account_id, l.amount_minor, l.currency
          FROM unnest(l_order, l_account_id, l_amount_minor, l_currency)
               WITH ORDINALITY AS l (order_no, account_id, amount_minor, currency, no)
         WHERE v_accepted[l.order_no];

        INSERT INTO audit.posting_inputs (transaction_id, format, content)
        SELECT p_transaction_id[a.no], p_input_format[a.no], p_input[a.no]
          FROM unnest(v_accepted) WITH ORDINALITY AS a (ok, no) WHERE a.ok;

        -- On the event road the booking came in as part 1 and is null here.
        INSERT INTO ledger.posting_parts (sequence_id, part_index, event_id, event)
        SELECT p_sequence_id[a.no], 1, p_booking_event_id[a.no], p_booking[a.no]::jsonb
          FROM unnest(v_accepted) WITH ORDINALITY AS a (ok, no)
         WHERE a.ok AND p_booking[a.no] IS NOT NULL
            ON CONFLICT DO NOTHING;
    END IF;

    -- `closed_at IS NULL` means waiting; written so, the plan goes by the key and not through all that wait.
    UPDATE ledger.posting_sequences AS s
       SET status = CASE WHEN o.reason IS NULL THEN 'posted' ELSE 'refused' END,
           reason = o.reason, detail = o.detail, closed_at = clock_timestamp()
      FROM unnest(p_sequence_id, v_reason, v_detail) AS o (sequence_id, reason, detail)
     WHERE s.sequence_id = o.sequence_id AND s.closed_at IS NULL;

    RETURN QUERY
    SELECT o.no::integer, coalesce(o.standing, o.transaction_id), o.reason, o.detail
      FROM unnest(p_transaction_id, v_standing, v_reason, v_detail)
           WITH ORDINALITY AS o (transaction_id, standing, reason, detail, no)
     ORDER BY o.no;
END;
$$;

REVOKE ALL ON FUNCTION ledger.post FROM PUBLIC;
