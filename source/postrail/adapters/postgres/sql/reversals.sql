-- name: reverse
SELECT order_no, reason, detail, standing, batch_id FROM ledger.reverse($1, $2, $3, $4, $5, $6);
