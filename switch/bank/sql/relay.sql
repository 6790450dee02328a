-- name: claim
-- The oldest that nobody is at work on, leased: when the claimant dies, others may take them once the lease is over.
WITH free AS MATERIALIZED (
    SELECT relay_id FROM bank.approvals_to_relay
     WHERE bank_id = $1 AND (leased_until IS NULL OR leased_until < clock_timestamp())
     ORDER BY relay_id
     LIMIT $2
       FOR UPDATE SKIP LOCKED
)
UPDATE bank.approvals_to_relay AS r
   SET leased_until = clock_timestamp() + make_interval(secs => $3)
  FROM free AS f
 WHERE r.relay_id = f.relay_id
RETURNING r.relay_id, r.item::text

-- name: forget
DELETE FROM bank.approvals_to_relay WHERE relay_id = ANY ($1::bigint[])

-- name: release
UPDATE bank.approvals_to_relay SET leased_until = NULL WHERE relay_id = ANY ($1::bigint[])

-- name: count
SELECT count(*) AS waiting FROM bank.approvals_to_relay WHERE bank_id = $1
