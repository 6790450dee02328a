-- name: receive_parts
SELECT verdict, sequence_id, part_index, event_id, event, batch_no
  FROM ledger.receive_parts($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: post
SELECT order_no, reason, detail, standing, batch_id
  FROM ledger.post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                   $23);

-- name: claim_sequences
SELECT order_no, reason, detail FROM ledger.claim_sequences($1, $2, $3, $4, $5, $6);

-- name: close_sequences
SELECT ledger.close_sequences($1, $2, $3, $4, $5, $6, $7, $8);

-- name: announce
INSERT INTO ledger.outbox (detail_type, batch_id) VALUES ('PaymentPosted', $1);

-- name: refuse
UPDATE ledger.posting_sequences
   SET status = 'refused', reason = $2, detail = $3, closed_at = clock_timestamp()
 WHERE sequence_id = $1 AND status = 'waiting';
