-- name: sequences
SELECT s.sequence_id, s.correlation_id, s.payment_key, s.fingerprint, s.status, s.reason, s.detail, s.total,
       s.first_part_at, s.overdue_alerted_at, s.closed_at,
       ledger.id_text('txn', t.transaction_id) AS transaction_id, t.payment_key AS posted_key, t.description,
       t.occurred_at, b.recorded_at,
       CASE WHEN t.transaction_id IS NOT NULL AND current_setting('track_commit_timestamp') = 'on'
            THEN pg_xact_commit_timestamp(t.xmin) END AS committed_at,
       i.format AS posting_input_format, i.content AS posting_input
  FROM ledger.posting_sequences AS s
  LEFT JOIN ledger.journal_transactions AS t
         ON t.payment_id = ledger.id_uuid('pay', s.payment_id) AND t.sequence_id = ledger.id_uuid('seq', s.sequence_id)
        AND t.kind = 'payment'
  LEFT JOIN ledger.batches AS b ON b.batch_id = t.batch_id
  LEFT JOIN audit.posting_inputs AS i ON i.transaction_id = t.transaction_id
 WHERE s.payment_id = $1
 ORDER BY s.first_part_at, s.sequence_id;

-- name: parts
SELECT p.sequence_id, p.part_index, p.event_id, p.received_at, p.event, false AS contradicts
  FROM ledger.posting_parts AS p
  JOIN ledger.posting_sequences AS s ON s.sequence_id = p.sequence_id
 WHERE s.payment_id = $1
 UNION ALL
SELECT c.sequence_id, c.part_index, c.event_id, c.received_at, c.event, true
  FROM audit.contradicting_parts AS c
  JOIN ledger.posting_sequences AS s ON s.sequence_id = c.sequence_id
 WHERE s.payment_id = $1
 ORDER BY sequence_id, part_index, received_at;

-- The balance after an entry counts what was recorded up to it: batches by number, entries in their order.
-- name: legs
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id, e.leg_no::integer, a.account_id,
       a.name AS account_name, e.amount_minor, a.currency,
       (b.total_minor - (SELECT coalesce(sum(later.amount_minor), 0)
                           FROM ledger.entries AS later
                          WHERE later.account_no = e.account_no AND later.batch_id >= e.batch_id
                            AND (later.batch_id, later.position, later.leg_no)
                              > (e.batch_id, e.position, e.leg_no)))::bigint AS balance_after_minor,
       b.total_minor::bigint AS balance_now_minor
  FROM ledger.journal_transactions AS t
  JOIN ledger.entries AS e ON e.batch_id = t.batch_id AND e.position = t.position
  JOIN ledger.accounts AS a ON a.account_no = e.account_no
  JOIN ledger.account_balances AS b ON b.account_no = e.account_no
 WHERE t.payment_id = ledger.id_uuid('pay', $1)
 ORDER BY t.batch_id, t.position, e.leg_no;

-- name: outcomes
SELECT event_id, detail_type, occurred_at, recorded_at, reason_code, event
  FROM audit.outcomes
 WHERE payment_id = $1
 ORDER BY occurred_at, event_id;

-- name: outbox
SELECT outbox_id, detail_type, created_at, sent_at, detail
  FROM ledger.outbox
 WHERE payment_id = $1
 ORDER BY outbox_id;
