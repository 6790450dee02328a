-- Postings that are owed. An issuer that has approved a payment, or is told of one after the fact, owes the money:
-- such a posting is not refused because too little is available. The account is overdrawn beyond its limit then, which
-- only such a posting can do, and every amount that comes in makes good for it first.

ALTER TABLE ledger.balances
    ADD COLUMN overdrawn_minor bigint NOT NULL DEFAULT 0 CHECK (overdrawn_minor >= 0),
    DROP CONSTRAINT available_stays_within_limit,
    ADD CONSTRAINT available_stays_within_limit
        CHECK (floor_minor IS NULL OR total_minor::numeric - held_minor >= floor_minor::numeric - overdrawn_minor);

COMMENT ON COLUMN ledger.balances.overdrawn_minor IS 'how far owed postings took what is available below the limit';

-- Which owed postings overdrew which accounts: the only way to raise the number.
CREATE TABLE ledger.overdrafts (
    overdraft_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_no      integer NOT NULL REFERENCES ledger.accounts (account_no),
    transaction_id  uuid NOT NULL,
    overdrawn_minor bigint NOT NULL CHECK (overdrawn_minor > 0),
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX overdrafts_of_account ON ledger.overdrafts (account_no, overdraft_id);

COMMENT ON COLUMN ledger.overdrafts.overdrawn_minor IS 'how far below its limit the account is with this posting in';

CREATE TRIGGER overdrafts_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.overdrafts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('what overdrew an account is kept');

CREATE FUNCTION ledger.book_overdrafts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    UPDATE ledger.balances AS b
       SET overdrawn_minor = greatest(b.overdrawn_minor, i.overdrawn_minor)
      FROM (SELECT account_no, max(overdrawn_minor) AS overdrawn_minor FROM inserted
             GROUP BY account_no ORDER BY account_no) AS i
     WHERE b.account_no = i.account_no AND b.shard = 0;
    RETURN NULL;
END;
$$;

CREATE TRIGGER overdrafts_are_booked
    AFTER INSERT ON ledger.overdrafts
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.book_overdrafts();

-- What is left of an overdraft when this much is available: whatever moves a balance leaves no more overdrawn than it
-- is. Asked in the statements that move it, of those few that are overdrawn: a trigger on each row, before it or after
-- it, takes a tenth of the ledger's speed.
CREATE FUNCTION ledger.still_overdrawn(p_overdrawn_minor bigint, p_floor_minor bigint, p_available_minor numeric)
RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN least(p_overdrawn_minor, greatest(0, coalesce(p_floor_minor - p_available_minor, 0)))::bigint;

-- A change of status or limit waits for postings in flight, and postings that come later see it.
CREATE OR REPLACE FUNCTION ledger.guard_account() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (new.account_id, new.account_no, new.type, new.currency, new.sharded)
       IS DISTINCT FROM (old.account_id, old.account_no, old.type, old.currency, old.sharded) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'account ' || old.account_id || ' keeps its id, type and currency; open another account';
    END IF;
    IF new.sharded AND new.overdraft_limit_minor IS NOT NULL THEN
        -- Said before the shards are asked, each of which would judge by what it knows alone.
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'limits_need_one_balance',
            MESSAGE = 'account ' || old.account_id || ' is hot and takes no limit: its balance is kept in shards';
    END IF;
    PERFORM FROM ledger.balances WHERE account_no = old.account_no ORDER BY shard FOR UPDATE;
    UPDATE ledger.balances
       SET status = new.status, floor_minor = -new.overdraft_limit_minor,
           overdrawn_minor = ledger.still_overdrawn(
               overdrawn_minor, -new.overdraft_limit_minor, total_minor::numeric - held_minor)
     WHERE account_no = new.account_no
       AND (status, floor_minor) IS DISTINCT FROM (new.status, -new.overdraft_limit_minor);
    RETURN new;
END;
$$;

-- Moves the held balances by what a statement changed. A hot account has no shard 0: it cannot be held.
CREATE OR REPLACE FUNCTION ledger.book_held(p_account_no integer[], p_held_minor bigint[], p_locked_minor bigint[]) RETURNS void
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
               overdrawn_minor = CASE WHEN b.overdrawn_minor > 0 THEN ledger.still_overdrawn(
                   b.overdrawn_minor, b.floor_minor, b.total_minor::numeric - b.held_minor - m.held_minor) ELSE 0 END,
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

-- Plans that look rows up by index, whatever the statistics of a young table say: a cached plan that scans would
-- stay while the table grows under it. Balances are reached in the order of their index: a bitmap would take them, and
-- their locks, as they lie on disk.
CREATE OR REPLACE FUNCTION ledger.seal_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_batch ledger.batches;
    v_first_batch bigint;
    v_last_batch bigint;
    v_transactions integer;
    v_legs smallint[];
    v_right boolean;
    v_reversals bigint;
    v_account_no integer[];
    v_currency_no smallint[];
    v_amount_minor numeric[];
    v_entry_count bigint[];
    v_debited boolean[];
    v_booked integer;
    v_content bytea;
    v_hash bytea;
BEGIN
    SELECT min(batch_id), max(batch_id) INTO v_first_batch, v_last_batch FROM inserted;
    IF v_first_batch IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO v_batch FROM ledger.batches WHERE batch_id = v_first_batch;
    IF v_first_batch <> v_last_batch OR v_batch.batch_id IS NULL OR v_batch.hash IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'entries_come_whole',
            MESSAGE = 'one statement must insert all entries of one open batch';
    END IF;

    SELECT count(*), count(reverses), array_agg(leg_count) INTO v_transactions, v_reversals, v_legs
      FROM (SELECT leg_count, reverses FROM ledger.journal_transactions
             WHERE batch_id = v_batch.batch_id ORDER BY position) AS t;
    SELECT count(*) = v_transactions AND min(position) = 1 AND max(position) = v_transactions
           AND coalesce(bool_and(off = 0 AND numbers = ((1::bigint << legs) - 1) << 1), false)
           AND array_agg(legs ORDER BY position) = v_legs
      INTO v_right
      FROM (SELECT position, sum(legs)::smallint AS legs, bit_or(numbers) AS numbers, sum(abs(total_minor)) AS off
              FROM (SELECT position, currency_no, count(*) AS legs, sum(amount_minor) AS total_minor,
                           bit_or(1::bigint << leg_no) AS numbers
                      FROM inserted GROUP BY position, currency_no) AS by_currency
             GROUP BY position) AS by_transaction;
    IF v_right IS NOT TRUE OR v_transactions <> v_batch.transaction_count THEN
        PERFORM ledger.refuse_batch(v_batch.batch_id);
    END IF;
    IF v_reversals > 0 THEN
        PERFORM ledger.check_reversals(v_batch.batch_id);
    END IF;

    SELECT array_agg(account_no), array_agg(currency_no), array_agg(amount_minor), array_agg(entry_count),
           array_agg(debited)
      INTO v_account_no, v_currency_no, v_amount_minor, v_entry_count, v_debited
      FROM (SELECT account_no, currency_no, sum(amount_minor) AS amount_minor, count(*) AS entry_count,
                   bool_or(amount_minor < 0) AS debited
              FROM inserted GROUP BY account_no, currency_no ORDER BY account_no, currency_no) AS m;
    -- By the index and in its order, with a binary search for what an account moves by: a join could be planned the
    -- wrong way round while the table is young. The sum of bigints is numeric; the cast back raises
    -- numeric_value_out_of_range, it never wraps.
    UPDATE ledger.balances AS b
       SET total_minor = (b.total_minor + v_amount_minor[width_bucket(b.account_no, v_account_no)])::bigint,
           overdrawn_minor = CASE WHEN b.overdrawn_minor > 0 THEN ledger.still_overdrawn(
               b.overdrawn_minor, b.floor_minor,
               b.total_minor + v_amount_minor[width_bucket(b.account_no, v_account_no)] - b.held_minor) ELSE 0 END,
           entry_count = b.entry_count + v_entry_count[width_bucket(b.account_no, v_account_no)],
           updated_at  = v_batch.recorded_at
     WHERE b.account_no = ANY (v_account_no) AND b.shard = ANY (ARRAY[0::smallint, v_batch.lane])
       AND b.currency_no = v_currency_no[width_bucket(b.account_no, v_account_no)]
       AND (b.status = 'open'
            OR (b.status = 'frozen' AND NOT v_debited[width_bucket(b.account_no, v_account_no)]));
    GET DIAGNOSTICS v_booked = ROW_COUNT;
    IF v_booked <> cardinality(v_account_no) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entries_fit_their_account',
            MESSAGE = 'an entry names an account that does not exist, that is not open for it, or another currency';
    END IF;

    -- As ledger.hash_content does, from the rows at hand.
    SELECT sha256(ledger.pack_transactions(v_batch.batch_id)
                  || array_send(array_agg(e.position)) || array_send(array_agg(e.leg_no))
                  || array_send(array_agg(e.account_no)) || array_send(array_agg(e.currency_no))
                  || array_send(array_agg(e.amount_minor)))
      INTO v_content
      FROM (SELECT * FROM inserted ORDER BY position, leg_no) AS e;
    v_hash := ledger.hash_link(v_batch.previous_hash, v_batch.batch_id, v_batch.lane, v_batch.lane_no,
                               v_batch.transaction_count, v_batch.recorded_at, v_content);
    UPDATE ledger.batches SET content_hash = v_content, hash = v_hash WHERE batch_id = v_batch.batch_id;
    UPDATE ledger.lanes SET head_hash = v_hash
     WHERE lane = v_batch.lane AND last_no = v_batch.lane_no AND head_hash = v_batch.previous_hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'batches_are_sealed_in_order',
            MESSAGE = 'batch ' || v_batch.batch_id || ' is not the last of its lane, or the one before it is not sealed';
    END IF;
    RETURN NULL;
END;
$$;
