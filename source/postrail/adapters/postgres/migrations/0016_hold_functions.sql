-- What is done to holds, set by set: place, extend, release, expire. Captures are part of posting (0013).
--
-- Each change has a key. The same key with the same content changes nothing and says how the hold stands; the same key
-- with other content is a HOLD_CONFLICT. A refusal leaves no trace: asked again, it is judged anew.
-- Order of locks, as everywhere: balances by account, then holds. Nobody changes a hold without its account's lock, so
-- whoever has that reads holds as they are.
--
-- Arrays run in parallel, one element an order, and one row comes back for each, in their order. Neither a key nor a
-- hold may stand in one call twice. `available_minor` is what its account has available after this order.

ALTER TABLE ledger.hold_changes
    ADD CONSTRAINT hold_changes_own_their_keys
        CHECK ((change IN ('capture', 'expire')) = (change_key ~ '^(capture|expire):'));

CREATE TYPE ledger.hold_answer AS (
    order_no        integer,
    reason          text,
    detail          text,
    repeated        boolean,
    hold_id         uuid,
    status          text,
    remaining_minor bigint,
    available_minor numeric
);

-- Places holds. `p_account` is the place of an order's account in a_*, which name each account once, with its currency.
--
-- Reasons, the first that holds is given:
--   HOLD_CONFLICT        the key stands for another change; or the hold's id is taken
--   ACCOUNT_NOT_FOUND
--   HOT_ACCOUNT          its balance is kept in shards, none of which knows what is available
--   CURRENCY_MISMATCH
--   ACCOUNT_NOT_OPEN     closed or frozen
--   AMOUNT_OVERFLOW      more would be held than a bigint can tell
--   INSUFFICIENT_FUNDS   less than the account's limit would be available
CREATE FUNCTION ledger.place_holds(
    p_hold_id uuid[], p_change_key text[], p_fingerprint uuid[], p_kind text[], p_amount_minor bigint[],
    p_tolerance_minor bigint[], p_payment_id uuid[], p_occurred_at timestamptz[], p_expires_at timestamptz[],
    p_account integer[], a_account_id text[], a_currency_no smallint[]
) RETURNS SETOF ledger.hold_answer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_orders integer := cardinality(p_hold_id);
    v_accounts ledger.accounts_to_post;
    v_available numeric[];
    v_answers ledger.hold_answer[];
    v_answer ledger.hold_answer;
    v_known record;
    v_account integer;
    v_constraint text;
    v_attempt integer := 0;
