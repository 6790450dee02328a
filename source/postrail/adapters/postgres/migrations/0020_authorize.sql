-- What the bank reads, and locks, before it decides on a batch of messages.
--
-- Order of locks, here and in what follows in the same transaction: message keys, cards, authorizations, balances, usage;
-- each sorted. Keys are locked by name, since there may be no row yet: a payment and its own reversal, or two copies of
-- one message, then wait for each other and see what the other did, whichever process of the bank they came to.
--
-- Each lookup goes by its key: OFFSET 0 keeps the planner from reading a young table from end to end.

CREATE FUNCTION bank.lock_keys(p_bank_id text, p_key text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(k.number)
       FROM (SELECT DISTINCT hashtextextended(p_bank_id || '/' || key, 20) AS number
               FROM unnest(p_key) AS w (key) ORDER BY number) AS k;
END;
$$;

REVOKE ALL ON FUNCTION bank.lock_keys FROM PUBLIC;

-- For each request: whether it is known (stored_*), whether it was reversed before it came,
-- wholly (undone) or in part, its card, and what
-- the card has used: of its day (UTC) and hour, and where in the last 24 hours. Rows come in the order of the requests;
-- keys and cards may stand in one call once only.
CREATE FUNCTION bank.open_authorizations(
    p_bank_id text, p_key text[], p_pan_lookup bytea[], p_hour timestamptz
) RETURNS TABLE (
    no integer, stored_fingerprint uuid, stored_action_code text, stored_answer text, undone boolean, undone_partly boolean,
    card_token text, account_id text, product text, expiry text, status text, status_reason text, services text[],
    payment_limit_minor bigint, day_limit_minor bigint, day_limit_count integer, hour_limit_count integer,
    pin_reference text, pin_tries smallint, currency text, account_status text,
    day_count bigint, day_minor bigint, hour_count bigint, countries text[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_day timestamptz := date_trunc('day', p_hour, 'UTC');
BEGIN
    PERFORM bank.lock_keys(p_bank_id, p_key);
    PERFORM FROM bank.cards AS c
      WHERE c.pan_lookup = ANY (p_pan_lookup) AND c.bank_id = p_bank_id
      ORDER BY c.card_token FOR NO KEY UPDATE;
    -- A statement of its own: it sees what those committed who had the locks before.
    RETURN QUERY
    SELECT o.no::integer, s.fingerprint, s.action_code, s.answer::text,
           EXISTS (SELECT FROM bank.reversals AS r
                    WHERE r.bank_id = p_bank_id AND r.original_key = o.key AND r.status = 'unmatched'
                      AND r.amount_minor IS NULL),
           EXISTS (SELECT FROM bank.reversals AS r
                    WHERE r.bank_id = p_bank_id AND r.original_key = o.key AND r.status = 'unmatched'
                      AND r.amount_minor IS NOT NULL),
           c.card_token, c.account_id, c.product, c.expiry, c.status, c.status_reason, c.services,
           c.payment_limit_minor, c.day_limit_minor, c.day_limit_count, c.hour_limit_count,
           c.pin_reference, c.pin_tries, a.currency, a.status,
           u.day_count, u.day_minor, u.hour_count, u.countries
      FROM unnest(p_key, p_pan_lookup) WITH ORDINALITY AS o (key, pan_lookup, no)
      LEFT JOIN LATERAL (SELECT fingerprint, action_code, answer FROM bank.authorizations
                          WHERE bank_id = p_bank_id AND authorization_key = o.key OFFSET 0) AS s ON true
      LEFT JOIN LATERAL (SELECT * FROM bank.cards
                          WHERE pan_lookup = o.pan_lookup AND bank_id = p_bank_id OFFSET 0) AS c ON true
      LEFT JOIN LATERAL (SELECT currency, status FROM ledger.accounts
                          WHERE account_id = c.account_id OFFSET 0) AS a ON true
      LEFT JOIN LATERAL (
           SELECT coalesce(sum(count) FILTER (WHERE hour >= v_day), 0)::bigint AS day_count,
                  coalesce(sum(amount_minor) FILTER (WHERE hour >= v_day), 0)::bigint AS day_minor,
                  coalesce(sum(count) FILTER (WHERE hour = p_hour), 0)::bigint AS hour_count,
                  string_to_array(string_agg(array_to_string(countries, ','), ','), ',') AS countries
             FROM bank.card_usage
            WHERE card_token = c.card_token AND hour >= p_hour - interval '23 hours') AS u ON true
     ORDER BY o.no;
END;
$$;

REVOKE ALL ON FUNCTION bank.open_authorizations FROM PUBLIC;

-- For each completion or reversal: whether it is known, and the authorization that it names; of a pre-authorisation also
-- its completion. The authorizations are locked.
CREATE FUNCTION bank.open_follow_ups(p_bank_id text, p_key text[], p_original_key text[]) RETURNS TABLE (
    no integer, stored_fingerprint uuid, stored_answer text, stored_action_code text, undone boolean,
    payment_id uuid, function_code text, transaction_type text, action_code text, card_token text, account_id text,
    amount_minor bigint, currency text, held_minor bigint, hold_id uuid, reversed_minor bigint, decided_at timestamptz,
    details text, rrn text, completion_key text, completion_id uuid,
    completion_minor bigint, completion_reversed_minor bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM bank.lock_keys(p_bank_id, p_key || p_original_key);
    PERFORM FROM bank.authorizations AS a
      WHERE a.payment_id = ANY (ARRAY(
            SELECT t.payment_id
              FROM unnest(p_original_key) AS o (key)
             CROSS JOIN LATERAL (SELECT payment_id FROM bank.authorizations
                                  WHERE bank_id = p_bank_id AND authorization_key = o.key OFFSET 0) AS n
             CROSS JOIN LATERAL (SELECT n.payment_id
                                  UNION ALL
                                 SELECT payment_id FROM bank.authorizations
                                  WHERE original = n.payment_id AND action_code < '100') AS t))
      ORDER BY a.payment_id FOR NO KEY UPDATE;
    RETURN QUERY
    SELECT o.no::integer, coalesce(r.fingerprint, s.fingerprint), coalesce(r.answer, s.answer)::text, s.action_code,
           EXISTS (SELECT FROM bank.reversals AS u
                    WHERE u.bank_id = p_bank_id AND u.original_key = o.key AND u.status = 'unmatched'
                      AND u.amount_minor IS NULL),
           n.payment_id, n.function_code, n.transaction_type, n.action_code, n.card_token, n.account_id,
           n.amount_minor, n.currency, n.held_minor, n.hold_id, n.reversed_minor, n.decided_at,
           n.details::text, n.rrn, c.authorization_key, c.payment_id, c.amount_minor, c.reversed_minor
      FROM unnest(p_key, p_original_key) WITH ORDINALITY AS o (key, original_key, no)
      LEFT JOIN LATERAL (SELECT fingerprint, answer FROM bank.reversals
                          WHERE bank_id = p_bank_id AND reversal_key = o.key OFFSET 0) AS r ON true
      LEFT JOIN LATERAL (SELECT fingerprint, answer, action_code FROM bank.authorizations
                          WHERE bank_id = p_bank_id AND authorization_key = o.key OFFSET 0) AS s ON true
      LEFT JOIN LATERAL (SELECT * FROM bank.authorizations
                          WHERE bank_id = p_bank_id AND authorization_key = o.original_key OFFSET 0) AS n ON true
      LEFT JOIN LATERAL (SELECT authorization_key, payment_id, amount_minor, reversed_minor
                           FROM bank.authorizations WHERE original = n.payment_id AND action_code < '100' OFFSET 0) AS c ON true
     ORDER BY o.no;
END;
$$;

REVOKE ALL ON FUNCTION bank.open_follow_ups FROM PUBLIC;
