-- Checks that look at the whole ledger at once: balances, holds, sequences and runs of files.
-- Each returns no row, or the first row that fails it with the number of all that do.

-- name: entry_in_its_accounts_currency
SELECT coalesce('txn_' || replace(t.transaction_id::text, '-', ''), 'batch ' || e.batch_id || ' position ' || e.position)
           || ' leg ' || e.leg_no AS key,
       CASE WHEN a.account_no IS NULL THEN 'the ledger has no account number ' || e.account_no
            ELSE 'in ' || coalesce(c.currency, e.currency_no::text) || ' on account ' || a.account_id || ' kept in '
                 || a.currency END AS detail,
       e.count
  FROM (SELECT e.*, count(*) OVER () AS count
          FROM ledger.entries AS e
          LEFT JOIN (SELECT a.account_no, c.currency_no
                       FROM ledger.accounts AS a JOIN ledger.currencies AS c ON c.currency = a.currency) AS kept
                 ON kept.account_no = e.account_no
         WHERE kept.currency_no IS DISTINCT FROM e.currency_no
         ORDER BY e.batch_id, e.position, e.leg_no
         LIMIT 1) AS e
  LEFT JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
  LEFT JOIN ledger.accounts AS a ON a.account_no = e.account_no
  LEFT JOIN ledger.currencies AS c ON c.currency_no = e.currency_no;

-- name: balance_is_the_sum_of_entries
-- The lane of a batch says which shard of a hot account its entries belong to.
WITH by_lane AS (
    SELECT e.account_no, b.lane, sum(e.amount_minor) AS total_minor, count(*) AS entry_count
      FROM ledger.entries AS e
      LEFT JOIN ledger.batches AS b ON b.batch_id = e.batch_id
     GROUP BY e.account_no, b.lane
), moved AS (
    SELECT l.account_no, CASE WHEN a.sharded THEN coalesce(l.lane, 0) ELSE 0 END AS shard,
           sum(l.total_minor) AS total_minor, sum(l.entry_count) AS entry_count
      FROM by_lane AS l
      LEFT JOIN ledger.accounts AS a ON a.account_no = l.account_no
     GROUP BY 1, 2
), differing AS (
    SELECT coalesce(b.account_no, m.account_no) AS account_no, coalesce(b.shard, m.shard) AS shard,
           CASE WHEN b.account_no IS NULL THEN 'has entries of ' || m.total_minor || ' and no balance'
                ELSE 'balance says ' || b.total_minor || ' by ' || b.entry_count || ' entries, entries say '
                     || coalesce(m.total_minor, 0) || ' by ' || coalesce(m.entry_count, 0) END AS detail
      FROM ledger.balances AS b
      FULL JOIN moved AS m ON m.account_no = b.account_no AND m.shard = b.shard
     WHERE b.account_no IS NULL
        OR (b.total_minor, b.entry_count) <> (coalesce(m.total_minor, 0), coalesce(m.entry_count, 0))
)
SELECT coalesce(a.account_id, 'account number ' || d.account_no)
           || CASE WHEN d.shard > 0 THEN ' shard ' || d.shard ELSE '' END AS key,
       d.detail, count(*) OVER () AS count
  FROM differing AS d
  LEFT JOIN ledger.accounts AS a ON a.account_no = d.account_no
 ORDER BY a.account_id, d.account_no, d.shard
 LIMIT 1;

-- name: account_has_its_balances
SELECT coalesce(a.account_id, 'account number ' || b.account_no)
           || CASE WHEN coalesce(a.shard, b.shard) > 0 THEN ' shard ' || coalesce(a.shard, b.shard) ELSE '' END AS key,
       CASE WHEN b.account_no IS NULL THEN 'account without a balance'
            WHEN a.account_no IS NULL THEN 'balance without an account'
            ELSE 'the balance repeats another currency, status or limit than its account has' END AS detail,
       count(*) OVER () AS count
  FROM (SELECT acc.account_id, acc.account_no, s.shard, c.currency_no, acc.status, -acc.overdraft_limit_minor AS floor_minor
          FROM ledger.accounts AS acc
          JOIN (SELECT 0 AS shard UNION ALL SELECT lane FROM ledger.lanes) AS s ON acc.sharded = (s.shard > 0)
          LEFT JOIN ledger.currencies AS c ON c.currency = acc.currency) AS a
  FULL JOIN ledger.balances AS b ON b.account_no = a.account_no AND b.shard = a.shard
 WHERE a.account_no IS NULL OR b.account_no IS NULL
    OR (a.currency_no, a.status, a.floor_minor) IS DISTINCT FROM (b.currency_no, b.status, b.floor_minor)
 ORDER BY a.account_id, b.account_no, coalesce(a.shard, b.shard)
 LIMIT 1;

