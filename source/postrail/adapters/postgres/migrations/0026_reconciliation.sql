-- Reconciliation: what was compared, what differed, and what became of it.
--
-- A break is known by what it is about, not by the run that found it: found again, it is the same row. The sides are
-- compared in temporary tables and leave nothing here.

CREATE SCHEMA reconcile;

CREATE TABLE reconcile.runs (
    run_id      text COLLATE "C" PRIMARY KEY,
    period_from timestamptz NOT NULL,
    period_to   timestamptz NOT NULL CHECK (period_to > period_from),
    sides       jsonb NOT NULL DEFAULT '{}',
    breaks      jsonb NOT NULL DEFAULT '{}',
    started_at  timestamptz NOT NULL,
    finished_at timestamptz
);

CREATE TABLE reconcile.breaks (
    break_key    text COLLATE "C" PRIMARY KEY CHECK (break_key ~ '^[0-9a-f]{32}$'),
    kind         text NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    expected     text NOT NULL,
    found        text NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL,
    at           timestamptz,
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'patched', 'resolved', 'accepted')),
    first_run    text NOT NULL REFERENCES reconcile.runs,
    last_run     text NOT NULL REFERENCES reconcile.runs,
    opened_at    timestamptz NOT NULL,
    closed_at    timestamptz
);

CREATE INDEX breaks_open ON reconcile.breaks (kind, at) WHERE status = 'open';

COMMENT ON COLUMN reconcile.breaks.amount_minor IS 'what is at stake, in minor units of the currency; never negative';
COMMENT ON COLUMN reconcile.breaks.status IS
    'open; patched: a patch was made and the next run must agree; resolved: a later run found it no more; accepted by a person';

-- A patch is evidence: what was, what was done, and a hash over both. Who asked for one that is over the limit cannot
-- approve it.
CREATE TABLE reconcile.patches (
    patch_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    break_key    text COLLATE "C" NOT NULL REFERENCES reconcile.breaks,
    action       text NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL,
    before       jsonb NOT NULL,
    after        jsonb,
    evidence     bytea NOT NULL CHECK (octet_length(evidence) = 32),
    status       text NOT NULL CHECK (status IN ('waiting', 'approved', 'applied', 'failed', 'refused')),
    asked_by     text NOT NULL,
    approved_by  text CHECK (approved_by <> asked_by),
    created_at   timestamptz NOT NULL,
    done_at      timestamptz
);

-- One patch of a kind for a break, ever: running again changes nothing.
CREATE UNIQUE INDEX patches_once ON reconcile.patches (break_key, action) WHERE status <> 'refused';
CREATE INDEX patches_waiting ON reconcile.patches (created_at) WHERE status IN ('waiting', 'approved');
