-- Runs of the batch road and their chunks. A chunk's row is written in the transaction that posts its payments: it is
-- the checkpoint, and the audit trail of its rows. A chunk is there with everything that follows from it, or not at all.

CREATE TABLE audit.batch_runs (
    run_id         text COLLATE "C" PRIMARY KEY CHECK (run_id ~ '^run_[0-9a-f]{32}$'),
    source         text NOT NULL,
    content_sha256 text NOT NULL CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes     bigint NOT NULL CHECK (size_bytes >= 0),
    partitions     smallint NOT NULL CHECK (partitions BETWEEN 1 AND 256),
    chunk_size     integer NOT NULL CHECK (chunk_size BETWEEN 1 AND 100000),
    started_at     timestamptz NOT NULL,
    lines          bigint,
    finished_at    timestamptz,
    CHECK ((lines IS NULL) = (finished_at IS NULL))
);

COMMENT ON COLUMN audit.batch_runs.run_id IS 'from the content of the file: the same file is the same run';
COMMENT ON COLUMN audit.batch_runs.partitions IS 'of the first start; with chunk_size it decides what a chunk is';

CREATE TABLE audit.batch_chunks (
    run_id               text COLLATE "C" NOT NULL REFERENCES audit.batch_runs,
    partition            smallint NOT NULL CHECK (partition >= 0),
    chunk_no             integer NOT NULL CHECK (chunk_no >= 0),
    first_line           bigint NOT NULL CHECK (first_line >= 1),
    last_line            bigint NOT NULL,
    lines                integer NOT NULL CHECK (lines >= 1),
    posted               integer NOT NULL,
    duplicates           integer NOT NULL,
    conflicts            integer NOT NULL,
    rejected             integer NOT NULL,
    referred             integer NOT NULL,
    malformed            integer NOT NULL,
    failed               integer NOT NULL,
    batch_id             bigint,
    refused              jsonb NOT NULL,
    documents            bytea NOT NULL,
    documents_size_bytes bigint NOT NULL,
    committed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, partition, chunk_no),
    CHECK (first_line <= last_line),
    CHECK (lines = posted + duplicates + conflicts + rejected + referred + malformed + failed)
);

-- Compressed before it comes here: another attempt at it costs time and wins nothing.
ALTER TABLE audit.batch_chunks ALTER COLUMN documents SET STORAGE EXTERNAL;

CREATE INDEX batch_chunks_batch_id ON audit.batch_chunks (batch_id);

COMMENT ON COLUMN audit.batch_chunks.batch_id IS 'the journal batch of its postings; null when nothing was posted';
COMMENT ON COLUMN audit.batch_chunks.refused IS 'rows [line, payment id, outcome, reason code, reason, stage] by line';
COMMENT ON COLUMN audit.batch_chunks.documents IS 'Zstandard over JSON Lines: one audit document for each row';

CREATE TRIGGER batch_chunks_are_kept
    BEFORE UPDATE ON audit.batch_chunks
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('a chunk is kept as it was committed');
