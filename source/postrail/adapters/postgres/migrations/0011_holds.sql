-- Holds: money that is promised and not posted yet, so that it cannot be promised twice.
--
-- A hold is placed, may be extended, is captured in one or several postings, and ends captured, released or expired.
-- What it still holds is `remaining_minor`; the balance of its account counts it as held, moved by the triggers below
-- in the statement that changes the hold. Every change is kept in `ledger.hold_changes` with its own key, so that a
-- request that comes again changes nothing.

CREATE TABLE ledger.holds (
    hold_id         uuid PRIMARY KEY,
    account_no      integer NOT NULL REFERENCES ledger.accounts (account_no),
    kind            text NOT NULL CHECK (kind IN ('authorization', 'dispute')),
    status          text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'captured', 'released', 'expired')),
    amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
    remaining_minor bigint NOT NULL CHECK (remaining_minor >= 0),
    captured_minor  bigint NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    tolerance_minor bigint NOT NULL DEFAULT 0 CHECK (tolerance_minor >= 0),
    payment_id      uuid,
    expires_at      timestamptz NOT NULL,
    occurred_at     timestamptz NOT NULL,
    placed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at       timestamptz,
    CHECK (captured_minor::numeric <= amount_minor::numeric + tolerance_minor),
    CHECK (CASE status WHEN 'active' THEN remaining_minor > 0 AND remaining_minor = amount_minor - captured_minor
                       ELSE remaining_minor = 0 END),
    CHECK ((status = 'active') = (closed_at IS NULL))
) WITH (fillfactor = 70);

CREATE INDEX holds_of_account ON ledger.holds (account_no) WHERE status = 'active';

CREATE INDEX holds_to_expire ON ledger.holds (expires_at) WHERE status = 'active';

CREATE INDEX holds_payment_id ON ledger.holds (payment_id);

COMMENT ON COLUMN ledger.holds.amount_minor IS 
    'what the hold promises in all: as placed, extended since, and less what was released in part';
COMMENT ON COLUMN ledger.holds.remaining_minor IS 'what it still holds of the account''s money';
COMMENT ON COLUMN ledger.holds.tolerance_minor IS 'how far captures may go over the amount: tips, fuel';

CREATE TABLE ledger.hold_changes (
    change_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hold_id        uuid NOT NULL REFERENCES ledger.holds,
    change         text NOT NULL CHECK (change IN ('place', 'extend', 'capture', 'release', 'expire')),
    change_key     text COLLATE "C" NOT NULL UNIQUE,
    fingerprint    uuid NOT NULL,
    amount_minor   bigint NOT NULL,
    held_minor     bigint NOT NULL,
    transaction_id uuid,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((change = 'capture') = (transaction_id IS NOT NULL))
);

CREATE INDEX hold_changes_of_hold ON ledger.hold_changes (hold_id, change_id);

COMMENT ON COLUMN ledger.hold_changes.amount_minor IS 'placed, added, captured or let go by this change';
COMMENT ON COLUMN ledger.hold_changes.held_minor IS 'what this change did to the held balance, signed';

CREATE TRIGGER hold_changes_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.hold_changes
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('what happened to a hold is kept');

CREATE TRIGGER holds_stay
    BEFORE DELETE OR TRUNCATE ON ledger.holds
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('release the hold instead');

CREATE FUNCTION ledger.guard_hold() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF old.status <> 'active' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation', MESSAGE = 'hold ' || old.hold_id || ' is ' || old.status || ' and stays so';
    END IF;
    IF (new.hold_id, new.account_no, new.kind, new.tolerance_minor, new.payment_id, new.occurred_at, new.placed_at)
       IS DISTINCT FROM
       (old.hold_id, old.account_no, old.kind, old.tolerance_minor, old.payment_id, old.occurred_at, old.placed_at) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'hold ' || old.hold_id || ' keeps its id, account, kind, tolerance, payment and times';
    END IF;
    RETURN new;
END;
$$;

CREATE TRIGGER holds_stay_closed
    BEFORE UPDATE ON ledger.holds
    FOR EACH ROW EXECUTE FUNCTION ledger.guard_hold();

-- Moves the held balances by what a statement changed. A hot account has no shard 0: it cannot be held.
CREATE FUNCTION ledger.book_held(p_account_no integer[], p_held_minor bigint[], p_locked_minor bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_moved bigint;
    v_booked bigint;
BEGIN
    WITH moved AS MATERIALIZED (
        SELECT account_no, sum(held_minor) AS held_minor, sum(locked_minor) AS locked_minor
          FROM unnest(p_account_no, p_held_minor, p_locked_minor) AS m (account_no, held_minor, locked_minor)
         GROUP BY account_no ORDER BY account_no
    ), booked AS (
        UPDATE ledger.balances AS b
           SET held_minor = (b.held_minor + m.held_minor)::bigint,
               locked_minor = (b.locked_minor + m.locked_minor)::bigint,
               updated_at = clock_timestamp()
          FROM moved AS m WHERE b.account_no = m.account_no AND b.shard = 0
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM booked) INTO v_moved, v_booked;
    IF v_moved <> v_booked THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'hot_accounts_are_not_held',
            MESSAGE = 'a hot account takes no holds: its balance is kept in shards';
    END IF;
END;
$$;

REVOKE ALL ON FUNCTION ledger.book_held FROM PUBLIC;

CREATE FUNCTION ledger.book_placed_holds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM inserted) THEN
        PERFORM ledger.book_held(array_agg(account_no), array_agg(remaining_minor),
                                 array_agg(CASE WHEN kind = 'dispute' THEN remaining_minor ELSE 0 END))
           FROM inserted;
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER placed_holds_are_booked
    AFTER INSERT ON ledger.holds
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.book_placed_holds();

CREATE FUNCTION ledger.book_changed_holds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM updated) THEN
        PERFORM ledger.book_held(array_agg(account_no), array_agg(held_minor),
                                 array_agg(CASE WHEN kind = 'dispute' THEN held_minor ELSE 0 END))
           FROM (SELECT account_no, kind, remaining_minor AS held_minor FROM updated
                  UNION ALL
                 SELECT account_no, kind, -remaining_minor FROM outdated) AS moved;
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER changed_holds_are_booked
    AFTER UPDATE ON ledger.holds
    REFERENCING OLD TABLE AS outdated NEW TABLE AS updated
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.book_changed_holds();
