-- name: find_cards
SELECT pan_lookup, card_token, bank_id, expiry, services, status
FROM network.cards
WHERE network_id = $1 AND pan_lookup = ANY ($2::bytea[])

-- name: keep_advices
SELECT kept
FROM network.keep_advices($1, $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::bytea[], $9)

-- name: approve_in_stead
SELECT outcome, approval_code, action_code
FROM network.approve_in_stead($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: begin_delivery
-- One process delivers to a bank at a time, or two would change the order. The lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended($1, 8583)) AS locked

-- name: end_delivery
SELECT pg_advisory_unlock(hashtextextended($1, 8583))

-- name: next_advices
-- In order, up to the first that must wait. What was tried in vain $3 times steps aside until its time comes; what
-- speaks of the same original waits behind it.
SELECT a.advice_id, a.advice_key, a.original_key, a.message_type, a.attempts, a.payload,
    a.created_at + $4 <= clock_timestamp() AS expired,
    greatest(extract(epoch FROM a.next_attempt_at - clock_timestamp()), 0)::float8 AS wait_seconds
FROM network.advices AS a
WHERE a.network_id = $1 AND a.bank_id = $2 AND a.status = 'pending'
  AND (a.attempts < $3 OR a.next_attempt_at <= clock_timestamp())
  AND NOT EXISTS (
      SELECT FROM network.advices AS b
      WHERE b.network_id = $1 AND b.original_key = a.original_key AND b.advice_id < a.advice_id
        AND b.status = 'pending' AND b.attempts >= $3 AND b.next_attempt_at > clock_timestamp())
ORDER BY a.advice_id
LIMIT $5

-- name: begin_attempts
UPDATE network.advices SET attempts = attempts + 1 WHERE advice_id = ANY ($1::bigint[]) AND status = 'pending'

-- name: finish_advices
-- The payload goes when the bank has acknowledged; what it refused, or never took, is kept for people to look at.
UPDATE network.advices AS a
SET status = f.status, action_code = f.action_code, finished_at = clock_timestamp(),
    payload = CASE WHEN f.status = 'delivered' THEN NULL ELSE a.payload END
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS f (advice_id, status, action_code)
WHERE a.advice_id = f.advice_id AND a.status = 'pending'

-- name: put_off
UPDATE network.advices SET next_attempt_at = clock_timestamp() + $2
WHERE advice_id = $1 AND status = 'pending'

-- name: count_pending
SELECT count(*) AS pending FROM network.advices WHERE network_id = $1 AND bank_id = $2 AND status = 'pending'

-- name: purge_delivered
DELETE FROM network.advices
WHERE advice_id IN (
    SELECT advice_id FROM network.advices
    WHERE network_id = $1 AND status = 'delivered' AND finished_at < clock_timestamp() - $2::interval
    LIMIT $3)

-- name: purge_usage
DELETE FROM network.stand_in_usage
WHERE (network_id, pan_lookup, day) IN (
    SELECT network_id, pan_lookup, day FROM network.stand_in_usage
    WHERE network_id = $1 AND day < (clock_timestamp() - $2::interval)::date
    LIMIT $3)

-- name: take_back_attempts
-- They were not sent after all.
UPDATE network.advices SET attempts = attempts - 1 WHERE advice_id = ANY ($1::bigint[]) AND status = 'pending'

-- name: hasten
-- The bank is back: nobody waits any longer.
UPDATE network.advices SET next_attempt_at = clock_timestamp()
WHERE network_id = $1 AND bank_id = $2 AND status = 'pending' AND attempts > 0 AND next_attempt_at > clock_timestamp()