BEGIN
    LOOP
        v_attempt := v_attempt + 1;
        BEGIN
            -- No lane: a hot account is not found, since it has no shard 0.
            v_accounts := ledger.find_accounts(a_account_id, a_currency_no, 0::smallint, true);
            v_available := v_accounts.available;
            v_answers := array_fill(NULL::ledger.hold_answer, ARRAY[v_orders]);

            FOR v_known IN
                SELECT o.no, c.change_key IS NOT NULL AND c.change = 'place' AND c.fingerprint = o.fingerprint AS same,
                       c.change_key, h.hold_id, h.status, h.remaining_minor
                  FROM unnest(p_change_key, p_fingerprint, p_hold_id)
                       WITH ORDINALITY AS o (change_key, fingerprint, hold_id, no)
                  LEFT JOIN ledger.hold_changes AS c ON c.change_key = o.change_key
                  JOIN ledger.holds AS h ON h.hold_id = coalesce(c.hold_id, o.hold_id)
            LOOP
                v_answer := NULL;
                v_answer.repeated := v_known.same;
                v_answer.hold_id := v_known.hold_id;
                IF v_known.same THEN
                    v_answer.status := v_known.status;
                    v_answer.remaining_minor := v_known.remaining_minor;
                ELSE
                    v_answer.reason := 'HOLD_CONFLICT';
                    v_answer.detail := CASE WHEN v_known.change_key IS NULL THEN 'the id is taken: '
                                            ELSE 'the key stands for another change, of ' END
                                       || ledger.id_text('hld', v_known.hold_id);
                END IF;
                v_answers[v_known.no] := v_answer;
            END LOOP;

            FOR v_no IN 1 .. v_orders LOOP
                v_account := p_account[v_no];
                v_answer := v_answers[v_no];
                IF v_answer.repeated IS NULL THEN
                    v_answer.repeated := false;
                    v_answer.hold_id := p_hold_id[v_no];
                    IF v_accounts.fault[v_account] > 0 THEN
                        v_answer.reason := (ARRAY['ACCOUNT_NOT_FOUND', 'CURRENCY_MISMATCH', 'ACCOUNT_NOT_OPEN',
                                                  'ACCOUNT_NOT_OPEN'])[v_accounts.fault[v_account]];
                        v_answer.detail := ledger.describe_fault(
                            v_accounts.fault[v_account], a_account_id[v_account], a_currency_no[v_account]);
                        IF v_accounts.fault[v_account] = 1 AND EXISTS (
                               SELECT FROM ledger.accounts WHERE account_id = a_account_id[v_account]) THEN
                            v_answer.reason := 'HOT_ACCOUNT';
                            v_answer.detail := 'account ' || a_account_id[v_account] || ' is hot and takes no holds';
                        END IF;
                    ELSIF v_accounts.total[v_account] - v_available[v_account] + p_amount_minor[v_no]
                          > 9223372036854775807 THEN
                        v_answer.reason := 'AMOUNT_OVERFLOW';
                        v_answer.detail := 'more would be held than the ledger can keep';
                    ELSIF v_available[v_account] - p_amount_minor[v_no] < v_accounts.floor[v_account] THEN
                        v_answer.reason := 'INSUFFICIENT_FUNDS';
                        v_answer.detail := 'account ' || a_account_id[v_account]
                                           || ' would have less available than its limit';
                    ELSE
                        v_available[v_account] := v_available[v_account] - p_amount_minor[v_no];
                        v_answer.status := 'active';
                        v_answer.remaining_minor := p_amount_minor[v_no];
                    END IF;
                END IF;
                v_answer.order_no := v_no;
                IF v_answer.reason IS DISTINCT FROM 'CURRENCY_MISMATCH' THEN
                    v_answer.available_minor := v_available[v_account];
                END IF;
                v_answers[v_no] := v_answer;
            END LOOP;

            INSERT INTO ledger.holds
                   (hold_id, account_no, kind, amount_minor, remaining_minor, tolerance_minor, payment_id,
                    occurred_at, expires_at)
            SELECT a.hold_id, v_accounts.account_no[p_account[a.order_no]], p_kind[a.order_no], a.remaining_minor,
                   a.remaining_minor, p_tolerance_minor[a.order_no], p_payment_id[a.order_no],
                   p_occurred_at[a.order_no], p_expires_at[a.order_no]
              FROM unnest(v_answers) AS a
             WHERE a.reason IS NULL AND NOT a.repeated;
            INSERT INTO ledger.hold_changes
                   (hold_id, change, change_key, fingerprint, amount_minor, held_minor, occurred_at)
            SELECT a.hold_id, 'place', p_change_key[a.order_no], p_fingerprint[a.order_no], a.remaining_minor,
                   a.remaining_minor, p_occurred_at[a.order_no]
              FROM unnest(v_answers) AS a
             WHERE a.reason IS NULL AND NOT a.repeated;
            EXIT;
        EXCEPTION
            WHEN unique_violation THEN
                -- Another session took one of the keys between our look and our insert: look again.
                GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
                IF v_constraint NOT IN ('hold_changes_change_key_key', 'holds_pkey') OR v_attempt >= 5 THEN
                    RAISE;
                END IF;
        END;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(v_answers);
END;
$$;

REVOKE ALL ON FUNCTION ledger.place_holds FROM PUBLIC;

