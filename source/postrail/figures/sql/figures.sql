-- What a ledger knows of the last minutes. Everywhere but in the first and the last:
--
--   $1  the end of the window
--   $2  seconds of a bucket; bucket 0 is the last one before the end
--   $3  number of buckets
--   $4  rows that are looked at, at most: the newest ones
--
-- Tables are entered at their newest row and walked backwards, or by the time of their rows; none is read from end to
-- end. `complete_from` is how far the rows reached when there were more than $4 of them; null: as far as was asked.

-- name: clock
SELECT clock_timestamp() AS now;

-- name: posted
-- Payments of the event road: what a file brought is left out, its payments may be days old.
WITH newest AS MATERIALIZED (
    SELECT batch_id, recorded_at
      FROM ledger.batches
     ORDER BY batch_id DESC
     LIMIT $4::integer
), reached AS (
    SELECT CASE WHEN count(*) = $4::integer THEN min(recorded_at) END AS complete_from FROM newest
), recent AS MATERIALIZED (
    SELECT n.batch_id, n.recorded_at
      FROM newest AS n
     WHERE n.recorded_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
       AND n.recorded_at <= $1::timestamptz
       AND NOT EXISTS (SELECT FROM audit.batch_chunks AS c WHERE c.batch_id = n.batch_id OFFSET 0)
), payments AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - r.recorded_at) / $2::integer)::integer AS bucket,
           greatest(extract(epoch FROM r.recorded_at - t.occurred_at)::float8 * 1000, 0) AS latency_ms
      FROM recent AS r
     CROSS JOIN LATERAL (SELECT occurred_at FROM ledger.journal_transactions
                          WHERE batch_id = r.batch_id AND kind = 'payment' OFFSET 0) AS t
)
SELECT p.bucket, p.posted, p.p50_ms, p.p99_ms, r.complete_from
  FROM reached AS r
  LEFT JOIN (SELECT bucket, count(*) AS posted,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,
                    percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99_ms
               FROM payments GROUP BY bucket) AS p ON true;

-- name: sent
-- Events that the posting engine put into the outbox. The trail of each says when its payment passed the stages; the
-- event itself comes last, with the reason if it is a refusal.
WITH newest AS MATERIALIZED (
    SELECT outbox_id, detail_type, batch_id, created_at
      FROM ledger.outbox
     ORDER BY outbox_id DESC
     LIMIT $4::integer
), reached AS (
    SELECT CASE WHEN count(*) = $4::integer THEN min(created_at) END AS complete_from FROM newest
), recent AS MATERIALIZED (
    SELECT n.detail_type, n.created_at, o.trail, o.reason
      FROM newest AS n
     CROSS JOIN LATERAL (
           -- One reading of the text: each further one costs as much again.
           SELECT detail::json #> '{metadata,trail}' AS trail,
                  CASE WHEN detail_type = 'PaymentPostingFailed' THEN detail::json #>> '{data,reason_code}' END AS reason
             FROM ledger.outbox WHERE outbox_id = n.outbox_id OFFSET 0) AS o
     WHERE n.created_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
       AND n.batch_id IS NULL
       AND n.detail_type IN ('PaymentPosted', 'PaymentPostingFailed')
), passed AS (
    SELECT hop.type AS detail_type, NULL AS reason, hop.at
      FROM recent CROSS JOIN LATERAL json_to_recordset(trail) AS hop (type text, at timestamptz)
     WHERE hop.type <> 'PostingRequested'
     UNION ALL
    SELECT detail_type, reason, created_at FROM recent
), counted AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - at)::float8 / $2::integer)::integer AS bucket, detail_type, reason,
           count(*) AS number
      FROM passed
     WHERE at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer) AND at <= $1::timestamptz
     GROUP BY 1, 2, 3
)
SELECT c.bucket, c.detail_type, c.reason, 'post' AS stage, c.number, r.complete_from
  FROM reached AS r
  LEFT JOIN counted AS c ON true;

