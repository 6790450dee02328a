-- What posting asks of accounts and holds, order by order.

-- The accounts of a posting call, aligned with what was asked: arrays because plans are quicker with them than with joins.
CREATE TYPE ledger.accounts_to_post AS (
    account_no integer[],
    fault      smallint[],
    total      numeric[],
    available  numeric[],
    floor      bigint[],
    faulty     boolean
);

-- Looks accounts up, each by its key (OFFSET 0 keeps the planner from reading a young table from end to end, in a plan
-- that it then keeps while the table grows); when `p_lock`, nobody else moves their balances or changes their status from here on. Each fault is
-- 0, 1 (not found), 2 (other currency), 3 (closed), 4 (frozen); 3 and 4 are only known of locked accounts.
CREATE FUNCTION ledger.find_accounts(
    p_account_id text[], p_currency_no smallint[], p_lane smallint, p_lock boolean
) RETURNS ledger.accounts_to_post
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_found ledger.accounts_to_post;
    v_account_no integer[];
    v_no integer[];
BEGIN
    IF NOT p_lock THEN
        SELECT array_agg(a.account_no ORDER BY k.no), count(*) < cardinality(p_account_id)
          INTO v_found.account_no, v_found.faulty
          FROM unnest(p_account_id) WITH ORDINALITY AS k (account_id, no)
         CROSS JOIN LATERAL (SELECT account_no FROM ledger.accounts WHERE account_id = k.account_id OFFSET 0) AS a;
        RETURN v_found;
    END IF;

    SELECT array_agg(a.account_no) INTO v_account_no
      FROM unnest(p_account_id) AS k (account_id)
     CROSS JOIN LATERAL (SELECT account_no FROM ledger.accounts WHERE account_id = k.account_id OFFSET 0) AS a;
    PERFORM FROM ledger.balances
      WHERE account_no = ANY (v_account_no) AND shard = ANY (ARRAY[0::smallint, p_lane])
      ORDER BY account_no FOR UPDATE;

    WITH locked AS MATERIALIZED (
        SELECT k.no::integer AS no, b.account_no, b.total_minor::numeric AS total,
               b.total_minor::numeric - b.held_minor AS available, b.floor_minor,
               (CASE WHEN b.currency_no <> k.currency_no THEN 2
                     WHEN b.status = 'closed' THEN 3
                     WHEN b.status = 'frozen' THEN 4 ELSE 0 END)::smallint AS fault
          FROM unnest(p_account_id, p_currency_no) WITH ORDINALITY AS k (account_id, currency_no, no)
         CROSS JOIN LATERAL (SELECT account_no FROM ledger.accounts WHERE account_id = k.account_id OFFSET 0) AS a
         CROSS JOIN LATERAL (SELECT * FROM ledger.balances
                              WHERE account_no = a.account_no AND shard = ANY (ARRAY[0::smallint, p_lane])
                             OFFSET 0) AS b
    )
    SELECT array_agg(no ORDER BY no), array_agg(account_no ORDER BY no), array_agg(fault ORDER BY no),
           array_agg(total ORDER BY no), array_agg(available ORDER BY no), array_agg(floor_minor ORDER BY no),
           coalesce(bool_or(fault > 0), false)
      INTO v_no, v_found.account_no, v_found.fault, v_found.total, v_found.available, v_found.floor, v_found.faulty
      FROM locked;
    IF coalesce(cardinality(v_no), 0) < cardinality(p_account_id) THEN
        SELECT array_agg(coalesce(v_found.account_no[p], 0) ORDER BY no),
               array_agg(coalesce(v_found.fault[p], 1::smallint) ORDER BY no), array_agg(v_found.total[p] ORDER BY no),
               array_agg(v_found.available[p] ORDER BY no), array_agg(v_found.floor[p] ORDER BY no), true
          INTO v_found.account_no, v_found.fault, v_found.total, v_found.available, v_found.floor, v_found.faulty
          FROM (SELECT k.no, array_position(v_no, k.no) AS p
                  FROM generate_subscripts(p_account_id, 1) AS k (no)) AS placed;
    END IF;
    RETURN v_found;
END;
$$;

REVOKE ALL ON FUNCTION ledger.find_accounts FROM PUBLIC;

