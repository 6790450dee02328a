-- name: authorization
SELECT a.message_type, a.function_code, a.transaction_type, a.action_code, a.approval_code, a.amount_minor, a.currency,
       a.held_minor, acc.currency AS held_currency, ledger.id_text('hld', a.hold_id) AS hold_id, h.status AS hold_status,
       a.reversed_minor, a.decided_at, ledger.id_text('pay', a.original) AS original
  FROM bank.authorizations AS a
  LEFT JOIN ledger.holds AS h ON h.hold_id = a.hold_id
  LEFT JOIN ledger.accounts AS acc ON acc.account_no = h.account_no
 WHERE a.payment_id = ledger.id_uuid('pay', $1);

-- name: reversals
SELECT amount_minor, reason, status, ledger.id_text('txn', transaction_id) AS transaction_id, received_at, done_at
  FROM bank.reversals
 WHERE payment_id = ledger.id_uuid('pay', $1)
 ORDER BY received_at, reversal_key;

-- name: taken_back
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id, ledger.id_text('txn', t.reverses) AS reverses,
       t.description, b.recorded_at
  FROM ledger.journal_transactions AS t
  JOIN ledger.batches AS b ON b.batch_id = t.batch_id
 WHERE t.payment_id = ledger.id_uuid('pay', $1) AND t.kind = 'reversal'
 ORDER BY t.batch_id, t.position;
