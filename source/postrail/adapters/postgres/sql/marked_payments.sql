-- name: applied_migrations
SELECT migration_id FROM migrations._yoyo_migration ORDER BY migration_id;

-- name: server
SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS read_only;

-- name: standing
-- Posted payments of the run, on the reserved account, that nobody has taken back yet.
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id
  FROM ledger.journal_transactions AS t
 WHERE t.payment_id IN (SELECT ledger.id_uuid('pay', s.payment_id)
                          FROM ledger.posting_sequences AS s
                         WHERE s.correlation_id = $1 AND s.status = 'posted')
   AND t.kind = 'payment'
   AND EXISTS (SELECT FROM ledger.entries AS e
                 JOIN ledger.accounts AS a ON a.account_no = e.account_no
                WHERE e.batch_id = t.batch_id AND e.position = t.position AND a.account_id = $2)
   AND NOT EXISTS (SELECT FROM ledger.journal_transactions AS r WHERE r.reverses = t.transaction_id)
 ORDER BY t.transaction_id
 LIMIT 100;
