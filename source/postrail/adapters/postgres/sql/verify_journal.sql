-- Checks of the journal that look at one range of batches, $1 to $2, at a time.
-- Each returns no row, or the first row that fails it with the number of all that do.

-- name: transaction_sums_to_zero
SELECT coalesce('txn_' || replace(t.transaction_id::text, '-', ''), 'batch ' || e.batch_id || ' position ' || e.position)
           AS key,
       'entries sum to ' || e.off || ' ' || coalesce(c.currency, e.currency_no::text) AS detail,
       count(*) OVER () AS count
  FROM (SELECT batch_id, position, currency_no, sum(amount_minor) AS off
          FROM ledger.entries
         WHERE batch_id BETWEEN $1 AND $2
         GROUP BY batch_id, position, currency_no
        HAVING sum(amount_minor) <> 0) AS e
  LEFT JOIN ledger.journal_transactions AS t ON t.batch_id = e.batch_id AND t.position = e.position
  LEFT JOIN ledger.currencies AS c ON c.currency_no = e.currency_no
 ORDER BY e.batch_id, e.position, e.currency_no
 LIMIT 1;

-- name: transaction_has_its_entries
SELECT coalesce('txn_' || replace(t.transaction_id::text, '-', ''), 'batch ' || e.batch_id || ' position ' || e.position)
           AS key,
       CASE WHEN t.transaction_id IS NULL THEN 'entries without a transaction'
            WHEN t.leg_count IS DISTINCT FROM e.legs
            THEN 'has ' || coalesce(e.legs, 0) || ' entries, the journal says ' || t.leg_count
            ELSE 'its entries are not numbered 1 to ' || t.leg_count END AS detail,
       count(*) OVER () AS count
  FROM (SELECT batch_id, position, leg_count, transaction_id
          FROM ledger.journal_transactions WHERE batch_id BETWEEN $1 AND $2) AS t
  FULL JOIN (SELECT batch_id, position, count(*) AS legs, min(leg_no) AS first_no, max(leg_no) AS last_no,
                    bit_or(1::bigint << leg_no) AS numbers
               FROM ledger.entries WHERE batch_id BETWEEN $1 AND $2 GROUP BY batch_id, position) AS e
         ON e.batch_id = t.batch_id AND e.position = t.position
 WHERE t.leg_count IS DISTINCT FROM e.legs
    OR e.first_no <> 1 OR e.last_no <> t.leg_count OR e.numbers <> ((1::bigint << t.leg_count) - 1) << 1
 ORDER BY coalesce(t.batch_id, e.batch_id), coalesce(t.position, e.position)
 LIMIT 1;

-- name: reversal_mirrors_its_original
SELECT 'txn_' || replace(r.transaction_id::text, '-', '') AS key,
       CASE WHEN t.transaction_id IS NULL THEN 'takes back a transaction that the journal does not have'
            WHEN t.kind = 'reversal' THEN 'takes back a reversal'
            ELSE 'does not take back, leg by leg, txn_' || replace(t.transaction_id::text, '-', '') END AS detail,
       count(*) OVER () AS count
  FROM ledger.journal_transactions AS r
  LEFT JOIN ledger.journal_transactions AS t ON t.transaction_id = r.reverses
 WHERE r.batch_id BETWEEN $1 AND $2 AND (r.reverses IS NOT NULL OR r.kind = 'reversal')
   AND (t.transaction_id IS NULL OR t.kind = 'reversal' OR EXISTS (
           SELECT FROM (SELECT leg_no, account_no, -amount_minor AS amount_minor
                          FROM ledger.entries WHERE batch_id = t.batch_id AND position = t.position) AS was
             FULL JOIN (SELECT leg_no, account_no, amount_minor
                          FROM ledger.entries WHERE batch_id = r.batch_id AND position = r.position) AS now
                    ON (now.leg_no, now.account_no, now.amount_minor) = (was.leg_no, was.account_no, was.amount_minor)
            WHERE was.leg_no IS NULL OR now.leg_no IS NULL))
 ORDER BY r.batch_id, r.position
 LIMIT 1;

