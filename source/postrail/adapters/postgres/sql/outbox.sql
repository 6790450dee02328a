-- name: add
INSERT INTO ledger.outbox (payment_id, detail_type, detail, leased_until)
SELECT e.payment_id, e.detail_type, e.detail, clock_timestamp() + make_interval(secs => $4::integer)
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e (payment_id, detail_type, detail, no)
 ORDER BY e.no
RETURNING outbox_id;

-- name: claim_unsent
WITH claimed AS (
    UPDATE ledger.outbox AS o
       SET leased_until = clock_timestamp() + make_interval(secs => $2::integer)
     WHERE o.outbox_id IN (
               SELECT free.outbox_id
                 FROM ledger.outbox AS free
                WHERE free.sent_at IS NULL
                  AND (free.leased_until IS NULL OR free.leased_until < clock_timestamp())
                ORDER BY free.outbox_id
                LIMIT $1::integer
                  FOR UPDATE SKIP LOCKED)
    RETURNING o.outbox_id, o.detail_type, o.detail
)
SELECT outbox_id, detail_type, detail FROM claimed ORDER BY outbox_id;

-- name: mark_sent
UPDATE ledger.outbox
   SET sent_at = clock_timestamp(), leased_until = NULL
 WHERE outbox_id = ANY ($1::bigint[]) AND sent_at IS NULL;

-- name: backlog
SELECT count(*) AS unsent,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_seconds
  FROM ledger.outbox
 WHERE sent_at IS NULL;
