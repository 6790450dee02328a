-- name: find_waiting
SELECT reversal_key, original_key FROM bank.reversals
 WHERE bank_id = $1 AND status = 'waiting' AND look_again_at <= $2
 ORDER BY look_again_at
 LIMIT $3

-- name: open_waiting
SELECT r.payment_id, r.undone_minor, r.reason, r.received_at, a.amount_minor, a.reversed_minor, a.currency,
       a.authorization_key
  FROM bank.reversals AS r
  JOIN bank.authorizations AS a ON a.payment_id = r.payment_id
 WHERE r.bank_id = $1 AND r.reversal_key = $2 AND r.status = 'waiting'
   FOR NO KEY UPDATE OF a

-- name: open_waiting_again
SELECT (SELECT t.transaction_id FROM ledger.journal_transactions AS t
         WHERE t.payment_id = $3 AND t.kind = 'payment') AS transaction_id,
       (SELECT coalesce(sum(r.undone_minor), 0)::bigint FROM bank.reversals AS r
         WHERE r.payment_id = $3 AND r.status = 'done' AND r.transaction_id IS NOT NULL) AS turned_back_minor
  FROM bank.reversals AS r
 WHERE r.bank_id = $1 AND r.reversal_key = $2 AND r.status = 'waiting'
   FOR NO KEY UPDATE OF r

-- name: read_legs
SELECT acc.account_id, e.amount_minor, e.currency_no
  FROM ledger.journal_transactions AS t
  JOIN ledger.entries AS e ON e.batch_id = t.batch_id AND e.position = t.position
  JOIN ledger.accounts AS acc ON acc.account_no = e.account_no
 WHERE t.transaction_id = $1
 ORDER BY e.leg_no

-- name: reverse
SELECT order_no, reason, detail, standing
  FROM ledger.reverse(ARRAY[$1::uuid], ARRAY[$2::uuid], ARRAY[$3::text], ARRAY[$4::timestamptz], $5, true)

-- name: adjust
SELECT order_no, reason, detail, standing
  FROM ledger.post('adjustment', $1, ARRAY[$2::uuid], ARRAY[$3::uuid], ARRAY[NULL::uuid], ARRAY[$4::text],
                   ARRAY[$5::uuid], ARRAY[$6::text], ARRAY[$7::timestamptz], ARRAY[$8::smallint], NULL, NULL, NULL,
                   '{}'::integer[], '{}'::text[], '{}'::text[], $9::text[], $10::smallint[],
                   array_fill(1, ARRAY[$8::integer]), $11::smallint[], $12::integer[], $13::bigint[], ARRAY[true])

-- name: settle
WITH settled AS (
    UPDATE bank.reversals AS r
       SET status = 'done', transaction_id = $3, done_at = $4
     WHERE r.bank_id = $1 AND r.reversal_key = $2
)
INSERT INTO ledger.outbox (payment_id, detail_type, detail)
SELECT $5, 'AuthorizationReversed', $6 WHERE $6::text IS NOT NULL

-- name: put_off
UPDATE bank.reversals SET look_again_at = $3 WHERE bank_id = $1 AND reversal_key = $2

-- name: count_waiting
SELECT count(*) AS waiting FROM bank.reversals WHERE bank_id = $1 AND status = 'waiting'