-- Locks the balances of holds' accounts, in sorted order, and says how they stand.
CREATE FUNCTION ledger.lock_accounts_of_holds(
    p_hold_id uuid[], OUT account_no integer[], OUT held numeric[], OUT available numeric[]
) LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH concerned AS MATERIALIZED (
        SELECT DISTINCT h.account_no
          FROM unnest(p_hold_id) AS o (hold_id)
          JOIN ledger.holds AS h ON h.hold_id = o.hold_id
    ), locked AS MATERIALIZED (
        SELECT b.account_no, b.held_minor, b.total_minor
          FROM concerned AS c
          JOIN ledger.balances AS b ON b.account_no = c.account_no AND b.shard = 0
         ORDER BY b.account_no
           FOR UPDATE OF b
    )
    SELECT array_agg(l.account_no), array_agg(l.held_minor::numeric),
           array_agg(l.total_minor::numeric - l.held_minor)
      FROM locked AS l;
$$;

REVOKE ALL ON FUNCTION ledger.lock_accounts_of_holds FROM PUBLIC;

-- Extends and releases holds. `p_change` is 'extend': `p_amount_minor` more is held, which may be 0, and the hold
-- expires at `p_expires_at` unless that is null. Or it is 'release': `p_amount_minor` less is held and promised, and
-- null lets go of all that is left, which ends the hold.
--
-- Reasons, the first that holds is given:
--   HOLD_CONFLICT        the key stands for another change
--   HOLD_NOT_FOUND
--   HOLD_NOT_ACTIVE      captured, released or expired
--   RELEASE_EXCEEDS_HOLD more than is still held
--   ACCOUNT_NOT_OPEN     more is to be held of an account that is closed or frozen
--   AMOUNT_OVERFLOW, INSUFFICIENT_FUNDS
CREATE FUNCTION ledger.change_holds(
    p_hold_id uuid[], p_change text[], p_change_key text[], p_fingerprint uuid[], p_amount_minor bigint[],
    p_expires_at timestamptz[], p_occurred_at timestamptz[]
) RETURNS SETOF ledger.hold_answer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_locked record;
    v_held numeric[];
    v_available numeric[];
    v_order record;
    v_place integer;
    v_more bigint;
    v_answers ledger.hold_answer[];
    v_answer ledger.hold_answer;
    v_moved bigint[];
    v_constraint text;
    v_attempt integer := 0;
