-- What a scenario may ask of the books. Amounts are minor units of the account's currency.

-- name: accounts
SELECT account_id, currency, total_minor, held_minor, available_minor
  FROM ledger.account_balances
 WHERE account_id = ANY ($1::text[]);

-- name: records
SELECT count(*) FILTER (WHERE action_code < '100') AS approved,
       count(*) FILTER (WHERE action_code >= '100') AS declined,
       (SELECT count(*) FROM bank.reversals) AS reversals
  FROM bank.authorizations;

-- name: delivered
SELECT message_type, count(*) AS count
  FROM network.advices
 WHERE status = 'delivered'
 GROUP BY message_type;

-- name: take_relayed
WITH taken AS (DELETE FROM bank.approvals_to_relay RETURNING relay_id, item)
SELECT item::text FROM taken ORDER BY relay_id;
