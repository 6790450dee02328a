-- Posts a batch of orders, each whole or not at all. A refused order leaves its neighbours alone.
--
-- Arrays p_* run in parallel, one element an order. Arrays a_* name each account once, with the currency its legs are
-- in; arrays l_* have one element a leg, in the order of their orders: the order it belongs to, its number in it, the
-- place of its account in a_*, its signed amount. A payment key may stand in one call once only.
-- `p_refused` lists orders that the caller refuses himself, with reason and detail. `p_reverses`, `p_hold_id` and
-- `p_final` may be null when no order has any.
-- One row comes back for each refused order, and one (order_no null) that names the batch when one was written.
--
-- Reasons, the first that holds is given:
--   the caller's own
--   ALREADY_POSTED       the payment key is in the journal with the same fingerprint; `standing` says where
--   POSTING_CONFLICT     the payment key is in the journal with another fingerprint
--   SEQUENCE_INCONSISTENT  the sequence is posted, by a payment with another key
--   ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH
--   ACCOUNT_NOT_OPEN     closed; or frozen, and the leg is a debit: what is owed to a customer still arrives
--   AMOUNT_OVERFLOW      a balance would leave the range of a bigint
--   HOLD_NOT_FOUND, HOLD_NOT_ACTIVE, CAPTURE_EXCEEDS_HOLD
--   INSUFFICIENT_FUNDS   less than the account's limit would be available
--
-- Orders that fit their accounts all together are taken as they are. When something does not fit, they are taken one
-- after the other: each must fit after those before it.
--
-- Order of locks: lane, payment keys, balances by account, each sorted; when it is careful, balances come before keys.
-- Sessions queue up then; only two that bring the same key, one of them careful, can meet crosswise, and one of them is
-- told to come again.

