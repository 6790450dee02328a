-- name: open_run
INSERT INTO audit.batch_runs (run_id, source, content_sha256, size_bytes, partitions, chunk_size, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (run_id) DO NOTHING;

-- name: read_runs
SELECT run_id, source, content_sha256, size_bytes, partitions::integer, chunk_size, started_at, lines, finished_at
  FROM audit.batch_runs
 WHERE $1::text IS NULL OR run_id = $1
 ORDER BY started_at DESC, run_id
 LIMIT $2;

-- name: finish_run
UPDATE audit.batch_runs
   SET lines = $2, finished_at = clock_timestamp()
 WHERE run_id = $1 AND finished_at IS NULL;

-- name: totals
SELECT coalesce(sum(lines), 0)::bigint AS lines, coalesce(sum(posted), 0)::bigint AS posted,
       coalesce(sum(duplicates), 0)::bigint AS duplicates, coalesce(sum(conflicts), 0)::bigint AS conflicts,
       coalesce(sum(rejected), 0)::bigint AS rejected, coalesce(sum(referred), 0)::bigint AS referred,
       coalesce(sum(malformed), 0)::bigint AS malformed, coalesce(sum(failed), 0)::bigint AS failed
  FROM audit.batch_chunks
 WHERE run_id = $1;

-- name: done_chunks
SELECT count(*) AS chunks FROM audit.batch_chunks WHERE run_id = $1 AND partition = $2;

-- name: read_chunk
SELECT first_line, last_line, lines, posted, duplicates, conflicts, rejected, referred, malformed, failed,
       refused::text AS refused
  FROM audit.batch_chunks
 WHERE run_id = $1 AND partition = $2 AND chunk_no = $3;

-- name: lock_partition
SELECT pg_advisory_xact_lock(hashtextextended($1::text || '/' || $2::text, 0));

-- name: read_counts
SELECT lines, posted, duplicates, conflicts, rejected, referred, malformed, failed
  FROM audit.batch_chunks
 WHERE run_id = $1 AND partition = $2 AND chunk_no = $3;

-- name: keep_chunk
INSERT INTO audit.batch_chunks (
           run_id, partition, chunk_no, first_line, last_line, lines, posted, duplicates, conflicts, rejected, referred,
           malformed, failed, refused, documents, documents_size_bytes, batch_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::text::jsonb, $15, $16, $17);

-- name: refused_after
SELECT chunk_no, refused::text AS refused
  FROM audit.batch_chunks
 WHERE run_id = $1 AND partition = $2 AND chunk_no > $3
 ORDER BY chunk_no
 LIMIT $4;

-- name: documents_of_chunk
SELECT documents FROM audit.batch_chunks WHERE run_id = $1 AND partition = $2 AND chunk_no = $3;

-- name: next_documents
SELECT partition::integer, chunk_no, documents
  FROM audit.batch_chunks
 WHERE run_id = $1 AND (partition, chunk_no) > ($2, $3)
 ORDER BY partition, chunk_no
 LIMIT 1;

-- name: chunks_near_batch
SELECT run_id, partition::integer, chunk_no, documents
  FROM audit.batch_chunks
 WHERE batch_id <= $1 AND batch_id > $1 - 64
 ORDER BY batch_id DESC
 LIMIT 4;

-- name: postings_of_payment
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id, ledger.id_text('seq', t.sequence_id) AS sequence_id,
       replace(t.fingerprint::text, '-', '') AS fingerprint, t.payment_key, t.payment_key AS posted_key, t.description,
       t.occurred_at, t.batch_id, b.recorded_at, b.correlation_id,
       CASE WHEN current_setting('track_commit_timestamp') = 'on'
            THEN pg_xact_commit_timestamp(t.xmin) END AS committed_at
  FROM ledger.journal_transactions AS t
  JOIN ledger.batches AS b ON b.batch_id = t.batch_id
 WHERE t.payment_id = ledger.id_uuid('pay', $1) AND t.kind = 'payment'
   AND NOT EXISTS (SELECT FROM ledger.posting_sequences AS s WHERE s.payment_id = $1 AND s.status = 'posted')
 ORDER BY t.batch_id, t.position;
