-- The outbox, and the audit trail of what did not end in the journal.
--
-- Audit rows are never changed. They may be deleted by their owner when their retention ends; the application's
-- role has no such right (docs/ledger.md).

CREATE TABLE ledger.outbox (
    outbox_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id   text COLLATE "C" NOT NULL,
    detail_type  text NOT NULL,
    detail       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    sent_at      timestamptz
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX outbox_unsent ON ledger.outbox (outbox_id) WHERE sent_at IS NULL;

CREATE INDEX outbox_payment_id ON ledger.outbox (payment_id);

CREATE TABLE audit.outcomes (
    event_id       text COLLATE "C" PRIMARY KEY,
    payment_id     text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C" NOT NULL,
    detail_type    text NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason_code    text,
    event          jsonb NOT NULL
);

CREATE INDEX outcomes_payment_id ON audit.outcomes (payment_id);

CREATE INDEX outcomes_correlation_id ON audit.outcomes (correlation_id);

CREATE TRIGGER outcomes_are_kept
    BEFORE UPDATE ON audit.outcomes
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('an outcome is kept as it was recorded');

CREATE TABLE audit.posting_inputs (
    transaction_id text COLLATE "C" PRIMARY KEY REFERENCES ledger.journal_transactions,
    format         text NOT NULL,
    content        bytea NOT NULL
);

CREATE TRIGGER posting_inputs_are_kept
    BEFORE UPDATE ON audit.posting_inputs
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('a posting input is kept as it was sent');

-- Parts that said something else than their sequence, whether it was still waiting or already closed.
CREATE TABLE audit.contradicting_parts (
    event_id    text COLLATE "C" PRIMARY KEY,
    sequence_id text COLLATE "C" NOT NULL,
    part_index  smallint NOT NULL,
    event       jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX contradicting_parts_sequence_id ON audit.contradicting_parts (sequence_id);

CREATE TRIGGER contradicting_parts_are_kept
    BEFORE UPDATE ON audit.contradicting_parts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('a part is kept as it was received');

-- What was approved, by which decision, after which events.
CREATE VIEW audit.bookings AS
SELECT p.sequence_id,
       s.payment_id,
       s.correlation_id,
       p.event -> 'metadata' -> 'trail' AS trail,
       p.event #> '{data,booking,decision}' AS decision,
       p.event #> '{data,booking}' AS booking,
       p.received_at
  FROM ledger.posting_parts AS p
  JOIN ledger.posting_sequences AS s ON s.sequence_id = p.sequence_id
 WHERE p.part_index = 1;
