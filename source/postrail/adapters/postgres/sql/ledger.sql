-- name: receive_parts
SELECT verdict, sequence_id, part_index, event_id, event, batch_no
  FROM ledger.receive_parts($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: post
SELECT order_no, transaction_id, reason, detail
  FROM ledger.post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20);

-- name: refuse
UPDATE ledger.posting_sequences
   SET status = 'refused', reason = $2, detail = $3, closed_at = clock_timestamp()
 WHERE sequence_id = $1 AND status = 'waiting';