CREATE FUNCTION ledger.post(
    p_kind text, p_correlation_id text,
    p_transaction_id uuid[], p_payment_id uuid[], p_sequence_id uuid[], p_payment_key text[], p_fingerprint uuid[],
    p_description text[], p_occurred_at timestamptz[], p_leg_count smallint[],
    p_reverses uuid[], p_hold_id uuid[], p_final boolean[],
    p_refused integer[], p_refused_reason text[], p_refused_detail text[],
    a_account_id text[], a_currency_no smallint[],
    l_order integer[], l_leg_no smallint[], l_account integer[], l_amount_minor bigint[]
) RETURNS TABLE (order_no integer, reason text, detail text, standing uuid, batch_id bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_orders integer := cardinality(p_transaction_id);
    v_lane smallint;
    v_careful boolean := p_hold_id IS NOT NULL;
    v_accounts ledger.accounts_to_post;
    v_ok boolean[];
    v_reason text[];
    v_detail text[];
    v_standing uuid[];
    v_position integer[];
    v_count integer;
    v_batch_id bigint;
    v_attempt integer := 0;
    v_constraint text;
    v_row record;
BEGIN
    IF v_orders = 0 THEN
        RETURN;
    END IF;
    v_lane := ledger.take_lane();

    -- Hopes first that no account is in the way: the law of the batch would notice. Only when it did, or holds are to
    -- be captured, the accounts are locked beforehand and the orders looked at one by one.
    LOOP
        v_attempt := v_attempt + 1;
        BEGIN
            v_accounts := ledger.find_accounts(a_account_id, a_currency_no, v_lane, v_careful);
            IF v_accounts.faulty AND NOT v_careful THEN
                v_careful := true;
                v_accounts := ledger.find_accounts(a_account_id, a_currency_no, v_lane, v_careful);
            END IF;

            v_ok := array_fill(true, ARRAY[v_orders]);
            v_reason := array_fill(NULL::text, ARRAY[v_orders]);
            v_detail := v_reason;
            v_standing := array_fill(NULL::uuid, ARRAY[v_orders]);
            FOR v_no IN 1 .. coalesce(cardinality(p_refused), 0) LOOP
                v_ok[p_refused[v_no]] := false;
                v_reason[p_refused[v_no]] := p_refused_reason[v_no];
                v_detail[p_refused[v_no]] := p_refused_detail[v_no];
            END LOOP;

            FOR v_row IN
                SELECT o.no, t.transaction_id, t.fingerprint = o.fingerprint AS same
                  FROM unnest(p_payment_key, p_fingerprint) WITH ORDINALITY AS o (payment_key, fingerprint, no)
                 CROSS JOIN LATERAL (SELECT transaction_id, fingerprint FROM ledger.journal_transactions
                                      WHERE payment_key = o.payment_key OFFSET 0) AS t
            LOOP
                CONTINUE WHEN NOT v_ok[v_row.no];
                v_ok[v_row.no] := false;
                v_standing[v_row.no] := v_row.transaction_id;
                v_reason[v_row.no] := CASE WHEN v_row.same THEN 'ALREADY_POSTED' ELSE 'POSTING_CONFLICT' END;
                v_detail[v_row.no] := 'the payment key is posted by ' || ledger.id_text('txn', v_row.transaction_id);
            END LOOP;

            IF v_careful THEN
                FOR v_row IN
                    SELECT o.no, t.transaction_id
                      FROM unnest(p_sequence_id) WITH ORDINALITY AS o (sequence_id, no)
                     CROSS JOIN LATERAL (SELECT transaction_id FROM ledger.journal_transactions
                                          WHERE sequence_id = o.sequence_id AND kind = 'payment' OFFSET 0) AS t
                     WHERE p_kind = 'payment'
                LOOP
                    CONTINUE WHEN NOT v_ok[v_row.no];
                    v_ok[v_row.no] := false;
                    v_standing[v_row.no] := v_row.transaction_id;
                    v_reason[v_row.no] := 'SEQUENCE_INCONSISTENT';
                    v_detail[v_row.no] := 'the sequence is posted under another payment key by '
                                          || ledger.id_text('txn', v_row.transaction_id);
                END LOOP;
                FOR v_row IN
                    SELECT DISTINCT ON (l.order_no) l.order_no, l.account, v_accounts.fault[l.account] AS fault
                      FROM unnest(l_order, l_account, l_amount_minor)
                           WITH ORDINALITY AS l (order_no, account, amount_minor, no)
                     WHERE v_accounts.fault[l.account] BETWEEN 1 AND 3
                        OR (v_accounts.fault[l.account] = 4 AND l.amount_minor < 0)
                     ORDER BY l.order_no, v_accounts.fault[l.account], l.no
                LOOP
                    CONTINUE WHEN NOT v_ok[v_row.order_no];
                    v_ok[v_row.order_no] := false;
                    v_reason[v_row.order_no] := (ARRAY['ACCOUNT_NOT_FOUND', 'CURRENCY_MISMATCH', 'ACCOUNT_NOT_OPEN',
                                                       'ACCOUNT_NOT_OPEN'])[v_row.fault];
                    v_detail[v_row.order_no] := ledger.describe_fault(
                        v_row.fault, a_account_id[v_row.account], a_currency_no[v_row.account]);
                END LOOP;
                SELECT j.ok, j.reason, j.detail INTO v_ok, v_reason, v_detail
                  FROM ledger.judge_funds(
                       v_ok, v_reason, v_detail, p_transaction_id, p_occurred_at, p_hold_id, p_final,
                       a_account_id, v_accounts.account_no, v_accounts.total, v_accounts.available, v_accounts.floor,
                       l_order, l_account, l_amount_minor) AS j;
            END IF;

            SELECT count(*) FILTER (WHERE ok) INTO v_count FROM unnest(v_ok) AS o (ok);
            EXIT WHEN v_count = 0;
            v_position := NULL;
            IF v_count < v_orders THEN
                SELECT array_agg(running ORDER BY no) INTO v_position
                  FROM (SELECT no, (count(*) FILTER (WHERE ok) OVER (ORDER BY no))::integer AS running
                          FROM unnest(v_ok) WITH ORDINALITY AS o (ok, no)) AS placed;
            END IF;
            v_batch_id := ledger.begin_batch(v_count, p_correlation_id, v_lane, clock_timestamp());
            INSERT INTO ledger.journal_transactions
                   (batch_id, position, leg_count, kind, occurred_at, transaction_id, payment_id, sequence_id,
                    reverses, fingerprint, payment_key, description)
            SELECT v_batch_id, CASE WHEN v_position IS NULL THEN o.no::integer ELSE v_position[o.no] END,
                   o.leg_count, p_kind, o.occurred_at, o.transaction_id, o.payment_id, o.sequence_id,
                   p_reverses[o.no], o.fingerprint, o.payment_key, o.description
              FROM unnest(p_transaction_id, p_payment_id, p_sequence_id, p_payment_key, p_fingerprint,
                          p_description, p_occurred_at, p_leg_count)
                   WITH ORDINALITY
                   AS o (transaction_id, payment_id, sequence_id, payment_key, fingerprint,
                         description, occurred_at, leg_count, no)
             WHERE v_ok[o.no]
             ORDER BY o.payment_key COLLATE "C";
            INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, currency_no, amount_minor)
            SELECT v_batch_id, CASE WHEN v_position IS NULL THEN l.order_no ELSE v_position[l.order_no] END,
                   l.leg_no, v_accounts.account_no[l.account], a_currency_no[l.account], l.amount_minor
              FROM unnest(l_order, l_leg_no, l_account, l_amount_minor) AS l (order_no, leg_no, account, amount_minor)
             WHERE v_ok[l.order_no];
            EXIT;
        EXCEPTION
            WHEN unique_violation THEN
                -- Another session posted one of the keys between our look and our insert, or a sequence is posted
                -- under another key: look again, and at the sequences too.
                GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
                IF v_attempt >= 5 OR v_constraint NOT IN
                       ('journal_transactions_payment_key_key', 'journal_transactions_sequence_id') THEN
                    RAISE;
                END IF;
                v_careful := v_careful OR v_constraint = 'journal_transactions_sequence_id';
            WHEN foreign_key_violation OR check_violation OR numeric_value_out_of_range THEN
                IF v_careful THEN
                    RAISE;
                END IF;
                v_careful := true;
        END;
        v_batch_id := NULL;
    END LOOP;

    IF v_batch_id IS NOT NULL THEN
        RETURN QUERY SELECT NULL::integer, NULL::text, NULL::text, NULL::uuid, v_batch_id;
    END IF;
    IF v_count < v_orders THEN
        RETURN QUERY
        SELECT o.no::integer, o.reason, o.detail, o.standing, NULL::bigint
          FROM unnest(v_ok, v_reason, v_detail, v_standing) WITH ORDINALITY AS o (ok, reason, detail, standing, no)
         WHERE NOT o.ok ORDER BY o.no;
    END IF;
END;
$$;

REVOKE ALL ON FUNCTION ledger.post FROM PUBLIC;
