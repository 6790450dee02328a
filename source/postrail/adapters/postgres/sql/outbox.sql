-- name: add
INSERT INTO ledger.outbox (payment_id, detail_type, detail, leased_until)
SELECT e.payment_id, e.detail_type, e.detail, clock_timestamp() + make_interval(secs => $4::integer)
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e (payment_id, detail_type, detail, no)
 ORDER BY e.no
RETURNING outbox_id;

-- name: claim_unsent
-- A row that stands for a batch counts as many as it has events left. The row that begins within the limit is claimed
-- too; the caller takes of it what fits.
WITH free AS MATERIALIZED (
    SELECT outbox_id, batch_id, sent_position
      FROM ledger.outbox
     WHERE sent_at IS NULL AND (leased_until IS NULL OR leased_until < clock_timestamp())
     ORDER BY outbox_id
     LIMIT $1::integer
       FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT f.outbox_id, sum(coalesce(b.transaction_count - f.sent_position, 1)) OVER older AS ahead
      FROM free AS f
      LEFT JOIN ledger.batches AS b ON b.batch_id = f.batch_id
    WINDOW older AS (ORDER BY f.outbox_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), claimed AS (
    UPDATE ledger.outbox AS o
       SET leased_until = clock_timestamp() + make_interval(secs => $2::integer)
      FROM counted AS c
     WHERE o.outbox_id = c.outbox_id AND coalesce(c.ahead, 0) < $1::integer
    RETURNING o.outbox_id, o.detail_type, o.detail, o.batch_id, o.sent_position
)
SELECT outbox_id, detail_type, detail, batch_id, sent_position FROM claimed ORDER BY outbox_id;

-- name: read_batch
SELECT transaction_count, correlation_id, recorded_at FROM ledger.batches WHERE batch_id = $1;

-- name: read_payments
-- The payments of a batch in a range of positions, with their legs as aligned arrays.
SELECT t.position,
       'txn_' || replace(t.transaction_id::text, '-', '') AS transaction_id,
       'pay_' || replace(t.payment_id::text, '-', '') AS payment_id,
       'seq_' || replace(t.sequence_id::text, '-', '') AS sequence_id,
       t.payment_key, legs.account_ids, legs.amounts_minor, legs.currencies
  FROM ledger.journal_transactions AS t
  JOIN (SELECT e.position,
               array_agg(a.account_id ORDER BY e.leg_no) AS account_ids,
               array_agg(e.amount_minor ORDER BY e.leg_no) AS amounts_minor,
               array_agg(a.currency ORDER BY e.leg_no) AS currencies
          FROM ledger.entries AS e
          JOIN ledger.accounts AS a ON a.account_no = e.account_no
         WHERE e.batch_id = $1 AND e.position BETWEEN $2 AND $3
         GROUP BY e.position) AS legs ON legs.position = t.position
 WHERE t.batch_id = $1 AND t.position BETWEEN $2 AND $3 AND t.kind = 'payment'
 ORDER BY t.position;

-- name: mark_sent
UPDATE ledger.outbox
   SET sent_at = clock_timestamp(), leased_until = NULL
 WHERE outbox_id = ANY ($1::bigint[]) AND batch_id IS NULL AND sent_at IS NULL;

-- name: mark_slices_sent
-- What is left of a batch is free for the next who asks. A slower sender of the same slice moves nothing back.
UPDATE ledger.outbox AS o
   SET sent_position = greatest(o.sent_position, s.through),
       leased_until = NULL,
       sent_at = CASE WHEN greatest(o.sent_position, s.through) >= b.transaction_count THEN clock_timestamp() END
  FROM unnest($1::bigint[], $2::integer[]) AS s (outbox_id, through)
 CROSS JOIN ledger.batches AS b
 WHERE o.outbox_id = s.outbox_id AND o.sent_at IS NULL AND b.batch_id = o.batch_id;

-- name: backlog
-- Counted by the index of what is unsent, up to $1 rows: a bus that was away for a day must not make its own report
-- slow. Ids are given out in the order of time, nearly, so that the first row is the oldest.
WITH unsent AS MATERIALIZED (
    SELECT outbox_id, batch_id, sent_position, created_at
      FROM ledger.outbox
     WHERE sent_at IS NULL
     ORDER BY outbox_id
     LIMIT $1::integer
)
SELECT coalesce(sum(coalesce(b.transaction_count - u.sent_position, 1)), 0)::bigint AS unsent,
       coalesce(extract(epoch FROM clock_timestamp()
                        - (SELECT created_at FROM unsent ORDER BY outbox_id LIMIT 1)), 0)::float8 AS oldest_seconds
  FROM unsent AS u
  LEFT JOIN ledger.batches AS b ON b.batch_id = u.batch_id;
