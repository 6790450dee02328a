-- name: open
SELECT accounts_opened, openings_posted
  FROM ledger.open_accounts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: set_status
UPDATE ledger.accounts SET status = $2 WHERE account_id = $1;

-- name: set_overdraft_limit
UPDATE ledger.accounts SET overdraft_limit_minor = $2 WHERE account_id = $1;

-- name: read_balances
SELECT account_id, type, status, name, currency, total_minor, held_minor, locked_minor, available_minor,
       overdraft_limit_minor, entry_count, updated_at
  FROM ledger.account_balances
 WHERE ($1::text[] IS NULL OR account_id = ANY ($1::text[]))
   AND account_id > $2
 ORDER BY account_id
 LIMIT $3;
