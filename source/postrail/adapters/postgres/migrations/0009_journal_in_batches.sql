-- The journal, laid out anew for set-wise posting: what one posting call writes is one batch, one link of a hash chain.
--
-- Ids are kept as uuid, without their prefix ('txn_', 'pay_', 'seq_'); accounts have a number, currencies their
-- ISO 4217 number. The views at the end give texts back. What the database itself holds, whatever the code above does:
--   * a batch takes transactions and then, in one statement, all entries of all its transactions; that statement
--     checks them, moves the balances, and seals the batch with its hash. A sealed batch takes nothing more;
--   * the entries of a transaction are numbered 1 to `leg_count` and sum to zero in each currency;
--   * an entry is in its account's currency; a closed account takes no entry, a frozen one no debit;
--   * a batch that is not sealed cannot be committed, so no transaction stands without entries;
--   * a batch takes the next number of its lane and the hash before it, and batches are sealed in that order;
--   * an account with a limit never has less available than its limit, holds included.
-- These checks work on sets. A foreign key or a row trigger would do the same row by row, at a multiple of the cost.

-- A session that posts takes a lane: its own hash chain, its own shard of every hot account.
CREATE TABLE ledger.lanes (
    lane      smallint PRIMARY KEY CHECK (lane BETWEEN 1 AND 16),
    last_no   bigint NOT NULL DEFAULT 0,
    head_hash bytea NOT NULL CHECK (length(head_hash) = 32)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

INSERT INTO ledger.lanes (lane, head_hash)
SELECT lane, sha256(convert_to('postrail ledger, lane ' || lane, 'UTF8')) FROM generate_series(1, 16) AS l (lane);

CREATE TABLE ledger.batches (
    batch_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane              smallint NOT NULL REFERENCES ledger.lanes,
    lane_no           bigint NOT NULL,
    correlation_id    text COLLATE "C",
    transaction_count integer NOT NULL CHECK (transaction_count >= 1),
    recorded_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_hash     bytea NOT NULL CHECK (length(previous_hash) = 32),
    content_hash      bytea CHECK (length(content_hash) = 32),
    hash              bytea CHECK (length(hash) = 32),
    UNIQUE (lane, lane_no)
);

COMMENT ON COLUMN ledger.batches.recorded_at IS 'recorded time: when the ledger took these transactions';
COMMENT ON COLUMN ledger.batches.hash IS 'SHA-256 of previous hash, place in the chain, recorded time and content hash';

CREATE TABLE ledger.journal_transactions (
    batch_id       bigint NOT NULL,
    position       integer NOT NULL CHECK (position >= 1),
    leg_count      smallint NOT NULL CHECK (leg_count BETWEEN 2 AND 62),
    kind           text NOT NULL CHECK (kind IN ('payment', 'opening', 'reversal', 'adjustment')),
    occurred_at    timestamptz NOT NULL,
    transaction_id uuid NOT NULL UNIQUE,
    payment_id     uuid,
    sequence_id    uuid,
    reverses       uuid,
    fingerprint    uuid NOT NULL,
    payment_key    text COLLATE "C" NOT NULL UNIQUE,
    description    text NOT NULL,
    PRIMARY KEY (batch_id, position),
    CHECK (kind <> 'payment' OR (sequence_id IS NOT NULL AND payment_id IS NOT NULL)),
    CHECK ((kind = 'reversal') = (reverses IS NOT NULL))
);

CREATE INDEX journal_transactions_payment_id ON ledger.journal_transactions (payment_id);

CREATE UNIQUE INDEX journal_transactions_sequence_id ON ledger.journal_transactions (sequence_id)
    WHERE kind = 'payment';

CREATE UNIQUE INDEX journal_transactions_reverses ON ledger.journal_transactions (reverses) WHERE reverses IS NOT NULL;

COMMENT ON COLUMN ledger.journal_transactions.payment_key IS 'unique for ever: a payment is posted exactly once';
COMMENT ON COLUMN ledger.journal_transactions.sequence_id IS 'posted once, for ever; a reversal names its original''s';
COMMENT ON COLUMN ledger.journal_transactions.occurred_at IS 'event time: when the payment happened';
COMMENT ON COLUMN ledger.journal_transactions.reverses IS 'the transaction that this one takes back; once only';

CREATE TABLE ledger.entries (
    batch_id     bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    position     integer NOT NULL,
    account_no   integer NOT NULL,
    leg_no       smallint NOT NULL CONSTRAINT legs_are_numbered CHECK (leg_no BETWEEN 1 AND 62),
    currency_no  smallint NOT NULL
);

COMMENT ON COLUMN ledger.entries.amount_minor IS 'minor units of the account''s currency, credit positive, debit negative';

-- Batches lie together on disk as they were written: block ranges find them at next to no cost for writers.
CREATE INDEX entries_of_batch ON ledger.entries USING brin (batch_id) WITH (pages_per_range = 8, autosummarize = on);

CREATE INDEX entries_of_account ON ledger.entries (account_no, batch_id);

-- --- balances -------------------------------------------------------------------------------------------------------

-- A balance row is also the lock of its account. A hot account has a row for each lane, 1 to 16, and others have one,
-- shard 0. The row repeats status and currency, so that whoever waited for the lock sees both as they are now.
CREATE TABLE ledger.balances (
    account_no   integer NOT NULL,
    shard        smallint NOT NULL DEFAULT 0 CHECK (shard BETWEEN 0 AND 16),
    currency_no  smallint NOT NULL REFERENCES ledger.currencies,
    status       text NOT NULL CHECK (status IN ('open', 'frozen', 'closed')),
    total_minor  bigint NOT NULL DEFAULT 0,
    held_minor   bigint NOT NULL DEFAULT 0,
    locked_minor bigint NOT NULL DEFAULT 0,
    floor_minor  bigint,
    entry_count  bigint NOT NULL DEFAULT 0,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_no, shard),
    CONSTRAINT locked_is_part_of_held CHECK (0 <= locked_minor AND locked_minor <= held_minor),
    CONSTRAINT available_stays_within_limit
        CHECK (floor_minor IS NULL OR total_minor::numeric - held_minor >= floor_minor)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.1);