-- name: available_is_within_the_limit
SELECT coalesce(a.account_id, 'account number ' || b.account_no) AS key,
       CASE WHEN b.locked_minor NOT BETWEEN 0 AND b.held_minor
            THEN 'locked is ' || b.locked_minor || ' of ' || b.held_minor || ' held'
            WHEN b.total_minor::numeric - b.held_minor < b.floor_minor::numeric - b.overdrawn_minor
            THEN 'available is ' || b.total_minor::numeric - b.held_minor || ', the limit is ' || b.floor_minor
            ELSE 'overdrawn is ' || b.overdrawn_minor || ', what is available says '
                 || greatest(0, coalesce(b.floor_minor - b.total_minor::numeric + b.held_minor, 0)) END AS detail,
       count(*) OVER () AS count
  FROM ledger.balances AS b
  LEFT JOIN ledger.accounts AS a ON a.account_no = b.account_no
 WHERE b.locked_minor NOT BETWEEN 0 AND b.held_minor
    OR b.overdrawn_minor <> greatest(0, coalesce(b.floor_minor - b.total_minor::numeric + b.held_minor, 0))
 ORDER BY a.account_id, b.account_no
 LIMIT 1;

-- name: held_is_what_holds_hold
SELECT coalesce(a.account_id, 'account number ' || coalesce(b.account_no, h.account_no)) AS key,
       'balance says ' || coalesce(b.held_minor, 0) || ' held, ' || coalesce(b.locked_minor, 0)
       || ' of it locked; its holds say ' || coalesce(h.held_minor, 0) || ' and ' || coalesce(h.locked_minor, 0) AS detail,
       count(*) OVER () AS count
  FROM (SELECT account_no, sum(held_minor) AS held_minor, sum(locked_minor) AS locked_minor
          FROM ledger.balances GROUP BY account_no) AS b
  FULL JOIN (SELECT account_no, sum(remaining_minor) AS held_minor,
                    coalesce(sum(remaining_minor) FILTER (WHERE kind = 'dispute'), 0) AS locked_minor
               FROM ledger.holds WHERE remaining_minor <> 0 OR status = 'active' GROUP BY account_no) AS h
         ON h.account_no = b.account_no
  LEFT JOIN ledger.accounts AS a ON a.account_no = coalesce(b.account_no, h.account_no)
 WHERE b.account_no IS NULL
    OR (b.held_minor, b.locked_minor) <> (coalesce(h.held_minor, 0), coalesce(h.locked_minor, 0))
 ORDER BY a.account_id, 1
 LIMIT 1;

-- name: hold_is_the_sum_of_its_changes
SELECT 'hld_' || replace(coalesce(h.hold_id, c.hold_id)::text, '-', '') AS key,
       CASE WHEN h.hold_id IS NULL THEN 'changes of a hold that is not there'
            WHEN c.hold_id IS NULL THEN 'a hold that was never placed'
            ELSE 'the hold says ' || h.remaining_minor || ' remaining and ' || h.captured_minor
                 || ' captured, its changes say ' || c.remaining_minor || ' and ' || c.captured_minor END AS detail,
       count(*) OVER () AS count
  FROM ledger.holds AS h
  FULL JOIN (SELECT hold_id, sum(held_minor) AS remaining_minor,
                    coalesce(sum(amount_minor) FILTER (WHERE change = 'capture'), 0) AS captured_minor
               FROM ledger.hold_changes GROUP BY hold_id) AS c
         ON c.hold_id = h.hold_id
 WHERE h.hold_id IS NULL OR c.hold_id IS NULL
    OR (h.remaining_minor, h.captured_minor) <> (c.remaining_minor, c.captured_minor)
 ORDER BY 1
 LIMIT 1;

-- name: capture_has_its_transaction
SELECT 'hld_' || replace(c.hold_id::text, '-', '') AS key,
       CASE WHEN t.transaction_id IS NULL
            THEN 'captured by txn_' || replace(c.transaction_id::text, '-', '') || ', which the journal does not have'
            ELSE 'captured ' || c.amount_minor || ', txn_' || replace(c.transaction_id::text, '-', '') || ' debits '
                 || coalesce(-moved.amount_minor, 0) END AS detail,
       count(*) OVER () AS count
  FROM ledger.hold_changes AS c
  LEFT JOIN ledger.holds AS h ON h.hold_id = c.hold_id
  LEFT JOIN ledger.journal_transactions AS t ON t.transaction_id = c.transaction_id
  LEFT JOIN LATERAL (SELECT sum(e.amount_minor) AS amount_minor FROM ledger.entries AS e
                      WHERE e.batch_id = t.batch_id AND e.position = t.position AND e.account_no = h.account_no) AS moved
         ON true
 WHERE c.change = 'capture' AND (t.transaction_id IS NULL OR moved.amount_minor IS DISTINCT FROM -c.amount_minor)
 ORDER BY c.change_id
 LIMIT 1;

