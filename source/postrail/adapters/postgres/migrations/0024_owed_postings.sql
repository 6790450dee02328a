-- Postings that are owed: what the engine asks of them, and what the ledger makes of their holds (docs/holds.md).

-- What a capture takes over its hold is added to the hold under a key of the ledger's own. Not asked of older rows: a
-- caller may have made such a key when it was his.
ALTER TABLE ledger.hold_changes
    DROP CONSTRAINT hold_changes_own_their_keys,
    ADD CONSTRAINT hold_changes_own_their_keys
        CHECK (CASE WHEN starts_with(change_key, 'excess:') THEN change = 'extend'
                    ELSE (change IN ('capture', 'expire')) = (change_key ~ '^(capture|expire):') END) NOT VALID;

DROP FUNCTION ledger.reverse(uuid[], uuid[], text[], timestamptz[], text);
DROP FUNCTION ledger.post(text, text, uuid[], uuid[], uuid[], text[], uuid[], text[], timestamptz[], smallint[], uuid[],
                          uuid[], boolean[], integer[], text[], text[], text[], smallint[], integer[], smallint[],
                          integer[], bigint[]);
DROP FUNCTION ledger.judge_funds(boolean[], text[], text[], uuid[], timestamptz[], uuid[], boolean[], text[], integer[],
                                 numeric[], numeric[], bigint[], integer[], integer[], bigint[]);
DROP FUNCTION ledger.look_at_hold(uuid, integer[], integer[], bigint[], boolean);
DROP FUNCTION ledger.capture_hold(uuid, bigint, bigint, uuid, timestamptz);

