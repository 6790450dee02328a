-- name: claim_request
INSERT INTO network.api_requests (bank_id, subject, operation, request_key, fingerprint)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: read_request
SELECT fingerprint, answer
  FROM network.api_requests
 WHERE (bank_id, subject, operation, request_key) = ($1, $2, $3, $4);

-- name: keep_answer
UPDATE network.api_requests
   SET answer = $5
 WHERE (bank_id, subject, operation, request_key) = ($1, $2, $3, $4);

-- name: add_customer
INSERT INTO network.customers (customer_id, network_id, bank_id, subject, name)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: read_customer
SELECT bank_id, subject, name
  FROM network.customers
 WHERE (network_id, customer_id) = ($1, $2);

-- name: add_card
INSERT INTO network.cards (card_token, network_id, bank_id, customer_id, pan_lookup, last_four, expiry, services, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'in_production')
    ON CONFLICT DO NOTHING;

-- name: read_card
SELECT network_id, bank_id, customer_id, pan_lookup, last_four, expiry, services, status
  FROM network.cards
 WHERE card_token = $1;

-- name: block_card
UPDATE network.cards
   SET status = 'blocked'
 WHERE card_token = $1
   AND bank_id = $2
   AND status IN ('in_production', 'ready');

-- name: find_in_production
SELECT card_token
  FROM network.cards
 WHERE status = 'in_production'
   AND card_token > $1
 ORDER BY card_token
 LIMIT $2
   FOR UPDATE SKIP LOCKED;

-- A card that was blocked at its bank while it was made is not handed out.
-- name: finish
UPDATE network.cards
   SET status = CASE WHEN card_token = ANY ($1::text[]) THEN 'ready' ELSE 'blocked' END,
       ready_at = clock_timestamp()
 WHERE card_token = ANY ($1::text[] || $2::text[]);

-- name: find_unnotified
SELECT card_token, customer_id, bank_id, network_id, last_four, expiry
  FROM network.cards
 WHERE status = 'ready'
   AND notified_at IS NULL
 ORDER BY created_at
 LIMIT $1
   FOR UPDATE SKIP LOCKED;

-- name: mark_notified
UPDATE network.cards
   SET notified_at = clock_timestamp()
 WHERE card_token = ANY ($1::text[]);

-- name: expire
UPDATE network.cards
   SET status = 'expired'
 WHERE card_token IN (
       SELECT card_token
         FROM network.cards
        WHERE expiry < $1
          AND status IN ('in_production', 'ready')
        ORDER BY card_token
        LIMIT $2
          FOR UPDATE SKIP LOCKED);