-- name: posted_sequence_has_its_transaction
-- Sequences are of the event road; files keep what they posted in audit.batch_chunks.
SELECT key, detail, count(*) OVER () AS count
  FROM (SELECT s.sequence_id AS key,
               CASE WHEN t.transaction_id IS NULL THEN 'sequence is posted and has no transaction'
                    ELSE 'sequence and txn_' || replace(t.transaction_id::text, '-', '')
                         || ' name different payments' END AS detail
          FROM ledger.posting_sequences AS s
          LEFT JOIN ledger.journal_transactions AS t ON t.payment_key = s.payment_key AND t.kind = 'payment'
         WHERE s.status = 'posted'
           AND ('seq_' || replace(t.sequence_id::text, '-', ''), 'pay_' || replace(t.payment_id::text, '-', ''),
                replace(t.fingerprint::text, '-', ''))
               IS DISTINCT FROM (s.sequence_id, s.payment_id, replace(s.fingerprint, '-', ''))
         UNION ALL
        SELECT 'seq_' || replace(t.sequence_id::text, '-', ''),
               'txn_' || replace(t.transaction_id::text, '-', '') || ' has no posted sequence'
          FROM audit.posting_inputs AS i
          JOIN ledger.journal_transactions AS t ON t.transaction_id = i.transaction_id
          LEFT JOIN ledger.posting_sequences AS s ON s.payment_key = t.payment_key AND s.status = 'posted'
         WHERE s.sequence_id IS NULL) AS wrong
 ORDER BY key
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

-- name: posted_sequence_has_its_posting_input
SELECT 'txn_' || replace(coalesce(t.transaction_id, i.transaction_id)::text, '-', '') AS key,
       CASE WHEN i.transaction_id IS NULL THEN 'posted without a posting input'
            ELSE 'posting input without a transaction' END AS detail,
       count(*) OVER () AS count
  FROM (SELECT t.transaction_id
          FROM ledger.posting_sequences AS s
          JOIN ledger.journal_transactions AS t ON t.payment_key = s.payment_key AND t.kind = 'payment'
         WHERE s.status = 'posted') AS t
  FULL JOIN audit.posting_inputs AS i ON i.transaction_id = t.transaction_id
 WHERE i.transaction_id IS NULL
    OR (t.transaction_id IS NULL
        AND NOT EXISTS (SELECT FROM ledger.journal_transactions AS j WHERE j.transaction_id = i.transaction_id))
 ORDER BY 1
 LIMIT 1;

-- name: chunk_stands_for_its_batch
SELECT c.run_id || ' partition ' || c.partition || ' chunk ' || c.chunk_no AS key,
       CASE WHEN c.batch_id IS NULL THEN 'posted ' || c.posted || ' payments and names no batch'
            WHEN b.batch_id IS NULL THEN 'batch ' || c.batch_id || ' is not in the journal'
            WHEN b.correlation_id IS DISTINCT FROM c.run_id
            THEN 'batch ' || c.batch_id || ' belongs to ' || coalesce(b.correlation_id, 'no run')
            ELSE 'posted ' || c.posted || ' payments, batch ' || c.batch_id || ' has ' || b.transaction_count END AS detail,
       count(*) OVER () AS count
  FROM audit.batch_chunks AS c
  LEFT JOIN ledger.batches AS b ON b.batch_id = c.batch_id
 WHERE CASE WHEN c.batch_id IS NULL THEN c.posted <> 0
            ELSE b.batch_id IS NULL OR b.correlation_id IS DISTINCT FROM c.run_id OR b.transaction_count > c.posted END
 ORDER BY c.run_id, c.partition, c.chunk_no
 LIMIT 1;

-- name: run_has_all_its_chunks
SELECT r.run_id AS key,
       CASE WHEN c.chunks <> c.expected THEN 'has ' || c.chunks || ' chunks, their numbers ask for ' || c.expected
            ELSE 'is finished with ' || r.lines || ' lines, its chunks have ' || coalesce(c.lines, 0) END AS detail,
       count(*) OVER () AS count
  FROM audit.batch_runs AS r
  LEFT JOIN (SELECT run_id, sum(chunks) AS chunks, sum(expected) AS expected, sum(lines) AS lines
               FROM (SELECT run_id, count(*) AS chunks, max(chunk_no) + 1 AS expected, sum(lines) AS lines
                       FROM audit.batch_chunks GROUP BY run_id, partition) AS p
              GROUP BY run_id) AS c ON c.run_id = r.run_id
 WHERE c.chunks <> c.expected OR r.lines <> coalesce(c.lines, 0)
 ORDER BY r.run_id
 LIMIT 1;
