-- name: open
SELECT * FROM bank.open_authorizations($1, $2, $3, $4)

-- name: place_holds
SELECT reason, detail, available_minor
  FROM ledger.place_holds($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
 ORDER BY order_no

-- name: record
-- One authorization for each request, approved or not: a repetition must hear the same. What an approval leaves behind
-- beside it: the item for the pipeline, what the card has used, and that the card is in use. A wrong PIN is counted.
WITH decided AS MATERIALIZED (
    SELECT *
      FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::bigint[], $11::text[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::uuid[],
                  $17::uuid[], $18::text[], $19::timestamptz[], $20::timestamptz[], $21::text[], $22::bigint[],
                  $23::text[], $24::smallint[], $25::text[])
           AS d (payment_id, authorization_key, fingerprint, message_type, function_code, transaction_type, card_token,
                 account_id, amount_minor, currency, held_minor, action_code, approval_code, rrn, hold_id, original,
                 answer, transmitted_at, decided_at, item, used_minor, country, pin_tries, details)
), recorded AS (
    INSERT INTO bank.authorizations
           (payment_id, bank_id, authorization_key, fingerprint, message_type, function_code, transaction_type,
            card_token, account_id, amount_minor, currency, held_minor, action_code, approval_code, rrn, hold_id,
            original, answer, details, transmitted_at, decided_at)
    SELECT d.payment_id, $1, d.authorization_key, d.fingerprint, d.message_type, d.function_code, d.transaction_type,
           d.card_token, d.account_id, d.amount_minor, d.currency, d.held_minor, d.action_code, d.approval_code, d.rrn,
           d.hold_id, d.original, d.answer::json, d.details::json, d.transmitted_at, d.decided_at
      FROM decided AS d
), relayed AS (
    INSERT INTO bank.approvals_to_relay (bank_id, payment_id, item)
    SELECT $1, d.payment_id, d.item::json FROM decided AS d WHERE d.item IS NOT NULL
), used AS (
    INSERT INTO bank.card_usage AS u (card_token, hour, count, amount_minor, countries)
    SELECT d.card_token, $26, 1, d.used_minor, ARRAY[d.country]
      FROM decided AS d WHERE d.used_minor IS NOT NULL
        ON CONFLICT (card_token, hour) DO UPDATE
       SET count = u.count + 1, amount_minor = u.amount_minor + excluded.amount_minor,
           countries = CASE WHEN u.countries @> excluded.countries THEN u.countries
                            ELSE u.countries || excluded.countries END
), pins AS (
    UPDATE bank.cards AS c SET pin_tries = d.pin_tries
      FROM decided AS d
     WHERE c.card_token = d.card_token AND d.pin_tries IS NOT NULL AND NOT c.card_token = ANY ($27::text[])
)
UPDATE bank.cards AS c
   SET status = 'active', changed_at = clock_timestamp(), pin_tries = coalesce(d.pin_tries, c.pin_tries)
  FROM decided AS d
 WHERE c.card_token = ANY ($27::text[]) AND c.card_token = d.card_token AND c.status = 'ready'

-- name: adopt
-- Partial reversals that came before their originals, which are approved now: each undoes what those before it left.
WITH early AS MATERIALIZED (
    SELECT r.reversal_key, a.payment_id,
           greatest(0, least(r.amount_minor,
                             a.amount_minor - coalesce(sum(r.amount_minor) OVER earlier, 0)))::bigint AS undone_minor
      FROM bank.authorizations AS a
      JOIN bank.reversals AS r ON r.bank_id = a.bank_id AND r.original_key = a.authorization_key
     WHERE a.bank_id = $1 AND a.authorization_key = ANY ($2::text[]) AND a.action_code < '100'
       AND r.status = 'unmatched' AND r.amount_minor IS NOT NULL
    WINDOW earlier AS (PARTITION BY a.payment_id ORDER BY r.received_at, r.reversal_key
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), adopted AS (
    UPDATE bank.reversals AS r
       SET status = CASE WHEN e.undone_minor > 0 THEN 'waiting' ELSE 'done' END, payment_id = e.payment_id,
           undone_minor = e.undone_minor
      FROM early AS e
     WHERE r.bank_id = $1 AND r.reversal_key = e.reversal_key
)
UPDATE bank.authorizations AS a
   SET reversed_minor = e.undone_minor
  FROM (SELECT payment_id, sum(undone_minor)::bigint AS undone_minor FROM early GROUP BY payment_id) AS e
 WHERE a.payment_id = e.payment_id

-- name: find_pin_reference
SELECT c.pin_reference, c.pin_tries FROM bank.cards AS c WHERE c.bank_id = $1 AND c.pan_lookup = $2
