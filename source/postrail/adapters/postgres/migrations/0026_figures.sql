-- What happened lately is found without reading what happened before: figures ask for the last minutes.
--
-- Both tables grow in the order of these times, nearly, so that block ranges are enough: an insert costs next to
-- nothing, and the index of a million rows is some tens of kilobytes. Other tables are walked backwards by their keys.

CREATE INDEX outcomes_recorded_at ON audit.outcomes
    USING brin (recorded_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE INDEX reversals_received_at ON bank.reversals
    USING brin (received_at) WITH (pages_per_range = 16, autosummarize = on);