BEGIN
    LOOP
        v_attempt := v_attempt + 1;
        BEGIN
            SELECT * INTO v_locked FROM ledger.lock_accounts_of_holds(p_hold_id);
            v_held := v_locked.held;
            v_available := v_locked.available;
            v_answers := '{}';
            v_moved := '{}';
            FOR v_order IN
                SELECT o.no::integer AS no, o.hold_id, o.change, o.amount_minor, h.account_no, h.status, h.remaining_minor,
                       h.amount_minor::numeric AS promised, c.change_key,
                       c.hold_id = o.hold_id AND c.change = o.change AND c.fingerprint = o.fingerprint AS same,
                       a.account_id, b.status AS account_status, b.floor_minor
                  FROM unnest(p_hold_id, p_change, p_change_key, p_fingerprint, p_amount_minor)
                       WITH ORDINALITY AS o (hold_id, change, change_key, fingerprint, amount_minor, no)
                  LEFT JOIN ledger.holds AS h ON h.hold_id = o.hold_id
                  LEFT JOIN ledger.hold_changes AS c ON c.change_key = o.change_key
                  LEFT JOIN ledger.accounts AS a ON a.account_no = h.account_no
                  LEFT JOIN ledger.balances AS b ON b.account_no = h.account_no AND b.shard = 0
                 ORDER BY o.no
            LOOP
                v_place := array_position(v_locked.account_no, v_order.account_no);
                v_more := CASE WHEN v_order.change = 'extend' THEN v_order.amount_minor
                               ELSE -coalesce(v_order.amount_minor, v_order.remaining_minor) END;
                v_answer := NULL;
                v_answer.order_no := v_order.no;
                v_answer.hold_id := v_order.hold_id;
                v_answer.repeated := false;
                v_answer.status := v_order.status;
                v_answer.remaining_minor := v_order.remaining_minor;
                IF v_order.same THEN
                    v_answer.repeated := true;
                ELSIF v_order.change_key IS NOT NULL THEN
                    v_answer.reason := 'HOLD_CONFLICT';
                    v_answer.detail := 'the key stands for another change';
                ELSIF v_order.status IS NULL THEN
                    v_answer.reason := 'HOLD_NOT_FOUND';
                    v_answer.detail := 'the ledger has no hold ' || ledger.id_text('hld', v_order.hold_id);
                ELSIF v_order.status <> 'active' THEN
                    v_answer.reason := 'HOLD_NOT_ACTIVE';
                    v_answer.detail := 'hold ' || ledger.id_text('hld', v_order.hold_id) || ' is ' || v_order.status;
                ELSIF v_more < -v_order.remaining_minor THEN
                    v_answer.reason := 'RELEASE_EXCEEDS_HOLD';
                    v_answer.detail := 'hold ' || ledger.id_text('hld', v_order.hold_id) || ' still holds '
                                       || v_order.remaining_minor || ', not ' || -v_more;
                ELSIF v_more > 0 AND v_order.account_status <> 'open' THEN
                    v_answer.reason := 'ACCOUNT_NOT_OPEN';
                    v_answer.detail := 'account ' || v_order.account_id || ' is ' || v_order.account_status;
                ELSIF v_more > 0 AND greatest(v_held[v_place], v_order.promised) + v_more > 9223372036854775807 THEN
                    v_answer.reason := 'AMOUNT_OVERFLOW';
                    v_answer.detail := 'more would be held than the ledger can keep';
                ELSIF v_more > 0 AND v_available[v_place] - v_more < v_order.floor_minor THEN
                    v_answer.reason := 'INSUFFICIENT_FUNDS';
                    v_answer.detail := 'account ' || v_order.account_id || ' would have less available than its limit';
                ELSE
                    v_held[v_place] := v_held[v_place] + v_more;
                    v_available[v_place] := v_available[v_place] - v_more;
                    v_answer.remaining_minor := v_order.remaining_minor + v_more;
                    v_answer.status := CASE WHEN v_answer.remaining_minor = 0 THEN 'released' ELSE 'active' END;
                END IF;
                v_answer.available_minor := v_available[v_place];
                v_answers[v_order.no] := v_answer;
                v_moved[v_order.no] := v_more;
            END LOOP;

            -- What is let go in part is not promised any more, so it cannot be captured later. A hold that ends keeps
            -- the amount it ended with.
            UPDATE ledger.holds AS h
               SET amount_minor = h.amount_minor + CASE WHEN a.status = 'active' THEN v_moved[a.order_no] ELSE 0 END,
                   remaining_minor = a.remaining_minor,
                   expires_at = coalesce(p_expires_at[a.order_no], h.expires_at),
                   status = a.status,
                   closed_at = CASE WHEN a.status <> 'active' THEN clock_timestamp() END
              FROM unnest(v_answers) AS a
             WHERE h.hold_id = a.hold_id AND a.reason IS NULL AND NOT a.repeated;
            INSERT INTO ledger.hold_changes
                   (hold_id, change, change_key, fingerprint, amount_minor, held_minor, occurred_at)
            SELECT a.hold_id, p_change[a.order_no], p_change_key[a.order_no], p_fingerprint[a.order_no],
                   abs(v_moved[a.order_no]), v_moved[a.order_no], p_occurred_at[a.order_no]
              FROM unnest(v_answers) AS a
             WHERE a.reason IS NULL AND NOT a.repeated
             ORDER BY a.order_no;
            EXIT;
        EXCEPTION
            WHEN unique_violation THEN
                GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
                IF v_constraint <> 'hold_changes_change_key_key' OR v_attempt >= 5 THEN
                    RAISE;
                END IF;
        END;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(v_answers);