-- What is wrong with an account, in words. 1 not found, 2 other currency, 3 and 4 not open.
CREATE FUNCTION ledger.describe_fault(p_fault smallint, p_account_id text, p_currency_no smallint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE p_fault
           WHEN 1 THEN 'the ledger has no account ' || p_account_id
           WHEN 2 THEN (SELECT 'account ' || p_account_id || ' is kept in ' || a.currency || ', the leg is in ' || c.currency
                          FROM ledger.accounts AS a, ledger.currencies AS c
                         WHERE a.account_id = p_account_id AND c.currency_no = p_currency_no)
           ELSE (SELECT 'account ' || p_account_id || ' is ' || a.status
                   FROM ledger.accounts AS a WHERE a.account_id = p_account_id)
           END;
$$;

REVOKE ALL ON FUNCTION ledger.describe_fault FROM PUBLIC;

-- What an order would capture of a hold, and what that sets free of its account. `account` is a place in p_account_no;
-- l_* are the legs of the order. A final capture ends the hold and sets free what is left of it.
CREATE FUNCTION ledger.look_at_hold(
    p_hold_id uuid, p_account_no integer[], l_account integer[], l_amount_minor bigint[], p_final boolean,
    OUT reason text, OUT detail text, OUT account integer, OUT capture_minor bigint, OUT freed_minor bigint
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
    ELSIF v_hold.status <> 'active' THEN
        reason := 'HOLD_NOT_ACTIVE';
        detail := v_name || ' is ' || v_hold.status;
    ELSIF v_capture > v_allowed THEN
        reason := 'CAPTURE_EXCEEDS_HOLD';
        detail := v_name || ' allows ' || v_allowed || ', the posting captures ' || v_capture;
    ELSE
        capture_minor := v_capture;
        freed_minor := CASE WHEN p_final THEN v_hold.remaining_minor ELSE least(v_hold.remaining_minor, v_capture) END;
    END IF;
END;
$$;

REVOKE ALL ON FUNCTION ledger.look_at_hold FROM PUBLIC;

CREATE FUNCTION ledger.capture_hold(
    p_hold_id uuid, p_capture_minor bigint, p_freed_minor bigint, p_transaction_id uuid, p_occurred_at timestamptz
) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE ledger.holds
       SET captured_minor = captured_minor + p_capture_minor,
           remaining_minor = remaining_minor - p_freed_minor,
           status = CASE WHEN remaining_minor = p_freed_minor THEN 'captured' ELSE 'active' END,
           closed_at = CASE WHEN remaining_minor = p_freed_minor THEN clock_timestamp() END
     WHERE hold_id = p_hold_id;
    INSERT INTO ledger.hold_changes
           (hold_id, change, change_key, fingerprint, amount_minor, held_minor, transaction_id, occurred_at)
    VALUES (p_hold_id, 'capture', 'capture:' || p_transaction_id, p_transaction_id, p_capture_minor, -p_freed_minor,
            p_transaction_id, p_occurred_at);
$$;

REVOKE ALL ON FUNCTION ledger.capture_hold FROM PUBLIC;

-- Takes the orders one after the other and refuses those that capture what is not held, that move a balance out of
-- range, or that leave less available than the limit. Called only for batches in which that may happen.
CREATE FUNCTION ledger.judge_funds(
    INOUT ok boolean[], INOUT reason text[], INOUT detail text[],
    p_transaction_id uuid[], p_occurred_at timestamptz[], p_hold_id uuid[], p_final boolean[],
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
BEGIN
    FOR v_order IN 1 .. cardinality(ok) LOOP
        v_first := v_last + 1;
        WHILE v_last < v_legs AND l_order[v_last + 1] = v_order LOOP
            v_last := v_last + 1;
        END LOOP;
        CONTINUE WHEN NOT ok[v_order];

        v_bad := NULL;
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
                    coalesce(p_final[v_order], false));
                IF v_hold.reason IS NOT NULL THEN
                    v_bad := 0;
                    reason[v_order] := v_hold.reason;
                    detail[v_order] := v_hold.detail;
                ELSE
                    v_freed := v_hold.freed_minor;
                    p_available[v_hold.account] := p_available[v_hold.account] + v_freed;
                END IF;
            END IF;
            IF v_bad IS NULL THEN
                FOR v_leg IN v_first .. v_last LOOP
                    v_account := l_account[v_leg];
                    IF p_available[v_account] < p_floor[v_account] THEN
                        v_bad := v_account;
                    END IF;
                END LOOP;
                IF v_bad IS NOT NULL THEN
                    reason[v_order] := 'INSUFFICIENT_FUNDS';
                    detail[v_order] := 'account ' || a_account_id[v_bad] || ' would have less available than its limit';
                    IF v_freed > 0 THEN
                        p_available[v_hold.account] := p_available[v_hold.account] - v_freed;
                    END IF;
                ELSIF p_hold_id[v_order] IS NOT NULL THEN
                    PERFORM ledger.capture_hold(p_hold_id[v_order], v_hold.capture_minor, v_freed,
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
END;
$$;

REVOKE ALL ON FUNCTION ledger.judge_funds FROM PUBLIC;
