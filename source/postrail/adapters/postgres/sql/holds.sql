-- name: place
SELECT order_no, reason, detail, repeated, hold_id, status, remaining_minor, available_minor
  FROM ledger.place_holds($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: change
SELECT order_no, reason, detail, repeated, hold_id, status, remaining_minor, available_minor
  FROM ledger.change_holds($1, $2, $3, $4, $5, $6, $7);

-- name: expire
SELECT hold_id, expired_minor FROM ledger.expire_holds($1, $2);

-- name: find
SELECT h.*, a.account_id, a.currency
  FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (hold_id, no)
  JOIN ledger.holds AS h ON h.hold_id = wanted.hold_id
  JOIN ledger.accounts AS a ON a.account_no = h.account_no
 ORDER BY wanted.no;

-- name: list
SELECT h.*, a.account_id, a.currency
  FROM ledger.holds AS h
  JOIN ledger.accounts AS a ON a.account_no = h.account_no
 WHERE ($1::text IS NULL OR a.account_id = $1)
   AND ($2::text IS NULL OR h.status = $2)
   AND ($3::uuid IS NULL OR h.hold_id > $3)
 ORDER BY h.hold_id
 LIMIT $4;

-- name: history
SELECT change, change_key, amount_minor, held_minor, transaction_id, occurred_at, recorded_at
  FROM ledger.hold_changes
 WHERE hold_id = $1
 ORDER BY change_id;
