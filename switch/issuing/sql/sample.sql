-- name: add_customers
INSERT INTO bank.customers (customer_id, bank_id, subject, name)
SELECT c.customer_id, $1, c.customer_id, c.name
  FROM unnest($2::text[], $3::text[]) AS c (customer_id, name);

-- name: add_customer_accounts
INSERT INTO bank.customer_accounts (account_id, customer_id, bank_id, details, request_key)
SELECT a.account_id, a.customer_id, $1, a.details::jsonb, 'sample:' || a.account_id
  FROM unnest($2::text[], $3::text[], $4::text[]) AS a (account_id, customer_id, details);

-- name: add_bank_cards
INSERT INTO bank.cards (card_token, bank_id, pan_lookup, last_four, account_id, product, expiry, status, services,
                        request_key)
SELECT c.card_token, $1, c.pan_lookup, c.last_four, c.account_id, $6, $7, 'ready', $8::text[], 'sample:' || c.card_token
  FROM unnest($2::text[], $3::bytea[], $4::text[], $5::text[]) AS c (card_token, pan_lookup, last_four, account_id);

-- name: add_network_customers
INSERT INTO network.customers (customer_id, network_id, bank_id, subject, name)
SELECT c.customer_id, $1, $2, c.customer_id, c.name
  FROM unnest($3::text[], $4::text[]) AS c (customer_id, name);

-- name: add_network_cards
INSERT INTO network.cards (card_token, network_id, bank_id, customer_id, pan_lookup, last_four, expiry, services, status,
                           notified_at)
SELECT c.card_token, $1, $2, c.customer_id, c.pan_lookup, c.last_four, $7, $8::text[], 'ready', clock_timestamp()
  FROM unnest($3::text[], $4::text[], $5::bytea[], $6::text[]) AS c (card_token, customer_id, pan_lookup, last_four);
