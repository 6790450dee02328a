-- What happened lately is found without reading what happened before: figures ask for the last minutes.
--
-- Other tables are walked backwards by their keys. What came in files is left out, as the figures leave it out: a million
-- rows of one file are told by its run.

CREATE INDEX outcomes_of_events ON audit.outcomes (recorded_at)
    WHERE (event #>> '{metadata,producer}') IS DISTINCT FROM 'batch';

-- Reversals are stored in the order of this time, nearly, so that block ranges are enough.
CREATE INDEX reversals_received_at ON bank.reversals
    USING brin (received_at) WITH (pages_per_range = 16, autosummarize = on);
