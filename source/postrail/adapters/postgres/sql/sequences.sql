-- name: list_waiting
SELECT s.sequence_id, s.payment_id, s.correlation_id, s.total, s.first_part_at, s.overdue_alerted_at,
       extract(epoch FROM clock_timestamp() - s.first_part_at)::integer AS waiting_seconds,
       ARRAY(SELECT p.part_index::integer FROM ledger.posting_parts AS p
              WHERE p.sequence_id = s.sequence_id ORDER BY p.part_index) AS received
  FROM ledger.posting_sequences AS s
 WHERE s.status = 'waiting'
   AND s.first_part_at <= clock_timestamp() - make_interval(secs => $1::integer)
 ORDER BY s.first_part_at
 LIMIT $2::integer;

-- name: mark_overdue
WITH overdue AS (
    UPDATE ledger.posting_sequences AS s
       SET overdue_alerted_at = clock_timestamp()
     WHERE s.sequence_id IN (
               SELECT late.sequence_id
                 FROM ledger.posting_sequences AS late
                WHERE late.status = 'waiting'
                  AND late.overdue_alerted_at IS NULL
                  AND late.first_part_at <= clock_timestamp() - make_interval(secs => $1::integer)
                ORDER BY late.first_part_at
                LIMIT $2::integer
                  FOR UPDATE SKIP LOCKED)
    RETURNING s.*
)
SELECT s.sequence_id, s.payment_id, s.correlation_id, s.total, s.first_part_at, s.overdue_alerted_at,
       extract(epoch FROM clock_timestamp() - s.first_part_at)::integer AS waiting_seconds,
       ARRAY(SELECT p.part_index::integer FROM ledger.posting_parts AS p
              WHERE p.sequence_id = s.sequence_id ORDER BY p.part_index) AS received,
       (SELECT (p.event -> 'metadata')::text FROM ledger.posting_parts AS p
         WHERE p.sequence_id = s.sequence_id ORDER BY p.received_at DESC, p.part_index DESC LIMIT 1) AS last_metadata
  FROM overdue AS s
 ORDER BY s.first_part_at;

-- name: lateness
-- By the index of what waits, oldest first, up to $2 rows.
WITH waiting AS MATERIALIZED (
    SELECT first_part_at
      FROM ledger.posting_sequences
     WHERE status = 'waiting'
     ORDER BY first_part_at
     LIMIT $2::integer
)
SELECT count(*) FILTER (WHERE first_part_at <= clock_timestamp() - make_interval(secs => $1::integer)) AS late,
       coalesce(extract(epoch FROM clock_timestamp() - min(first_part_at)), 0)::float8 AS oldest_seconds
  FROM waiting;
