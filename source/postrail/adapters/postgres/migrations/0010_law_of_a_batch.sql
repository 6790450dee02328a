-- What a batch must be, checked set by set when its entries come in; and the rows of the old tables, carried over.

CREATE FUNCTION ledger.begin_batch(
    p_transaction_count integer, p_correlation_id text, p_lane smallint, p_recorded_at timestamptz
) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO ledger.batches (lane, correlation_id, transaction_count, recorded_at)
    VALUES (p_lane, p_correlation_id, p_transaction_count, p_recorded_at)
    RETURNING batch_id;
$$;

REVOKE ALL ON FUNCTION ledger.begin_batch FROM PUBLIC;

-- A new batch becomes the next link of its lane, whoever inserts it and whatever he says of its place.
CREATE FUNCTION ledger.link_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new.content_hash IS NOT NULL OR new.hash IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'INSERT on ledger.batches is refused: a batch is sealed by its entries, once';
    END IF;
    UPDATE ledger.lanes SET last_no = last_no + 1 WHERE lane = new.lane
    RETURNING last_no, head_hash INTO new.lane_no, new.previous_hash;
    RETURN new;
END;
$$;

CREATE TRIGGER batches_are_linked
    BEFORE INSERT ON ledger.batches
    FOR EACH ROW EXECUTE FUNCTION ledger.link_batch();

-- The lane of this session: a free one, or its own fixed one when all are taken.
CREATE FUNCTION ledger.take_lane() RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_lane smallint;
BEGIN
    SELECT lane INTO v_lane FROM ledger.lanes ORDER BY lane LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF v_lane IS NULL THEN
        SELECT lane INTO STRICT v_lane FROM ledger.lanes WHERE lane = mod(pg_backend_pid(), 16) + 1 FOR UPDATE;
    END IF;
    RETURN v_lane;
END;
$$;

REVOKE ALL ON FUNCTION ledger.take_lane FROM PUBLIC;

-- The facts of a batch as bytes, as PostgreSQL sends arrays in binary form; docs/ledger.md describes them. Texts are sent
-- in the client's encoding: one for all, or a hash would depend on who computes it.
CREATE FUNCTION ledger.pack_transactions(p_batch_id bigint) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET client_encoding = 'UTF8' SET enable_seqscan = off AS $$
    SELECT array_send(array_agg(t.position)) || array_send(array_agg(t.leg_count))
           || array_send(array_agg(t.kind)) || array_send(array_agg(t.occurred_at))
           || array_send(array_agg(t.transaction_id)) || array_send(array_agg(t.payment_id))
           || array_send(array_agg(t.sequence_id)) || array_send(array_agg(t.reverses))
           || array_send(array_agg(t.fingerprint)) || array_send(array_agg(t.payment_key))
           || array_send(array_agg(t.description))
      FROM (SELECT * FROM ledger.journal_transactions WHERE batch_id = p_batch_id ORDER BY position) AS t;
$$;

CREATE FUNCTION ledger.hash_content(p_batch_id bigint) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    SELECT sha256(ledger.pack_transactions(p_batch_id)
                  || array_send(array_agg(e.position)) || array_send(array_agg(e.leg_no))
                  || array_send(array_agg(e.account_no)) || array_send(array_agg(e.currency_no))
                  || array_send(array_agg(e.amount_minor)))
      FROM (SELECT * FROM ledger.entries WHERE batch_id = p_batch_id ORDER BY position, leg_no) AS e;
$$;

CREATE FUNCTION ledger.hash_link(
    p_previous_hash bytea, p_batch_id bigint, p_lane smallint, p_lane_no bigint, p_transaction_count integer,
    p_recorded_at timestamptz, p_content_hash bytea
) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(p_previous_hash || int8send(p_batch_id) || int2send(p_lane) || int8send(p_lane_no)
                  || int4send(p_transaction_count) || timestamptz_send(p_recorded_at) || p_content_hash);
$$;

CREATE FUNCTION ledger.check_inserted_transactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_batches bigint;
BEGIN
    SELECT count(*) INTO v_batches
      FROM (SELECT batch_id, count(*) AS transactions, max(position) AS last_position
              FROM inserted GROUP BY batch_id) AS i
      LEFT JOIN ledger.batches AS b ON b.batch_id = i.batch_id
     WHERE b.batch_id IS NULL OR b.hash IS NOT NULL
        OR b.transaction_count <> i.transactions OR b.transaction_count <> i.last_position;
    IF v_batches > 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'transactions_come_in_batches',
            MESSAGE = 'one statement must insert all transactions of an open batch, at positions 1 to its count';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER transactions_come_in_batches
    AFTER INSERT ON ledger.journal_transactions
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_inserted_transactions();

