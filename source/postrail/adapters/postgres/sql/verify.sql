-- name: counts
SELECT (SELECT count(*) FROM ledger.accounts) AS accounts,
       (SELECT count(*) FROM ledger.batches) AS batches,
       (SELECT count(*) FROM ledger.journal_transactions) AS transactions;

-- name: summarize
-- Tells the block ranges of the newest entries, so that each range of batches is found without reading all of them.
SELECT brin_summarize_new_values('ledger.entries_of_batch')
 WHERE NOT pg_is_in_recovery()
   AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'ledger.entries'::regclass), 'USAGE');

-- name: export_snapshot
SELECT pg_export_snapshot() AS snapshot;

-- name: ranges
SELECT min(batch_id) AS first, max(batch_id) AS last
  FROM (SELECT batch_id, sum(transaction_count) OVER (ORDER BY batch_id) AS running FROM ledger.batches) AS b
 GROUP BY div(running - 1, $1::integer)
 ORDER BY 1;

-- name: balance_sums
SELECT c.currency, sum(b.total_minor) AS total_minor
  FROM ledger.balances AS b
  JOIN ledger.currencies AS c ON c.currency_no = b.currency_no
 GROUP BY c.currency
 ORDER BY c.currency;

-- name: entry_sums
SELECT coalesce(c.currency, e.currency_no::text) AS currency, e.total_minor, e.entries
  FROM (SELECT currency_no, sum(amount_minor) AS total_minor, count(*) AS entries
          FROM ledger.entries WHERE batch_id BETWEEN $1 AND $2 GROUP BY currency_no) AS e
  LEFT JOIN ledger.currencies AS c ON c.currency_no = e.currency_no;

-- name: rewritten_row
-- One database transaction writes all rows of a batch. A row that another one wrote was changed, or came later.
WITH written AS (
    SELECT position, xmin::text AS by FROM ledger.journal_transactions WHERE batch_id = $1
     UNION ALL
    SELECT position, xmin::text FROM ledger.entries WHERE batch_id = $1
), usual AS (
    SELECT mode() WITHIN GROUP (ORDER BY by) AS by FROM written
)
SELECT coalesce('txn_' || replace(t.transaction_id::text, '-', ''), 'position ' || w.position) AS key
  FROM written AS w
  JOIN usual AS u ON w.by <> u.by
  LEFT JOIN ledger.journal_transactions AS t ON t.batch_id = $1 AND t.position = w.position
 ORDER BY w.position
 LIMIT 1;