-- name: ended
-- Payments of the event road that ended outside the ledger: rejected, referred, found to be duplicates. As `sent`.
WITH recent AS MATERIALIZED (
    SELECT detail_type, reason_code, recorded_at, occurred_at, event
      FROM audit.outcomes
     WHERE recorded_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
       AND (event #>> '{metadata,producer}') IS DISTINCT FROM 'batch'
     ORDER BY recorded_at DESC
     LIMIT $4::integer
), reached AS (
    SELECT CASE WHEN count(*) = $4::integer THEN min(recorded_at) END AS complete_from FROM recent
), passed AS (
    SELECT hop.type AS detail_type, NULL AS reason, NULL AS stage, hop.at
      FROM recent
     CROSS JOIN LATERAL jsonb_to_recordset(event #> '{metadata,trail}') AS hop (type text, at timestamptz)
     WHERE detail_type IN ('PaymentRejected', 'PaymentReferred')
     UNION ALL
    SELECT detail_type, reason_code, event -> 'data' ->> 'stage', occurred_at FROM recent
), counted AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - at) / $2::integer)::integer AS bucket, detail_type, reason, stage,
           count(*) AS number
      FROM passed
     WHERE at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer) AND at <= $1::timestamptz
     GROUP BY 1, 2, 3, 4
)
SELECT c.bucket, c.detail_type, c.reason, c.stage, c.number, r.complete_from
  FROM reached AS r
  LEFT JOIN counted AS c ON true;

-- name: holds_expired
WITH newest AS MATERIALIZED (
    SELECT change, recorded_at
      FROM ledger.hold_changes
     ORDER BY change_id DESC
     LIMIT $4::integer
), counted AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - recorded_at) / $2::integer)::integer AS bucket, count(*) AS number
      FROM newest
     WHERE change = 'expire' AND recorded_at <= $1::timestamptz
       AND recorded_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
     GROUP BY 1
)
SELECT c.bucket, c.number, r.complete_from
  FROM (SELECT CASE WHEN count(*) = $4::integer THEN min(recorded_at) END AS complete_from FROM newest) AS r
  LEFT JOIN counted AS c ON true;

-- name: decided
-- What banks answered to authorizations. Their ids begin with the time of the decision (UUIDv7); $5 is the least of the
-- window.
WITH newest AS MATERIALIZED (
    SELECT bank_id, action_code, decided_at
      FROM bank.authorizations
     WHERE payment_id >= $5::uuid
     ORDER BY payment_id DESC
     LIMIT $4::integer
), counted AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - decided_at) / $2::integer)::integer AS bucket, bank_id AS party,
           count(*) FILTER (WHERE action_code < '100') AS approved,
           count(*) FILTER (WHERE action_code >= '100') AS declined
      FROM newest
     WHERE decided_at <= $1::timestamptz
       AND decided_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
     GROUP BY 1, 2
)
SELECT c.bucket, c.party, c.approved, c.declined, r.complete_from
  FROM (SELECT CASE WHEN count(*) = $4::integer THEN min(decided_at) END AS complete_from FROM newest) AS r
  LEFT JOIN counted AS c ON true;

-- name: reversed
WITH recent AS MATERIALIZED (
    SELECT bank_id, received_at
      FROM bank.reversals
     WHERE received_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
       AND received_at <= $1::timestamptz
     ORDER BY received_at DESC
     LIMIT $4::integer
), counted AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - received_at) / $2::integer)::integer AS bucket, bank_id AS party,
           count(*) AS number
      FROM recent
     GROUP BY 1, 2
)
SELECT c.bucket, c.party, c.number, r.complete_from
  FROM (SELECT CASE WHEN count(*) = $4::integer THEN min(received_at) END AS complete_from FROM recent) AS r
  LEFT JOIN counted AS c ON true;

-- name: stored
-- What networks stored for banks: approvals in a bank's stead, and reversals of what a bank did not answer in time ($5 is
-- their message reason).
WITH newest AS MATERIALIZED (
    SELECT network_id, message_type, reason, approval_code, created_at
      FROM network.advices
     ORDER BY advice_id DESC
     LIMIT $4::integer
), counted AS (
    SELECT floor(extract(epoch FROM $1::timestamptz - created_at) / $2::integer)::integer AS bucket,
           network_id AS party,
           count(*) FILTER (WHERE message_type = '1120' AND approval_code IS NOT NULL) AS stand_in,
           count(*) FILTER (WHERE message_type = '1420' AND reason = $5::text) AS timed_out
      FROM newest
     WHERE created_at <= $1::timestamptz
       AND created_at > $1::timestamptz - make_interval(secs => $2::integer * $3::integer)
     GROUP BY 1, 2
)
SELECT c.bucket, c.party, c.stand_in, c.timed_out, r.complete_from
  FROM (SELECT CASE WHEN count(*) = $4::integer THEN min(created_at) END AS complete_from FROM newest) AS r
  LEFT JOIN counted AS c ON true;

-- name: connections
SELECT count(*) FILTER (WHERE backend_type = 'client backend') AS used FROM pg_catalog.pg_stat_activity;