-- Raises the error that names the first transaction at fault. Called when a batch is known to be wrong.
CREATE FUNCTION ledger.refuse_batch(p_batch_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_bitmapscan = on AS $$
DECLARE
    v_bad text;
BEGIN
    SELECT coalesce('txn_' || replace(t.transaction_id::text, '-', ''), 'at position ' || e.position) INTO v_bad
      FROM (SELECT * FROM ledger.journal_transactions WHERE batch_id = p_batch_id) AS t
      FULL JOIN (SELECT position, count(*) AS legs, bit_or(1::bigint << leg_no) AS numbers
                   FROM ledger.entries WHERE batch_id = p_batch_id GROUP BY position) AS e
             ON e.position = t.position
     WHERE e.legs IS DISTINCT FROM t.leg_count OR e.numbers <> ((1::bigint << t.leg_count) - 1) << 1
     ORDER BY coalesce(t.position, e.position) LIMIT 1;
    IF v_bad IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'entries_come_whole',
            MESSAGE = 'one statement must insert all entries of transaction ' || v_bad || ', numbered from 1';
    END IF;

    SELECT 'txn_' || replace(t.transaction_id::text, '-', '') || ' by ' || sum(e.amount_minor) || ' ' || c.currency
      INTO v_bad
      FROM ledger.entries AS e
      JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
      JOIN ledger.currencies AS c ON c.currency_no = e.currency_no
     WHERE e.batch_id = p_batch_id
     GROUP BY t.transaction_id, c.currency, t.position
    HAVING sum(e.amount_minor) <> 0
     ORDER BY t.position, c.currency LIMIT 1;
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation', CONSTRAINT = 'entries_sum_to_zero',
        MESSAGE = 'entries do not sum to zero: transaction ' || coalesce(v_bad, 'unknown');
END;
$$;

REVOKE ALL ON FUNCTION ledger.refuse_batch FROM PUBLIC;

CREATE FUNCTION ledger.check_reversals(p_batch_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_bitmapscan = on AS $$
DECLARE
    v_bad text;
BEGIN
    SELECT 'txn_' || replace(r.transaction_id::text, '-', '') INTO v_bad
      FROM ledger.journal_transactions AS r
      LEFT JOIN ledger.journal_transactions AS t ON t.transaction_id = r.reverses
     WHERE r.batch_id = p_batch_id AND r.reverses IS NOT NULL
       AND (t.transaction_id IS NULL OR t.kind = 'reversal' OR EXISTS (
               SELECT FROM (SELECT leg_no, account_no, -amount_minor AS amount_minor FROM ledger.entries
                             WHERE batch_id = t.batch_id AND position = t.position) AS was
                 FULL JOIN (SELECT leg_no, account_no, amount_minor FROM ledger.entries
                             WHERE batch_id = r.batch_id AND position = r.position) AS now
                        ON (now.leg_no, now.account_no, now.amount_minor) = (was.leg_no, was.account_no, was.amount_minor)
                WHERE was.leg_no IS NULL OR now.leg_no IS NULL))
     ORDER BY r.position LIMIT 1;
    IF v_bad IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'reversals_mirror_their_original',
            MESSAGE = 'reversal ' || v_bad || ' must take back, leg by leg, a transaction that is no reversal itself';
    END IF;
END;
$$;

REVOKE ALL ON FUNCTION ledger.check_reversals FROM PUBLIC;

-- Plans that look rows up by index, whatever the statistics of a young table say: a cached plan that scans would
-- stay while the table grows under it. Balances are reached in the order of their index: a bitmap would take them, and
-- their locks, as they lie on disk.
CREATE FUNCTION ledger.seal_batch() RETURNS trigger
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

CREATE TRIGGER entries_are_whole_balanced_and_booked
    AFTER INSERT ON ledger.entries
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.seal_batch();

CREATE FUNCTION ledger.require_seal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT hash FROM ledger.batches WHERE batch_id = new.batch_id) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'transactions_have_entries',
            MESSAGE = 'batch ' || new.batch_id || ' has transactions without entries';
    END IF;
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER transactions_have_entries
    AFTER INSERT ON ledger.batches
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger.require_seal();

-- Depth 1 is this trigger fired by a statement of a client; deeper is one fired by a trigger of ours.
CREATE FUNCTION ledger.guard_batch() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'UPDATE on ledger.batches is refused: a batch is sealed by its entries, once';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER batches_are_sealed_by_entries_only
    BEFORE UPDATE ON ledger.batches
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_batch();

CREATE TRIGGER batches_stay
    BEFORE DELETE OR TRUNCATE ON ledger.batches
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('the chain is append-only');

CREATE FUNCTION ledger.guard_lane() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = tg_op || ' on ledger.lanes is refused: a lane moves by its batches only';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER lanes_move_by_batches_only
    BEFORE INSERT OR UPDATE ON ledger.lanes
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_lane();

CREATE TRIGGER lanes_stay
    BEFORE DELETE OR TRUNCATE ON ledger.lanes
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('the chain is append-only');

CREATE TRIGGER entries_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('entries are append-only; post a correcting transaction');

CREATE TRIGGER transactions_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.journal_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('the journal is append-only');

ALTER TABLE ledger.entries ENABLE ALWAYS TRIGGER entries_are_append_only;
ALTER TABLE ledger.journal_transactions ENABLE ALWAYS TRIGGER transactions_are_append_only;
ALTER TABLE ledger.batches ENABLE ALWAYS TRIGGER batches_stay;

-- --- what was posted before ---------------------------------------------------------------------------------------

-- All accounts are open for what they took before they were frozen or closed.
INSERT INTO ledger.balances (account_no, shard, currency_no, status)
SELECT a.account_no, s.shard, c.currency_no, 'open'
  FROM ledger.accounts AS a
  JOIN ledger.currencies AS c ON c.currency = a.currency
  JOIN (SELECT 0 AS shard UNION ALL SELECT lane FROM ledger.lanes) AS s ON a.sharded = (s.shard > 0);

-- One batch for each old transaction, so that every recorded time stays what it was. The entries' trigger checks them
-- again, builds up the balances, and starts the chain.
DO $$
DECLARE
    v_old record;
    v_batch_id bigint;
BEGIN
    FOR v_old IN SELECT * FROM ledger.old_transactions ORDER BY recorded_at, transaction_id LOOP
        v_batch_id := ledger.begin_batch(1, NULL, 1::smallint, v_old.recorded_at);
        INSERT INTO ledger.journal_transactions
               (batch_id, position, leg_count, kind, occurred_at, transaction_id, payment_id, sequence_id,
                fingerprint, payment_key, description)
        VALUES (v_batch_id, 1, v_old.leg_count, v_old.kind, v_old.occurred_at, right(v_old.transaction_id, 32)::uuid,
                right(v_old.payment_id, 32)::uuid, right(v_old.sequence_id, 32)::uuid,
                v_old.fingerprint::uuid, v_old.payment_key, v_old.description);
        INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, currency_no, amount_minor)
        SELECT v_batch_id, 1, e.leg_no, a.account_no, c.currency_no, e.amount_minor
          FROM ledger.old_entries AS e
          JOIN ledger.accounts AS a ON a.account_id = e.account_id
          JOIN ledger.currencies AS c ON c.currency = e.currency
         WHERE e.transaction_id = v_old.transaction_id
         ORDER BY e.leg_no;
    END LOOP;
