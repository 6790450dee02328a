-- name: counts
SELECT (SELECT count(*) FROM ledger.accounts) AS accounts,
       (SELECT count(*) FROM ledger.journal_transactions) AS transactions,
       (SELECT count(*) FROM ledger.entries) AS entries;

-- name: entry_sums
SELECT currency, sum(amount_minor) AS total_minor FROM ledger.entries GROUP BY currency ORDER BY currency;

-- name: balance_sums
SELECT a.currency, sum(b.total_minor) AS total_minor
  FROM ledger.balances AS b
  JOIN ledger.accounts AS a ON a.account_id = b.account_id
 GROUP BY a.currency
 ORDER BY a.currency;
