-- The events of a batch leave in slices: how far they have got is noted with the one row that stands for all of them.

ALTER TABLE ledger.outbox
    ADD COLUMN sent_position integer NOT NULL DEFAULT 0 CHECK (sent_position >= 0);

COMMENT ON COLUMN ledger.outbox.sent_position IS 'of a row that stands for a batch: its events up to this position are sent';