END;
$$;

UPDATE ledger.balances AS b
   SET status = a.status
  FROM ledger.accounts AS a
 WHERE a.account_no = b.account_no AND a.status <> 'open';

CREATE TRIGGER balances_change_by_entries_only
    BEFORE INSERT OR UPDATE ON ledger.balances
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_direct_balance();

CREATE TRIGGER accounts_open_balances
    AFTER INSERT ON ledger.accounts
    REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.open_balances();

CREATE TRIGGER accounts_keep_identity
    BEFORE UPDATE ON ledger.accounts
    FOR EACH ROW EXECUTE FUNCTION ledger.guard_account();

INSERT INTO audit.posting_inputs (transaction_id, format, content)
SELECT right(transaction_id, 32)::uuid, format, content FROM audit.old_posting_inputs;

DROP TABLE audit.old_posting_inputs, ledger.old_entries, ledger.old_transactions, ledger.old_balances;

-- --- views with texts -----------------------------------------------------------------------------------------------

CREATE FUNCTION ledger.id_text(p_prefix text, p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN p_prefix || '_' || replace(p_id::text, '-', '');

-- The other way: null when the text is no id of this kind, so that a question about it finds nothing.
CREATE FUNCTION ledger.id_uuid(p_prefix text, p_id text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN p_id ~ ('^' || p_prefix || '_[0-9a-f]{32}$') THEN right(p_id, 32)::uuid END;

CREATE VIEW ledger.journal AS
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id,
       t.kind,
       ledger.id_text('pay', t.payment_id) AS payment_id,
       ledger.id_text('seq', t.sequence_id) AS sequence_id,
       t.payment_key,
       replace(t.fingerprint::text, '-', '') AS fingerprint,
       t.description,
       t.leg_count,
       ledger.id_text('txn', t.reverses) AS reverses,
       t.occurred_at,
       b.recorded_at,
       b.correlation_id,
       t.batch_id,
       t.position
  FROM ledger.journal_transactions AS t
  JOIN ledger.batches AS b ON b.batch_id = t.batch_id;

CREATE VIEW ledger.journal_entries AS
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id,
       e.leg_no,
       a.account_id,
       e.amount_minor,
       a.currency,
       t.occurred_at,
       b.recorded_at,
       e.batch_id,
       e.position
  FROM ledger.entries AS e
  JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
  JOIN ledger.batches AS b ON b.batch_id = e.batch_id
  JOIN ledger.accounts AS a ON a.account_no = e.account_no;

CREATE VIEW ledger.account_balances AS
SELECT a.account_id, a.account_no, a.type, a.currency, a.status, a.name, a.overdraft_limit_minor,
       b.total_minor, b.held_minor, b.locked_minor, b.total_minor - b.held_minor AS available_minor,
       b.entry_count, b.updated_at
  FROM ledger.accounts AS a
 CROSS JOIN LATERAL (
       SELECT sum(total_minor) AS total_minor, sum(held_minor) AS held_minor, sum(locked_minor) AS locked_minor,
              sum(entry_count) AS entry_count, max(updated_at) AS updated_at
         FROM ledger.balances WHERE account_no = a.account_no) AS b;

COMMENT ON VIEW ledger.account_balances IS 'one logical balance an account: a hot account''s shards added up';
