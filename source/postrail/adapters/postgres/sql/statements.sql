-- Statements, past balances and notifications: reads from the journal and its entries alone.
-- An entry's time on one basis is `recorded_at` of its batch, on the other `occurred_at` of its transaction.

-- name: account
SELECT account_no, account_id, type, currency, name FROM ledger.accounts WHERE account_id = $1;

-- name: balance_now
SELECT account_id, type, status, name, currency, overdraft_limit_minor, total_minor, held_minor, locked_minor,
       available_minor, entry_count, updated_at
  FROM ledger.account_balances
 WHERE account_id = $1;

-- name: balance_at
SELECT coalesce(sum(e.amount_minor), 0) AS total_minor, count(*) AS entry_count
  FROM ledger.entries AS e
  JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
  JOIN ledger.batches AS b ON b.batch_id = e.batch_id
 WHERE e.account_no = $1
   AND ($2::timestamptz IS NULL OR t.occurred_at <= $2)
   AND ($3::timestamptz IS NULL OR b.recorded_at <= $3);

-- name: statement_head
SELECT coalesce(sum(amount_minor) FILTER (WHERE at < $3), 0) AS opening_minor,
       count(*) FILTER (WHERE at >= $3 AND amount_minor > 0) AS credit_count,
       coalesce(sum(amount_minor) FILTER (WHERE at >= $3 AND amount_minor > 0), 0) AS credit_minor,
       count(*) FILTER (WHERE at >= $3 AND amount_minor < 0) AS debit_count,
       coalesce(-sum(amount_minor) FILTER (WHERE at >= $3 AND amount_minor < 0), 0) AS debit_minor
  FROM (SELECT e.amount_minor, CASE WHEN $2::boolean THEN b.recorded_at ELSE t.occurred_at END AS at
          FROM ledger.entries AS e
          JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
          JOIN ledger.batches AS b ON b.batch_id = e.batch_id
         WHERE e.account_no = $1
           AND ($5::timestamptz IS NULL OR b.recorded_at <= $5)) AS dated
 WHERE at < $4::timestamptz;

-- name: open_lines
DECLARE statement_lines NO SCROLL CURSOR FOR
SELECT *
  FROM (SELECT e.batch_id, e.position, e.leg_no, e.amount_minor, t.kind, t.description, t.occurred_at, b.recorded_at,
               ledger.id_text('txn', t.transaction_id) AS transaction_id,
               ledger.id_text('pay', t.payment_id) AS payment_id,
               ledger.id_text('seq', t.sequence_id) AS sequence_id,
               ledger.id_text('txn', t.reverses) AS reverses,
               CASE WHEN $2::boolean THEN b.recorded_at ELSE t.occurred_at END AS at
          FROM ledger.entries AS e
          JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
          JOIN ledger.batches AS b ON b.batch_id = e.batch_id
         WHERE e.account_no = $1
           AND ($5::timestamptz IS NULL OR b.recorded_at <= $5)) AS dated
 WHERE at >= $3::timestamptz AND at < $4::timestamptz
 ORDER BY at, batch_id, position, leg_no;

-- name: fetch_lines
FETCH FORWARD 10000 FROM statement_lines;

-- name: close_lines
CLOSE statement_lines;

-- name: legs
-- Entries are found by block ranges of whole batches: one look through the batches for all transactions together, and
-- no nested loop, which would look through them once for each.
SELECT e.batch_id, e.position, e.leg_no, e.amount_minor, c.currency,
       (SELECT a.account_id FROM ledger.accounts AS a WHERE a.account_no = e.account_no) AS account_id
  FROM ledger.entries AS e
  JOIN unnest($2::bigint[], $3::integer[]) AS wanted (batch_id, position)
    ON wanted.batch_id = e.batch_id AND wanted.position = e.position
  JOIN ledger.currencies AS c ON c.currency_no = e.currency_no
 WHERE e.batch_id = ANY ($1::bigint[])
 ORDER BY e.batch_id, e.position, e.leg_no;

-- name: transaction_types
SELECT sequence_id, event #>> '{data,booking,authorization,transaction_type}' AS transaction_type
  FROM ledger.posting_parts
 WHERE sequence_id = ANY ($1::text[]) AND part_index = 1;

-- name: transaction_by_id
SELECT t.batch_id, t.position, t.kind, t.description, t.occurred_at, b.recorded_at,
       ledger.id_text('txn', t.transaction_id) AS transaction_id,
       ledger.id_text('pay', t.payment_id) AS payment_id,
       ledger.id_text('seq', t.sequence_id) AS sequence_id,
       ledger.id_text('txn', t.reverses) AS reverses
  FROM ledger.journal_transactions AS t
  JOIN ledger.batches AS b ON b.batch_id = t.batch_id
 WHERE t.transaction_id = $1::uuid;

-- name: transactions_by_payment
SELECT t.batch_id, t.position, t.kind, t.description, t.occurred_at, b.recorded_at,
       ledger.id_text('txn', t.transaction_id) AS transaction_id,
       ledger.id_text('pay', t.payment_id) AS payment_id,
       ledger.id_text('seq', t.sequence_id) AS sequence_id,
       ledger.id_text('txn', t.reverses) AS reverses
  FROM ledger.journal_transactions AS t
  JOIN ledger.batches AS b ON b.batch_id = t.batch_id
 WHERE t.payment_id = $1::uuid
 ORDER BY b.recorded_at, t.batch_id, t.position;

-- name: accounts
SELECT account_no, account_id, type, currency, name FROM ledger.accounts WHERE account_id = ANY ($1::text[]);

-- name: booking
SELECT event #> '{data,booking,authorization}' AS authorization, event #> '{data,booking,message}' AS message
  FROM ledger.posting_parts
 WHERE sequence_id = ANY ($1::text[]) AND part_index = 1
 ORDER BY sequence_id
 LIMIT 1;
