-- Each check returns no row, or the first row that fails it with the number of all that do.
-- From the money outwards: what is wrong first explains most of what follows.

-- name: transaction_sums_to_zero
SELECT transaction_id AS key,
       'entries sum to ' || sum(amount_minor) || ' ' || currency AS detail,
       count(*) OVER () AS count
  FROM ledger.entries
 GROUP BY transaction_id, currency
HAVING sum(amount_minor) <> 0
 ORDER BY transaction_id, currency
 LIMIT 1;

-- name: transaction_has_its_entries
SELECT coalesce(t.transaction_id, e.transaction_id) AS key,
       CASE WHEN t.transaction_id IS NULL THEN 'entries without a transaction'
            ELSE 'has ' || coalesce(e.legs, 0) || ' entries, the journal says ' || t.leg_count END AS detail,
       count(*) OVER () AS count
  FROM ledger.journal_transactions AS t
  FULL JOIN (SELECT transaction_id, count(*) AS legs FROM ledger.entries GROUP BY transaction_id) AS e
         ON e.transaction_id = t.transaction_id
 WHERE t.leg_count IS DISTINCT FROM e.legs
 ORDER BY 1
 LIMIT 1;

-- name: entry_in_its_accounts_currency
SELECT e.transaction_id || ' leg ' || e.leg_no AS key,
       CASE WHEN a.account_id IS NULL THEN 'no account ' || e.account_id
            ELSE 'in ' || e.currency || ' on account ' || e.account_id || ' kept in ' || a.currency END AS detail,
       count(*) OVER () AS count
  FROM ledger.entries AS e
  LEFT JOIN ledger.accounts AS a ON a.account_id = e.account_id
 WHERE a.currency IS DISTINCT FROM e.currency
 ORDER BY e.transaction_id, e.leg_no
 LIMIT 1;

-- name: balance_is_the_sum_of_entries
SELECT coalesce(b.account_id, e.account_id) AS key,
       CASE WHEN b.account_id IS NULL THEN 'has entries of ' || e.total_minor || ' and no balance'
            ELSE 'balance says ' || b.total_minor || ' by ' || b.entry_count || ' entries, entries say '
                 || coalesce(e.total_minor, 0) || ' by ' || coalesce(e.entry_count, 0) END AS detail,
       count(*) OVER () AS count
  FROM ledger.balances AS b
  FULL JOIN (SELECT account_id, sum(amount_minor) AS total_minor, count(*) AS entry_count
               FROM ledger.entries GROUP BY account_id) AS e
         ON e.account_id = b.account_id
 WHERE b.account_id IS NULL
    OR (b.total_minor, b.entry_count) <> (coalesce(e.total_minor, 0), coalesce(e.entry_count, 0))
 ORDER BY 1
 LIMIT 1;

-- name: account_has_a_balance
SELECT coalesce(a.account_id, b.account_id) AS key,
       CASE WHEN b.account_id IS NULL THEN 'account without a balance' ELSE 'balance without an account' END AS detail,
       count(*) OVER () AS count
  FROM ledger.accounts AS a
  FULL JOIN ledger.balances AS b ON b.account_id = a.account_id
 WHERE a.account_id IS NULL OR b.account_id IS NULL
 ORDER BY 1
 LIMIT 1;

-- name: posted_sequence_has_its_transaction
SELECT coalesce(s.sequence_id, t.sequence_id) AS key,
       CASE WHEN t.transaction_id IS NULL THEN 'sequence is posted and has no transaction'
            WHEN s.sequence_id IS NULL THEN 'transaction ' || t.transaction_id || ' has no posted sequence'
            ELSE 'sequence and transaction ' || t.transaction_id || ' name different payments' END AS detail,
       count(*) OVER () AS count
  FROM (SELECT * FROM ledger.posting_sequences WHERE status = 'posted') AS s
  FULL JOIN (SELECT * FROM ledger.journal_transactions WHERE kind = 'payment') AS t
         ON t.sequence_id = s.sequence_id
 WHERE (t.payment_id, t.payment_key, t.fingerprint) IS DISTINCT FROM (s.payment_id, s.payment_key, s.fingerprint)
 ORDER BY 1
 LIMIT 1;

-- name: part_belongs_to_a_sequence
SELECT p.sequence_id AS key,
       CASE WHEN s.sequence_id IS NULL THEN 'part ' || p.part_index || ' has no sequence'
            ELSE 'part ' || p.part_index || ' is beyond the total of ' || s.total END AS detail,
       count(*) OVER () AS count
  FROM ledger.posting_parts AS p
  LEFT JOIN ledger.posting_sequences AS s ON s.sequence_id = p.sequence_id
 WHERE s.sequence_id IS NULL OR p.part_index > s.total
 ORDER BY p.sequence_id, p.part_index
 LIMIT 1;

-- name: posted_payment_has_its_posting_input
SELECT coalesce(t.transaction_id, i.transaction_id) AS key,
       CASE WHEN i.transaction_id IS NULL THEN 'posted without a posting input'
            ELSE 'posting input without a transaction' END AS detail,
       count(*) OVER () AS count
  FROM (SELECT * FROM ledger.journal_transactions WHERE kind = 'payment') AS t
  FULL JOIN audit.posting_inputs AS i ON i.transaction_id = t.transaction_id
 WHERE t.transaction_id IS NULL OR i.transaction_id IS NULL
 ORDER BY 1
 LIMIT 1;
