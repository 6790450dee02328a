-- name: claim_request
INSERT INTO bank.api_requests (bank_id, subject, operation, request_key, fingerprint)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: read_request
SELECT fingerprint, answer
  FROM bank.api_requests
 WHERE (bank_id, subject, operation, request_key) = ($1, $2, $3, $4);

-- name: keep_answer
UPDATE bank.api_requests
   SET answer = $5
 WHERE (bank_id, subject, operation, request_key) = ($1, $2, $3, $4);

-- The update locks the customer: his accounts are opened one after the other.
-- name: know_customer
INSERT INTO bank.customers AS c (customer_id, bank_id, subject, name)
VALUES ($1, $2, $3, $4)
    ON CONFLICT (bank_id, subject) DO UPDATE SET name = c.name
RETURNING customer_id, name, (SELECT count(*) FROM bank.customer_accounts AS a WHERE a.customer_id = c.customer_id) AS accounts;

-- name: is_account
SELECT EXISTS (SELECT FROM ledger.accounts WHERE account_id = $1) AS found;

-- name: add_account
INSERT INTO bank.customer_accounts (account_id, customer_id, bank_id, details, request_key)
VALUES ($1, $2, $3, $4, $5);

-- A subject of null sees all accounts of the bank.
-- name: read_account
SELECT a.account_id, a.customer_id, a.details, c.subject, c.name, l.status
  FROM bank.customer_accounts AS a
  JOIN bank.customers AS c ON c.customer_id = a.customer_id
  JOIN ledger.accounts AS l ON l.account_id = a.account_id
 WHERE a.account_id = $1
   AND a.bank_id = $2
   AND ($3::text IS NULL OR c.subject = $3);

-- The lock of an account orders the card orders on it.
-- name: count_living_cards
SELECT count(k.card_token) AS cards
  FROM (SELECT account_id FROM bank.customer_accounts WHERE account_id = $1 FOR UPDATE) AS a
  LEFT JOIN bank.cards AS k ON k.account_id = a.account_id AND k.status NOT IN ('blocked', 'expired');

-- name: add_card
INSERT INTO bank.cards (card_token, bank_id, pan_lookup, last_four, account_id, product, expiry, status, services,
                        payment_limit_minor, day_limit_minor, day_limit_count, hour_limit_count, network_id, request_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'ordered', $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT DO NOTHING;

-- name: read_cards
SELECT k.card_token, k.last_four, k.expiry, k.status, k.status_reason, k.account_id, k.network_id, k.product, k.services,
       k.payment_limit_minor, k.day_limit_minor, k.day_limit_count, k.hour_limit_count, k.created_at, k.changed_at
  FROM bank.cards AS k
  JOIN bank.customer_accounts AS a ON a.account_id = k.account_id
  JOIN bank.customers AS c ON c.customer_id = a.customer_id
 WHERE ($1::text IS NULL OR k.card_token = $1)
   AND ($2::text IS NULL OR k.account_id = $2)
   AND k.bank_id = $3
   AND ($4::text IS NULL OR c.subject = $4)
 ORDER BY k.created_at DESC
 LIMIT $5;

-- name: block_card
UPDATE bank.cards
   SET status = 'blocked', status_reason = $2, changed_at = clock_timestamp()
 WHERE card_token = $1
   AND status = ANY ($3::text[]);

-- name: read_order
SELECT k.card_token, k.bank_id, k.network_id, k.pan_lookup, k.last_four, k.expiry, k.services, a.details, c.customer_id,
       c.subject, c.name
  FROM bank.cards AS k
  JOIN bank.customer_accounts AS a ON a.account_id = k.account_id
  JOIN bank.customers AS c ON c.customer_id = a.customer_id
 WHERE k.card_token = $1
   AND k.status = 'ordered';

-- name: find_orders
SELECT card_token
  FROM bank.cards
 WHERE status = 'ordered'
   AND created_at <= $1
   AND card_token > $2
 ORDER BY card_token
 LIMIT $3;

-- name: set_in_production
UPDATE bank.cards
   SET status = 'in_production', changed_at = clock_timestamp()
 WHERE card_token = $1
   AND status = 'ordered';

-- name: set_ready
UPDATE bank.cards
   SET status = 'ready', changed_at = clock_timestamp()
 WHERE card_token = ANY ($1::text[])
   AND status = 'in_production';

-- name: read_statuses
SELECT card_token, status
  FROM bank.cards
 WHERE card_token = ANY ($1::text[]);

-- name: expire
UPDATE bank.cards
   SET status = 'expired', changed_at = clock_timestamp()
 WHERE card_token IN (
       SELECT card_token
         FROM bank.cards
        WHERE expiry < $1
          AND status IN ('ordered', 'in_production', 'ready', 'active')
        ORDER BY card_token
        LIMIT $2
          FOR UPDATE SKIP LOCKED);
