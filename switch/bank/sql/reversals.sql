-- name: open
SELECT * FROM bank.open_follow_ups($1, $2, $3)

-- name: release_holds
SELECT reason, status, remaining_minor
  FROM ledger.change_holds($1::uuid[], array_fill('release'::text, ARRAY[cardinality($1::uuid[])]), $2, $3, $4,
                           array_fill(NULL::timestamptz, ARRAY[cardinality($1::uuid[])]),
                           array_fill($5::timestamptz, ARRAY[cardinality($1::uuid[])]))
 ORDER BY order_no

-- name: record
-- The reversals, what they left of their authorizations, what the cards have used no longer, and the events that tell.
-- Where all of a payment that was not posted yet is undone, nothing is left for its other reversals to wait for.
WITH given AS MATERIALIZED (
    SELECT *
      FROM unnest($2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bigint[], $8::text[], $9::text[],
                  $10::text[], $11::text[], $12::bigint[], $13::text[], $14::timestamptz[], $15::bigint[], $16::boolean[])
           AS g (reversal_key, original_key, fingerprint, payment_id, amount_minor, undone_minor, reason, status, answer,
                 event, reversed_minor, card_token, hour, unused_minor, is_whole)
), reversed AS (
    INSERT INTO bank.reversals
           (bank_id, reversal_key, original_key, fingerprint, payment_id, amount_minor, undone_minor, reason, status,
            answer, received_at, done_at)
    SELECT $1, g.reversal_key, g.original_key, g.fingerprint, g.payment_id, g.amount_minor, g.undone_minor, g.reason,
           g.status, g.answer::json, $17::timestamptz, CASE WHEN g.status = 'done' THEN $17::timestamptz END
      FROM given AS g
), lowered AS (
    UPDATE bank.authorizations AS a
       SET reversed_minor = g.reversed_minor
      FROM given AS g
     WHERE a.payment_id = g.payment_id AND g.undone_minor > 0
), moot AS (
    UPDATE bank.reversals AS r
       SET status = 'done', done_at = $17::timestamptz
      FROM given AS g
     WHERE g.is_whole AND r.payment_id = g.payment_id AND r.status = 'waiting'
), unused AS (
    UPDATE bank.card_usage AS u
       SET amount_minor = greatest(0, u.amount_minor - g.unused_minor),
           count = greatest(0, u.count - g.whole)
      FROM (SELECT card_token, hour, sum(unused_minor)::bigint AS unused_minor,
                   count(*) FILTER (WHERE unused_minor > 0 AND is_whole) AS whole
              FROM given WHERE unused_minor > 0 GROUP BY card_token, hour) AS g
     WHERE u.card_token = g.card_token AND u.hour = g.hour
)
INSERT INTO ledger.outbox (payment_id, detail_type, detail)
SELECT 'pay_' || replace(g.payment_id::text, '-', ''), 'AuthorizationReversed', g.event
  FROM given AS g
 WHERE g.event IS NOT NULL
