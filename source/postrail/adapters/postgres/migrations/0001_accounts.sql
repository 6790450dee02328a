-- Accounts and their balances.
--
-- A balance row is also the lock of its account: whoever posts to an account or changes its status holds that row.
-- Balances are written by triggers alone (see 0002_journal.sql); a direct INSERT, UPDATE, DELETE or TRUNCATE is
-- refused, whoever asks. Identifiers sort by bytes (COLLATE "C"), so that all sessions take locks in one order.
--
-- No percent sign may stand in a migration: the driver would read it as a parameter.

CREATE SCHEMA IF NOT EXISTS ledger;

CREATE SCHEMA IF NOT EXISTS audit;

CREATE TABLE ledger.accounts (
    account_id text COLLATE "C" PRIMARY KEY CHECK (account_id ~ '^[a-z0-9][a-z0-9:_-]{2,63}$'),
    type       text NOT NULL CHECK (type IN ('customer', 'merchant', 'settlement', 'income', 'suspense', 'equity')),
    currency   text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status     text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'frozen', 'closed')),
    name       text NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- for the foreign key of entries: an entry is in its account's currency
    UNIQUE (account_id, currency)
);

-- A settlement balance changes with every session: room in the page keeps its updates off the index, and early
-- vacuum keeps its versions few.
CREATE TABLE ledger.balances (
    account_id  text COLLATE "C" PRIMARY KEY REFERENCES ledger.accounts,
    total_minor bigint NOT NULL DEFAULT 0,
    entry_count bigint NOT NULL DEFAULT 0 CHECK (entry_count >= 0),
    version     bigint NOT NULL DEFAULT 0,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

COMMENT ON COLUMN ledger.balances.total_minor IS 'sum of the account''s entries in minor units, credit positive';
COMMENT ON COLUMN ledger.balances.version IS 'statements that changed this balance';

-- The word of the law for tables that only grow. Its argument says why.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = tg_op || ' on ' || tg_table_schema || '.' || tg_table_name || ' is refused: ' || tg_argv[0];
END;
$$;

-- Depth 1 is this trigger fired by a statement of a client; deeper is one fired by a trigger of ours.
CREATE FUNCTION ledger.refuse_direct_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = tg_op || ' on ledger.balances is refused: a balance changes only by entries';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER balances_change_by_entries_only
    BEFORE INSERT OR UPDATE ON ledger.balances
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_direct_balance();

CREATE TRIGGER balances_stay
    BEFORE DELETE OR TRUNCATE ON ledger.balances
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('every account has a balance');

CREATE FUNCTION ledger.open_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.balances (account_id) SELECT account_id FROM opened ORDER BY account_id;
    RETURN NULL;
END;
$$;

CREATE TRIGGER accounts_open_balances
    AFTER INSERT ON ledger.accounts
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.open_balances();

-- A change of status waits for postings in flight, and postings that come later see it.
CREATE FUNCTION ledger.guard_account() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (new.account_id, new.type, new.currency) IS DISTINCT FROM (old.account_id, old.type, old.currency) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'account ' || old.account_id || ' keeps its id, type and currency; open another account';
    END IF;
    PERFORM FROM ledger.balances WHERE account_id = old.account_id FOR UPDATE;
    RETURN new;
END;
$$;

CREATE TRIGGER accounts_keep_identity
    BEFORE UPDATE ON ledger.accounts
    FOR EACH ROW EXECUTE FUNCTION ledger.guard_account();

CREATE TRIGGER accounts_stay
    BEFORE DELETE OR TRUNCATE ON ledger.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('close the account instead');