COMMENT ON COLUMN ledger.balances.total_minor IS 'posted: sum of the account''s entries, credit positive';
COMMENT ON COLUMN ledger.balances.held_minor IS 'sum of what active holds still hold, disputes included';
COMMENT ON COLUMN ledger.balances.locked_minor IS 'the part of held that disputes hold';
COMMENT ON COLUMN ledger.balances.floor_minor IS 'least that may be available: the overdraft limit, negative; null: none';

CREATE TRIGGER balances_stay
    BEFORE DELETE OR TRUNCATE ON ledger.balances
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('every account has a balance');

CREATE FUNCTION ledger.open_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.balances (account_no, shard, currency_no, status, floor_minor)
    SELECT o.account_no, s.shard, c.currency_no, o.status, -o.overdraft_limit_minor
      FROM opened AS o
      JOIN ledger.currencies AS c ON c.currency = o.currency
      JOIN (SELECT 0 AS shard UNION ALL SELECT lane FROM ledger.lanes) AS s ON o.sharded = (s.shard > 0)
     ORDER BY o.account_no, s.shard;
    RETURN NULL;
END;
$$;

-- A change of status or limit waits for postings in flight, and postings that come later see it.
CREATE FUNCTION ledger.guard_account() RETURNS trigger
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
       SET status = new.status, floor_minor = -new.overdraft_limit_minor
     WHERE account_no = new.account_no
       AND (status, floor_minor) IS DISTINCT FROM (new.status, -new.overdraft_limit_minor);
    RETURN new;
END;
$$;

CREATE TABLE audit.posting_inputs (
    transaction_id uuid PRIMARY KEY REFERENCES ledger.journal_transactions (transaction_id),
    format         text NOT NULL,
    content        bytea NOT NULL
);

CREATE TRIGGER posting_inputs_are_kept
    BEFORE UPDATE ON audit.posting_inputs
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('a posting input is kept as it was sent');