END;
$$;

REVOKE ALL ON FUNCTION ledger.change_holds FROM PUBLIC;

-- Ends at most `p_limit` holds that were due by `p_now`, those due longest first, and says what each let go. Holds of
-- accounts that are busy just now are left to the next call: nobody waits for a sweep, and it waits for nobody.
CREATE FUNCTION ledger.expire_holds(p_limit integer, p_now timestamptz)
RETURNS TABLE (hold_id uuid, expired_minor bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_hold_id uuid[];
    v_account_no integer[];
    v_expired_minor bigint[];
BEGIN
    -- Each aggregate says its order: PostgreSQL 16 sorts the rows for the second before the first sees them.
    SELECT array_agg(d.hold_id ORDER BY d.expires_at, d.hold_id), array_agg(DISTINCT d.account_no)
      INTO v_hold_id, v_account_no
      FROM (SELECT hold_id, account_no, expires_at FROM ledger.holds
             WHERE status = 'active' AND expires_at <= p_now
             ORDER BY expires_at, hold_id LIMIT p_limit) AS d;

    SELECT array_agg(l.account_no) INTO v_account_no
      FROM (SELECT b.account_no
              FROM unnest(v_account_no) AS c (account_no)
              JOIN ledger.balances AS b ON b.account_no = c.account_no AND b.shard = 0
             ORDER BY b.account_no
               FOR UPDATE OF b SKIP LOCKED) AS l;

    -- Look again: a hold may have been captured or extended until its account was ours.
    SELECT array_agg(h.hold_id ORDER BY d.no), array_agg(h.remaining_minor ORDER BY d.no)
      INTO v_hold_id, v_expired_minor
      FROM unnest(v_hold_id) WITH ORDINALITY AS d (hold_id, no)
      JOIN ledger.holds AS h ON h.hold_id = d.hold_id
     WHERE h.status = 'active' AND h.expires_at <= p_now AND h.account_no = ANY (v_account_no);
    IF v_hold_id IS NULL THEN
        RETURN;
    END IF;

    UPDATE ledger.holds AS h
       SET remaining_minor = 0, status = 'expired', closed_at = clock_timestamp()
     WHERE h.hold_id = ANY (v_hold_id);
    INSERT INTO ledger.hold_changes
           (hold_id, change, change_key, fingerprint, amount_minor, held_minor, occurred_at)
    SELECT e.hold_id, 'expire', 'expire:' || e.hold_id, e.hold_id, e.expired_minor, -e.expired_minor, p_now
      FROM unnest(v_hold_id, v_expired_minor) AS e (hold_id, expired_minor);
    RETURN QUERY SELECT * FROM unnest(v_hold_id, v_expired_minor);
END;
$$;

REVOKE ALL ON FUNCTION ledger.expire_holds FROM PUBLIC;

-- --- views with texts -----------------------------------------------------------------------------------------------

CREATE VIEW ledger.hold_list AS
SELECT ledger.id_text('hld', h.hold_id) AS hold_id,
       a.account_id,
       a.currency,
       h.kind,
       h.status,
       h.amount_minor,
       h.remaining_minor,
       h.captured_minor,
       h.tolerance_minor,
       ledger.id_text('pay', h.payment_id) AS payment_id,
       h.occurred_at,
       h.placed_at,
       h.expires_at,
       h.closed_at
  FROM ledger.holds AS h
  JOIN ledger.accounts AS a ON a.account_no = h.account_no;

CREATE VIEW ledger.hold_history AS
SELECT ledger.id_text('hld', c.hold_id) AS hold_id,
       c.change_id,
       c.change,
       c.change_key,
       c.amount_minor,
       c.held_minor,
       ledger.id_text('txn', c.transaction_id) AS transaction_id,
       c.occurred_at,
       c.recorded_at
  FROM ledger.hold_changes AS c;
