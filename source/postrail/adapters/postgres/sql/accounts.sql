-- name: open
SELECT accounts_opened, openings_posted FROM ledger.open_accounts($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: set_status
UPDATE ledger.accounts SET status = $2 WHERE account_id = $1;

-- name: read_balances
SELECT a.account_id, a.type, a.status, a.name, a.currency, b.total_minor, b.entry_count, b.updated_at
  FROM ledger.accounts AS a
  JOIN ledger.balances AS b ON b.account_id = a.account_id
 WHERE ($1::text[] IS NULL OR a.account_id = ANY ($1::text[]))
   AND a.account_id > $2
 ORDER BY a.account_id
 LIMIT $3;
