-- The journal: transactions and their entries, both append-only.
--
-- What the database itself holds, whatever the code above it does:
--   * one statement inserts all entries of a transaction, or fails: there are `leg_count` of them, numbered 1 to
--     `leg_count`. A later entry would need a number that is taken, so a transaction never grows;
--   * the entries of a transaction sum to zero in each currency;
--   * a transaction without entries cannot be committed;
--   * the balances move in the very statement that inserts the entries, accounts in sorted order.
-- Triggers that refuse changes fire ALWAYS, replication included. Those that check and apply inserts do not: a
-- logical replica receives the balances as rows of their own.

CREATE TABLE ledger.journal_transactions (
    transaction_id text COLLATE "C" PRIMARY KEY,
    kind           text NOT NULL DEFAULT 'payment' CHECK (kind IN ('payment', 'opening')),
    sequence_id    text COLLATE "C" UNIQUE,
    payment_id     text COLLATE "C",
    payment_key    text COLLATE "C" NOT NULL UNIQUE,
    fingerprint    text NOT NULL,
    description    text NOT NULL,
    leg_count      smallint NOT NULL CHECK (leg_count >= 2),
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (kind <> 'payment' OR (sequence_id IS NOT NULL AND payment_id IS NOT NULL))
);

CREATE INDEX journal_transactions_payment_id ON ledger.journal_transactions (payment_id);

COMMENT ON COLUMN ledger.journal_transactions.payment_key IS 'unique for ever: a payment is posted exactly once';
COMMENT ON COLUMN ledger.journal_transactions.occurred_at IS 'event time: when the payment happened';
COMMENT ON COLUMN ledger.journal_transactions.recorded_at IS 'recorded time: when the ledger took it';

CREATE TABLE ledger.entries (
    entry_id       bigint GENERATED ALWAYS AS IDENTITY,
    transaction_id text COLLATE "C" NOT NULL REFERENCES ledger.journal_transactions,
    leg_no         smallint NOT NULL CHECK (leg_no >= 1),
    account_id     text COLLATE "C" NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor <> 0),
    currency       text COLLATE "C" NOT NULL,
    PRIMARY KEY (transaction_id, leg_no),
    FOREIGN KEY (account_id, currency) REFERENCES ledger.accounts (account_id, currency)
);

CREATE UNIQUE INDEX entries_of_account ON ledger.entries (account_id, entry_id) INCLUDE (amount_minor);

COMMENT ON COLUMN ledger.entries.amount_minor IS 'minor units of `currency`, credit positive, debit negative';

-- Sorted, so that two sessions which share accounts queue up and never wait for each other in a ring.
CREATE FUNCTION ledger.lock_balances(p_account_id text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    PERFORM FROM ledger.balances WHERE account_id = ANY (p_account_id) ORDER BY account_id FOR UPDATE;
END;
$$;

-- Plans that look rows up by index, whatever the statistics of a young table say: a cached plan that scans would
-- stay while the table grows under it.
CREATE FUNCTION ledger.check_inserted_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_bad text;
BEGIN
    SELECT i.transaction_id INTO v_bad
      FROM inserted AS i
      LEFT JOIN ledger.journal_transactions AS t ON t.transaction_id = i.transaction_id
     GROUP BY i.transaction_id
    HAVING count(*) <> coalesce(min(t.leg_count), 0) OR max(i.leg_no) <> count(*)
     ORDER BY i.transaction_id
     LIMIT 1;
    IF v_bad IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'entries_come_whole',
            MESSAGE = 'one statement must insert all entries of transaction ' || v_bad || ', numbered from 1';
    END IF;

    SELECT i.transaction_id || ' by ' || sum(i.amount_minor) || ' ' || i.currency INTO v_bad
      FROM inserted AS i
     GROUP BY i.transaction_id, i.currency
    HAVING sum(i.amount_minor) <> 0
     ORDER BY i.transaction_id, i.currency
     LIMIT 1;
    IF v_bad IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'entries_sum_to_zero',
            MESSAGE = 'entries do not sum to zero: transaction ' || v_bad;
    END IF;

    PERFORM ledger.lock_balances(ARRAY(SELECT DISTINCT account_id FROM inserted));
    -- The sum of bigints is numeric; the cast back raises numeric_value_out_of_range, it never wraps.
    UPDATE ledger.balances AS b
       SET total_minor = (b.total_minor + moved.amount_minor)::bigint,
           entry_count = b.entry_count + moved.entry_count,
           version     = b.version + 1,
           updated_at  = clock_timestamp()
      FROM (SELECT account_id, sum(amount_minor) AS amount_minor, count(*) AS entry_count
              FROM inserted GROUP BY account_id) AS moved
     WHERE b.account_id = moved.account_id;
    RETURN NULL;
END;
$$;

CREATE TRIGGER entries_are_whole_balanced_and_booked
    AFTER INSERT ON ledger.entries
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_inserted_entries();

CREATE FUNCTION ledger.require_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.entries WHERE transaction_id = new.transaction_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'transactions_have_entries',
            MESSAGE = 'transaction ' || new.transaction_id || ' has no entries';
    END IF;
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER transactions_have_entries
    AFTER INSERT ON ledger.journal_transactions
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger.require_entries();

CREATE TRIGGER entries_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('entries are append-only; post a correcting transaction');

ALTER TABLE ledger.entries ENABLE ALWAYS TRIGGER entries_are_append_only;

CREATE TRIGGER transactions_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.journal_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('the journal is append-only');

ALTER TABLE ledger.journal_transactions ENABLE ALWAYS TRIGGER transactions_are_append_only;