-- What an order would capture of a hold, and what that sets free of its account. `account` is a place in p_account_no;
-- l_* are the legs of the order. A final capture ends the hold and sets free what is left of it.
--
-- An order that is owed does not depend on how much is held: what it takes over the hold is added to the hold
-- (`over_minor`), and of a hold that expired it captures nothing (null). That the hold was released says that the
-- issuer has undone its approval: nothing is owed any more.
CREATE FUNCTION ledger.look_at_hold(
    p_hold_id uuid, p_account_no integer[], l_account integer[], l_amount_minor bigint[], p_final boolean,
    p_owed boolean, OUT reason text, OUT detail text, OUT account integer, OUT capture_minor bigint,
    OUT over_minor bigint, OUT freed_minor bigint
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_hold ledger.holds;
    v_name text := 'hold ' || ledger.id_text('hld', p_hold_id);
    v_capture numeric;
    v_allowed numeric;
BEGIN
    -- Read without a lock: nobody changes a hold without the lock of its account's balance, which is ours when the
    -- posting debits the account. When it does not, what the hold says does not matter.
    SELECT * INTO v_hold FROM ledger.holds WHERE hold_id = p_hold_id;
    SELECT min(l.account), -sum(l.amount_minor) INTO account, v_capture
      FROM unnest(l_account, l_amount_minor) AS l (account, amount_minor)
     WHERE p_account_no[l.account] = v_hold.account_no;
    v_allowed := v_hold.amount_minor::numeric + v_hold.tolerance_minor - v_hold.captured_minor;
    IF v_hold.hold_id IS NULL THEN
        reason := 'HOLD_NOT_FOUND';
        detail := 'the ledger has no ' || v_name;
    ELSIF coalesce(v_capture, 0) <= 0 THEN
        reason := 'HOLD_NOT_FOUND';
        detail := 'the posting does not debit the account of ' || v_name;
    ELSIF p_owed AND v_hold.status = 'expired' THEN
        freed_minor := 0;
    ELSIF p_owed AND v_hold.status = 'released' THEN
        reason := 'HOLD_RELEASED';
        detail := v_name || ' was released: its approval was undone';
    ELSIF v_hold.status <> 'active' THEN
        reason := 'HOLD_NOT_ACTIVE';
        detail := v_name || ' is ' || v_hold.status;
    ELSIF p_owed AND v_hold.captured_minor + v_capture > 9223372036854775807 THEN
        reason := 'AMOUNT_OVERFLOW';
        detail := 'more would be captured of ' || v_name || ' than the ledger can keep';
    ELSIF v_capture > v_allowed AND NOT p_owed THEN
        reason := 'CAPTURE_EXCEEDS_HOLD';
        detail := v_name || ' allows ' || v_allowed || ', the posting captures ' || v_capture;
    ELSE
        capture_minor := v_capture;
        over_minor := greatest(0, v_capture - v_allowed);
        freed_minor := CASE WHEN p_final THEN v_hold.remaining_minor ELSE least(v_hold.remaining_minor, v_capture) END;
    END IF;
END;
$$;

REVOKE ALL ON FUNCTION ledger.look_at_hold FROM PUBLIC;

CREATE FUNCTION ledger.capture_hold(
    p_hold_id uuid, p_capture_minor bigint, p_over_minor bigint, p_freed_minor bigint, p_transaction_id uuid,
    p_occurred_at timestamptz
) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE ledger.holds
       SET amount_minor = amount_minor + p_over_minor,
           captured_minor = captured_minor + p_capture_minor,
           remaining_minor = remaining_minor - p_freed_minor,
           status = CASE WHEN remaining_minor = p_freed_minor THEN 'captured' ELSE 'active' END,
           closed_at = CASE WHEN remaining_minor = p_freed_minor THEN clock_timestamp() END
     WHERE hold_id = p_hold_id;
    INSERT INTO ledger.hold_changes
           (hold_id, change, change_key, fingerprint, amount_minor, held_minor, occurred_at)
    SELECT p_hold_id, 'extend', 'excess:' || p_transaction_id, p_transaction_id, p_over_minor, 0,
           p_occurred_at
     WHERE p_over_minor > 0;
    INSERT INTO ledger.hold_changes
           (hold_id, change, change_key, fingerprint, amount_minor, held_minor, transaction_id, occurred_at)
    VALUES (p_hold_id, 'capture', 'capture:' || p_transaction_id, p_transaction_id, p_capture_minor, -p_freed_minor,
            p_transaction_id, p_occurred_at);
$$;

REVOKE ALL ON FUNCTION ledger.capture_hold FROM PUBLIC;

-- Takes the orders one after the other and refuses those that capture what is not held, that move a balance out of
-- range, or that leave less available than the limit. An order that is owed is not refused for that: what is missing is
-- noted with the balance. Called only for batches in which any of this may happen.
CREATE FUNCTION ledger.judge_funds(
    INOUT ok boolean[], INOUT reason text[], INOUT detail text[],
    p_transaction_id uuid[], p_occurred_at timestamptz[], p_hold_id uuid[], p_final boolean[],
    p_owed boolean[],
    a_account_id text[], p_account_no integer[], p_total numeric[], p_available numeric[], p_floor bigint[],
    l_order integer[], l_account integer[], l_amount_minor bigint[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_order integer;
    v_first integer := 1;
    v_last integer := 0;
    v_legs integer := coalesce(cardinality(l_order), 0);
    v_leg integer;
    v_account integer;
    v_hold record;
    v_bad integer;
    v_freed bigint;
    v_capture bigint;
    v_owed boolean;
    v_net numeric;
    v_short_no integer[] := '{}';
    v_short_by uuid[] := '{}';
    v_short_minor bigint[] := '{}';
BEGIN
    FOR v_order IN 1 .. cardinality(ok) LOOP
        v_first := v_last + 1;
        WHILE v_last < v_legs AND l_order[v_last + 1] = v_order LOOP
            v_last := v_last + 1;
        END LOOP;
        CONTINUE WHEN NOT ok[v_order];

        v_bad := NULL;
        v_capture := 0;
        v_owed := coalesce(p_owed[v_order], false);
        FOR v_leg IN v_first .. v_last LOOP
            v_account := l_account[v_leg];
            p_total[v_account] := p_total[v_account] + l_amount_minor[v_leg];
            p_available[v_account] := p_available[v_account] + l_amount_minor[v_leg];
        END LOOP;
        FOR v_leg IN v_first .. v_last LOOP
            v_account := l_account[v_leg];
            IF p_total[v_account] NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
                v_bad := v_account;
            END IF;
        END LOOP;
        IF v_bad IS NOT NULL THEN
            reason[v_order] := 'AMOUNT_OVERFLOW';
            detail[v_order] := 'a balance would leave the range that the ledger can keep';
        ELSE
            -- A hold sets free what it captures: it is looked at before the limit, and taken down only when the
            -- order passes. Nothing is undone afterwards.
            v_freed := 0;
            IF p_hold_id[v_order] IS NOT NULL THEN
                SELECT * INTO v_hold FROM ledger.look_at_hold(
                    p_hold_id[v_order], p_account_no, l_account[v_first:v_last], l_amount_minor[v_first:v_last],
                    coalesce(p_final[v_order], false), v_owed);
                IF v_hold.reason IS NOT NULL THEN
                    v_bad := 0;
                    reason[v_order] := v_hold.reason;
                    detail[v_order] := v_hold.detail;
                ELSE
                    v_capture := v_hold.capture_minor;
                    v_freed := v_hold.freed_minor;
                    p_available[v_hold.account] := p_available[v_hold.account] + v_freed;
                END IF;
            END IF;
            IF v_bad IS NULL THEN
                FOR v_leg IN v_first .. v_last LOOP
                    v_account := l_account[v_leg];
                    CONTINUE WHEN p_available[v_account] >= p_floor[v_account] OR p_floor[v_account] IS NULL;
                    IF v_owed AND p_floor[v_account] - p_available[v_account] <= 9223372036854775807 THEN
                        v_short_no := v_short_no || p_account_no[v_account];
                        v_short_by := v_short_by || p_transaction_id[v_order];
                        v_short_minor := v_short_minor || (p_floor[v_account] - p_available[v_account])::bigint;
                        CONTINUE;
                    END IF;
                    -- An account that is overdrawn takes what does not lower it further.
                    SELECT coalesce(sum(l.amount_minor), 0) INTO v_net
                      FROM unnest(l_account[v_first:v_last], l_amount_minor[v_first:v_last])
                           AS l (account, amount_minor)
                     WHERE l.account = v_account;
                    IF v_freed > 0 THEN
                        v_net := v_net + CASE WHEN v_hold.account = v_account THEN v_freed ELSE 0 END;
                    END IF;
                    IF v_net < 0 THEN
                        v_bad := v_account;
                    END IF;
                END LOOP;
                IF v_bad IS NOT NULL THEN
                    reason[v_order] := 'INSUFFICIENT_FUNDS';
                    detail[v_order] := 'account ' || a_account_id[v_bad] || ' would have less available than its limit';
                    IF v_freed > 0 THEN
                        p_available[v_hold.account] := p_available[v_hold.account] - v_freed;
                    END IF;
                ELSIF v_capture > 0 THEN
                    PERFORM ledger.capture_hold(p_hold_id[v_order], v_capture, v_hold.over_minor, v_freed,
                                                p_transaction_id[v_order], p_occurred_at[v_order]);
                END IF;
            END IF;
        END IF;
        IF v_bad IS NOT NULL THEN
            ok[v_order] := false;
            FOR v_leg IN v_first .. v_last LOOP
                v_account := l_account[v_leg];
                p_total[v_account] := p_total[v_account] - l_amount_minor[v_leg];
                p_available[v_account] := p_available[v_account] - l_amount_minor[v_leg];
            END LOOP;
        END IF;
    END LOOP;

    -- After the holds were taken down, whose triggers move the balances: from here on only the entries come.
    INSERT INTO ledger.overdrafts (account_no, transaction_id, overdrawn_minor)
    SELECT s.account_no, s.transaction_id, max(s.overdrawn_minor)
      FROM unnest(v_short_no, v_short_by, v_short_minor) WITH ORDINALITY
           AS s (account_no, transaction_id, overdrawn_minor, no)
     GROUP BY s.account_no, s.transaction_id
     ORDER BY min(s.no);
END;
$$;

REVOKE ALL ON FUNCTION ledger.judge_funds FROM PUBLIC;

-- Posts a batch of orders, each whole or not at all. A refused order leaves its neighbours alone.
--
-- Arrays p_* run in parallel, one element an order. Arrays a_* name each account once, with the currency its legs are
-- in; arrays l_* have one element a leg, in the order of their orders: the order it belongs to, its number in it, the
-- place of its account in a_*, its signed amount. A payment key may stand in one call once only.
-- `p_refused` lists orders that the caller refuses himself, with reason and detail. `p_reverses`, `p_hold_id`,
-- `p_final` and `p_owed` may be null when no order has any.
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
--   HOLD_NOT_FOUND, HOLD_NOT_ACTIVE, CAPTURE_EXCEEDS_HOLD; HOLD_RELEASED of an order that was owed
--   INSUFFICIENT_FUNDS   less than the account's limit would be available, and the order is not owed
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
    l_order integer[], l_leg_no smallint[], l_account integer[], l_amount_minor bigint[],
    p_owed boolean[] DEFAULT NULL
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
                       v_ok, v_reason, v_detail, p_transaction_id, p_occurred_at, p_hold_id, p_final, p_owed,
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

-- Takes back posted transactions: for each, a new linked transaction with every leg the other way round. It is keyed
-- `reversal:<key of the original>`, so that a transaction is reversed once. Rows come back as from `ledger.post`, with
-- TRANSACTION_NOT_FOUND and NOT_REVERSIBLE besides. `p_owed`: whatever is available.
CREATE FUNCTION ledger.reverse(
    p_original uuid[], p_transaction_id uuid[], p_description text[], p_occurred_at timestamptz[], p_correlation_id text,
    p_owed boolean DEFAULT false
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
        coalesce(l.leg_no, '{}'), coalesce(l.account, '{}'), coalesce(l.amount_minor, '{}'),
        CASE WHEN p_owed THEN array_fill(true, ARRAY[cardinality(p_original)]) END);
END;
$$;

REVOKE ALL ON FUNCTION ledger.reverse FROM PUBLIC;