-- name: batch_has_its_transactions
SELECT 'batch ' || coalesce(b.batch_id, t.batch_id) AS key,
       CASE WHEN b.batch_id IS NULL THEN t.transactions || ' transactions of a batch that is not there'
            ELSE 'has ' || coalesce(t.transactions, 0) || ' transactions, at positions ' || coalesce(t.first_position, 0)
                 || ' to ' || coalesce(t.last_position, 0) || ', the batch says ' || b.transaction_count END AS detail,
       count(*) OVER () AS count
  FROM (SELECT batch_id, transaction_count FROM ledger.batches WHERE batch_id BETWEEN $1 AND $2) AS b
  FULL JOIN (SELECT batch_id, count(*) AS transactions, min(position) AS first_position, max(position) AS last_position
               FROM ledger.journal_transactions WHERE batch_id BETWEEN $1 AND $2 GROUP BY batch_id) AS t
         ON t.batch_id = b.batch_id
 WHERE b.transaction_count IS DISTINCT FROM t.transactions
    OR t.first_position <> 1 OR t.last_position <> b.transaction_count
 ORDER BY coalesce(b.batch_id, t.batch_id)
 LIMIT 1;

-- name: batch_matches_its_hash
-- The bytes are those of ledger.hash_content and ledger.hash_link, packed here once more: what is asked for the proof
-- is not asked to give it.
WITH facts AS (
    SELECT batch_id,
           array_send(array_agg(position)) || array_send(array_agg(leg_count)) || array_send(array_agg(kind))
           || array_send(array_agg(occurred_at)) || array_send(array_agg(transaction_id))
           || array_send(array_agg(payment_id)) || array_send(array_agg(sequence_id))
           || array_send(array_agg(reverses)) || array_send(array_agg(fingerprint))
           || array_send(array_agg(payment_key)) || array_send(array_agg(description)) AS bytes
      FROM (SELECT * FROM ledger.journal_transactions
             WHERE batch_id BETWEEN $1 AND $2 ORDER BY batch_id, position) AS t
     GROUP BY batch_id
), money AS (
    SELECT batch_id,
           array_send(array_agg(position)) || array_send(array_agg(leg_no)) || array_send(array_agg(account_no))
           || array_send(array_agg(currency_no)) || array_send(array_agg(amount_minor)) AS bytes
      FROM (SELECT * FROM ledger.entries
             WHERE batch_id BETWEEN $1 AND $2 ORDER BY batch_id, position, leg_no) AS e
     GROUP BY batch_id
), linked AS (
    SELECT b.*, coalesce(b.content_hash = sha256(f.bytes || m.bytes), false) AS content_holds,
           coalesce(b.hash = sha256(b.previous_hash || int8send(b.batch_id) || int2send(b.lane) || int8send(b.lane_no)
                                    || int4send(b.transaction_count) || timestamptz_send(b.recorded_at)
                                    || b.content_hash), false) AS hash_holds
      FROM ledger.batches AS b
      LEFT JOIN facts AS f ON f.batch_id = b.batch_id
      LEFT JOIN money AS m ON m.batch_id = b.batch_id
     WHERE b.batch_id BETWEEN $1 AND $2
)
SELECT 'batch ' || batch_id || ' (lane ' || lane || ' no. ' || lane_no || ')' AS key,
       CASE WHEN hash IS NULL THEN 'was never sealed'
            WHEN NOT content_holds THEN 'its transactions and entries do not give its content hash'
            ELSE 'its own row does not give its hash' END AS detail,
       count(*) OVER () AS count,
       CASE WHEN NOT content_holds THEN batch_id END AS batch_id
  FROM linked
 WHERE NOT content_holds OR NOT hash_holds
 ORDER BY batch_id
 LIMIT 1;
