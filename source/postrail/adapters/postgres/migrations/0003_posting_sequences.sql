-- Posting sequences: the parts of a payment's posting, assembled in whatever order they arrive.
--
-- The row of a sequence is its lock. Part 1 carries the booking: the approved payment with its standardised message,
-- its enrichment, the rules' decision and the trail of events before it.

CREATE TABLE ledger.posting_sequences (
    sequence_id        text COLLATE "C" PRIMARY KEY,
    payment_id         text COLLATE "C" NOT NULL,
    payment_key        text COLLATE "C" NOT NULL,
    fingerprint        text NOT NULL,
    total              smallint NOT NULL CHECK (total >= 1),
    correlation_id     text COLLATE "C" NOT NULL,
    status             text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'posted', 'refused')),
    reason             text,
    detail             text,
    first_part_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    overdue_alerted_at timestamptz,
    closed_at          timestamptz,
    CHECK ((status = 'refused') = (reason IS NOT NULL)),
    CHECK ((status = 'waiting') = (closed_at IS NULL))
) WITH (fillfactor = 80);

CREATE INDEX posting_sequences_payment_id ON ledger.posting_sequences (payment_id);

CREATE INDEX posting_sequences_correlation_id ON ledger.posting_sequences (correlation_id);

CREATE INDEX posting_sequences_waiting ON ledger.posting_sequences (first_part_at) WHERE status = 'waiting';

ALTER TABLE ledger.journal_transactions ADD FOREIGN KEY (sequence_id) REFERENCES ledger.posting_sequences;

-- What came first stands: a sequence keeps its facts, and once closed it stays closed.
CREATE FUNCTION ledger.guard_sequence() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF old.status <> 'waiting' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'posting sequence ' || old.sequence_id || ' is ' || old.status || ' and stays so';
    END IF;
    RETURN new;
END;
$$;

CREATE TRIGGER sequences_stay_closed
    BEFORE UPDATE ON ledger.posting_sequences
    FOR EACH ROW EXECUTE FUNCTION ledger.guard_sequence();

CREATE TABLE ledger.posting_parts (
    sequence_id text COLLATE "C" NOT NULL REFERENCES ledger.posting_sequences,
    part_index  smallint NOT NULL CHECK (part_index >= 1),
    event_id    text COLLATE "C" NOT NULL,
    event       jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sequence_id, part_index)
);

CREATE TRIGGER parts_are_kept_as_received
    BEFORE UPDATE ON ledger.posting_parts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('a part is kept as it was received');
