-- What stands around a posting: the posting sequences of the event road, openings, reversals, and the outbox.

-- Creates the sequences of orders or locks them, in sorted order, and says which of them refuse the posting: those that
-- were refused before, and those that are known with another payment, key or fingerprint.
CREATE FUNCTION ledger.claim_sequences(
    p_sequence_id text[], p_payment_id text[], p_payment_key text[], p_fingerprint text[], p_total integer[],
    p_correlation_id text[]
) RETURNS TABLE (order_no integer, reason text, detail text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO ledger.posting_sequences AS s
           (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id)
    SELECT o.sequence_id, o.payment_id, o.payment_key, o.fingerprint, o.total, o.correlation_id
      FROM unnest(p_sequence_id, p_payment_id, p_payment_key, p_fingerprint, p_total, p_correlation_id)
           AS o (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id)
     ORDER BY o.sequence_id COLLATE "C"
        ON CONFLICT (sequence_id) DO UPDATE SET total = s.total WHERE false;

    RETURN QUERY
    SELECT o.no::integer,
           CASE WHEN s.status = 'refused' THEN s.reason ELSE 'SEQUENCE_INCONSISTENT' END,
           CASE WHEN s.status = 'refused' THEN s.detail
                ELSE 'the sequence belongs to payment ' || s.payment_id || ' with key ' || s.payment_key END
      FROM unnest(p_sequence_id, p_payment_id, p_payment_key, p_fingerprint)
           WITH ORDINALITY AS o (sequence_id, payment_id, payment_key, fingerprint, no)
     CROSS JOIN LATERAL (SELECT * FROM ledger.posting_sequences WHERE sequence_id = o.sequence_id OFFSET 0) AS s
     WHERE s.status = 'refused'
        OR (s.payment_id, s.payment_key, s.fingerprint) <> (o.payment_id, o.payment_key, o.fingerprint)
     ORDER BY o.no;
END;
$$;

REVOKE ALL ON FUNCTION ledger.claim_sequences FROM PUBLIC;

-- Closes sequences as posted (reason null) or refused, and keeps posting inputs and bookings of what was posted.
-- A booking that came in as part 1 already is null here.
CREATE FUNCTION ledger.close_sequences(
    p_sequence_id text[], p_reason text[], p_detail text[], p_transaction_id uuid[], p_input_format text[],
    p_input bytea[], p_booking_event_id text[], p_booking text[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO audit.posting_inputs (transaction_id, format, content)
    SELECT o.transaction_id, o.format, o.content
      FROM unnest(p_transaction_id, p_reason, p_input_format, p_input) AS o (transaction_id, reason, format, content)
     WHERE o.reason IS NULL;

    INSERT INTO ledger.posting_parts (sequence_id, part_index, event_id, event)
    SELECT o.sequence_id, 1, o.event_id, o.event::jsonb
      FROM unnest(p_sequence_id, p_reason, p_booking_event_id, p_booking) AS o (sequence_id, reason, event_id, event)
     WHERE o.reason IS NULL AND o.event IS NOT NULL
        ON CONFLICT DO NOTHING;

    -- `closed_at IS NULL` means waiting; written so, the plan goes by the key and not through all that wait.
    UPDATE ledger.posting_sequences AS s
       SET status = CASE WHEN o.reason IS NULL THEN 'posted' ELSE 'refused' END,
           reason = o.reason, detail = o.detail, closed_at = clock_timestamp()
      FROM unnest(p_sequence_id, p_reason, p_detail) AS o (sequence_id, reason, detail)
     WHERE s.sequence_id = o.sequence_id AND s.closed_at IS NULL;
END;
$$;

REVOKE ALL ON FUNCTION ledger.close_sequences FROM PUBLIC;

-- Opens accounts and posts their opening balances, once each, against `equity:opening:<currency>`.
--
-- Arrays run in parallel, one element an account. `p_sharded` null takes what is usual for the type;
-- `p_opening_minor` is credit positive; null or 0 posts nothing. An account that exists is left as it is, and so is an
-- opening balance that was posted. An account that opens frozen or closed takes its opening balance before.
CREATE FUNCTION ledger.open_accounts(
    p_account_id text[], p_type text[], p_currency text[], p_status text[], p_name text[],
    p_sharded boolean[], p_overdraft_limit_minor bigint[],
    p_opening_minor bigint[], p_transaction_id uuid[], p_fingerprint uuid[], p_opened_at timestamptz
) RETURNS TABLE (accounts_opened bigint, openings_posted bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_differing text;
    v_opened text[];
    v_new integer[];
    v_batch_id bigint;
BEGIN
    WITH opened AS (
        INSERT INTO ledger.accounts (account_id, type, currency, status, name, opened_at, sharded, overdraft_limit_minor)
        SELECT a.account_id, a.type, a.currency, 'open', a.name, p_opened_at, coalesce(a.sharded, t.hot),
               a.overdraft_limit_minor
          FROM unnest(p_account_id, p_type, p_currency, p_status, p_name, p_sharded, p_overdraft_limit_minor)
               AS a (account_id, type, currency, status, name, sharded, overdraft_limit_minor)
          LEFT JOIN ledger.account_types AS t ON t.type = a.type
         ORDER BY a.account_id COLLATE "C"
            ON CONFLICT (account_id) DO NOTHING
        RETURNING account_id
    )
    SELECT coalesce(array_agg(account_id), '{}') INTO v_opened FROM opened;

    SELECT a.account_id INTO v_differing
      FROM unnest(p_account_id, p_type, p_currency) AS a (account_id, type, currency)
     CROSS JOIN LATERAL (SELECT type, currency FROM ledger.accounts WHERE account_id = a.account_id OFFSET 0) AS have
     WHERE (have.type, have.currency) <> (a.type, a.currency)
     ORDER BY a.account_id COLLATE "C"
     LIMIT 1;
    IF v_differing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'accounts_keep_type_and_currency',
            MESSAGE = 'account ' || v_differing || ' exists with another type or currency';
    END IF;

    -- The lock of an account keeps its opening from coming twice. Its balance stays free for whoever posts.
    PERFORM FROM ledger.accounts WHERE account_id = ANY (p_account_id) ORDER BY account_id FOR NO KEY UPDATE;

    SELECT array_agg(a.no ORDER BY a.no) INTO v_new
      FROM unnest(p_account_id, p_opening_minor) WITH ORDINALITY AS a (account_id, opening_minor, no)
     WHERE a.opening_minor <> 0
       AND (SELECT transaction_id FROM ledger.journal_transactions
             WHERE payment_key = 'opening:' || a.account_id) IS NULL;
    IF v_new IS NOT NULL THEN
        v_batch_id := ledger.begin_batch(cardinality(v_new), NULL, ledger.take_lane(), clock_timestamp());
        INSERT INTO ledger.journal_transactions
               (batch_id, position, leg_count, kind, occurred_at, transaction_id, fingerprint, payment_key, description)
        SELECT v_batch_id, n.position, 2, 'opening', p_opened_at, p_transaction_id[n.no], p_fingerprint[n.no],
               'opening:' || p_account_id[n.no], 'Opening balance'
          FROM unnest(v_new) WITH ORDINALITY AS n (no, position);
        INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, currency_no, amount_minor)
        SELECT v_batch_id, n.position, leg.no, a.account_no, c.currency_no, leg.amount_minor
          FROM unnest(v_new) WITH ORDINALITY AS n (no, position)
         CROSS JOIN LATERAL (VALUES
               (1, 'equity:opening:' || lower(p_currency[n.no]), -p_opening_minor[n.no]),
               (2, p_account_id[n.no], p_opening_minor[n.no])) AS leg (no, account_id, amount_minor)
         CROSS JOIN LATERAL (SELECT account_no FROM ledger.accounts WHERE account_id = leg.account_id OFFSET 0) AS a
          JOIN ledger.currencies AS c ON c.currency = p_currency[n.no];
    END IF;

    UPDATE ledger.accounts AS have
       SET status = a.status
      FROM unnest(p_account_id, p_status) AS a (account_id, status)
     WHERE have.account_id = a.account_id AND a.account_id = ANY (v_opened) AND a.status <> 'open';

    RETURN QUERY SELECT cardinality(v_opened)::bigint, coalesce(cardinality(v_new), 0)::bigint;
END;
$$;

REVOKE ALL ON FUNCTION ledger.open_accounts FROM PUBLIC;

-- Takes back posted transactions: for each, a new linked transaction with every leg the other way round. It is keyed
-- `reversal:<key of the original>`, so that a transaction is reversed once. Rows come back as from `ledger.post`, with
-- TRANSACTION_NOT_FOUND and NOT_REVERSIBLE besides.
CREATE FUNCTION ledger.reverse(
    p_original uuid[], p_transaction_id uuid[], p_description text[], p_occurred_at timestamptz[], p_correlation_id text
) RETURNS TABLE (order_no integer, reason text, detail text, standing uuid, batch_id bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    o record;
    a record;
    l record;
BEGIN
    SELECT array_agg(t.payment_id ORDER BY r.no) AS payment_id, array_agg(t.sequence_id ORDER BY r.no) AS sequence_id,
           array_agg(coalesce('reversal:' || t.payment_key, 'reversal of nothing ' || r.no) ORDER BY r.no) AS payment_key,
           array_agg(coalesce(t.fingerprint, r.original) ORDER BY r.no) AS fingerprint,
           array_agg(coalesce(t.leg_count, 2::smallint) ORDER BY r.no) AS leg_count,
           array_agg(r.no::integer ORDER BY r.no) FILTER (WHERE t.kind IS NULL OR t.kind = 'reversal') AS refused,
           array_agg(CASE WHEN t.kind IS NULL THEN 'TRANSACTION_NOT_FOUND' ELSE 'NOT_REVERSIBLE' END ORDER BY r.no)
               FILTER (WHERE t.kind IS NULL OR t.kind = 'reversal') AS reason,
           array_agg(CASE WHEN t.kind IS NULL THEN 'the journal has no ' ELSE 'a reversal cannot be reversed: ' END
                     || ledger.id_text('txn', r.original) ORDER BY r.no)
               FILTER (WHERE t.kind IS NULL OR t.kind = 'reversal') AS detail
      INTO o
      FROM unnest(p_original) WITH ORDINALITY AS r (original, no)
      LEFT JOIN ledger.journal_transactions AS t ON t.transaction_id = r.original;

    WITH legs AS (
        SELECT r.no::integer AS order_no, e.leg_no, e.account_no, -e.amount_minor AS amount_minor
          FROM unnest(p_original) WITH ORDINALITY AS r (original, no)
          JOIN ledger.journal_transactions AS t ON t.transaction_id = r.original AND t.kind <> 'reversal'
          JOIN ledger.entries AS e ON e.batch_id = t.batch_id AND e.position = t.position
    ), numbered AS (
        SELECT legs.*, dense_rank() OVER (ORDER BY account_no)::integer AS account FROM legs
    )
    SELECT array_agg(order_no ORDER BY order_no, leg_no) AS order_no,
           array_agg(leg_no ORDER BY order_no, leg_no) AS leg_no,
           array_agg(account ORDER BY order_no, leg_no) AS account,
           array_agg(account_no ORDER BY order_no, leg_no) AS account_no,
           array_agg(amount_minor ORDER BY order_no, leg_no) AS amount_minor
      INTO l
      FROM numbered;
    SELECT array_agg(acc.account_id ORDER BY acc.account_no) AS account_id,
           array_agg(c.currency_no ORDER BY acc.account_no) AS currency_no
      INTO a
      FROM (SELECT DISTINCT account_no FROM unnest(l.account_no) AS u (account_no)) AS d
      JOIN ledger.accounts AS acc ON acc.account_no = d.account_no
      JOIN ledger.currencies AS c ON c.currency = acc.currency;

    RETURN QUERY
    SELECT * FROM ledger.post(
        'reversal', p_correlation_id, p_transaction_id, o.payment_id, o.sequence_id, o.payment_key, o.fingerprint,
        p_description, p_occurred_at, o.leg_count, p_original, NULL, NULL, o.refused, o.reason, o.detail,
        coalesce(a.account_id, '{}'), coalesce(a.currency_no, '{}'), coalesce(l.order_no, '{}'),
        coalesce(l.leg_no, '{}'), coalesce(l.account, '{}'), coalesce(l.amount_minor, '{}'));
END;
$$;

REVOKE ALL ON FUNCTION ledger.reverse FROM PUBLIC;

-- One outbox row may stand for a whole batch: its events are made from the journal when they leave.
ALTER TABLE ledger.outbox
    ALTER COLUMN payment_id DROP NOT NULL,
    ALTER COLUMN detail DROP NOT NULL,
    ADD COLUMN batch_id bigint REFERENCES ledger.batches,
    ADD CONSTRAINT outbox_says_something CHECK ((batch_id IS NULL) = (detail IS NOT NULL)),
    ADD CONSTRAINT outbox_names_its_payment CHECK (batch_id IS NOT NULL OR payment_id IS NOT NULL);
