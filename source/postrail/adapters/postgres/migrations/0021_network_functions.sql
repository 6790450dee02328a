-- A network's decisions in a bank's stead, and the advices that tell of them, in one step each.

-- Decide on a payment for a bank that is away. The day's usage of the card is locked first, so that two payments
-- cannot both take what is left. An approval and the advice that tells the bank of it are committed together.
--
-- Outcomes, the first that applies:
--   known       this payment was approved before: `approval_code` is what it was told
--   conflict    another payment was approved under this key
--   listed      the card is on the negative file: `action_code` says with what
--   over_count  the card's approvals of the day are used up
--   over_amount this payment would exceed the card's amount of the day
--   approved
CREATE FUNCTION network.approve_in_stead(
    of_network text, of_bank text, of_key text, of_fingerprint bytea, of_card bytea,
    sealed bytea, code text, why text, minor bigint, day_minor_max bigint, day_count_max integer
) RETURNS TABLE (outcome text, approval_code text, action_code text)
LANGUAGE plpgsql AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    used network.stand_in_usage;
    known network.advices;
    listed text;
BEGIN
    INSERT INTO network.stand_in_usage (network_id, pan_lookup, day, count, amount_minor)
    VALUES (of_network, of_card, today, 0, 0)
    ON CONFLICT DO NOTHING;
    SELECT * INTO used FROM network.stand_in_usage AS u
    WHERE u.network_id = of_network AND u.pan_lookup = of_card AND u.day = today
    FOR UPDATE;

    SELECT * INTO known FROM network.advices AS a WHERE a.network_id = of_network AND a.advice_key = of_key;
    IF FOUND THEN
        RETURN QUERY SELECT CASE WHEN known.fingerprint = of_fingerprint THEN 'known' ELSE 'conflict' END,
            known.approval_code, NULL::text;
        RETURN;
    END IF;

    SELECT n.action_code INTO listed FROM network.negative_cards AS n
    WHERE n.network_id = of_network AND n.pan_lookup = of_card;
    IF FOUND THEN
        RETURN QUERY SELECT 'listed', NULL::text, listed;
    ELSIF used.count >= day_count_max THEN
        RETURN QUERY SELECT 'over_count', NULL::text, NULL::text;
    ELSIF used.amount_minor + minor > day_minor_max THEN
        RETURN QUERY SELECT 'over_amount', NULL::text, NULL::text;
    ELSE
        UPDATE network.stand_in_usage AS u SET count = u.count + 1, amount_minor = u.amount_minor + minor
        WHERE u.network_id = of_network AND u.pan_lookup = of_card AND u.day = today;
        INSERT INTO network.advices AS a (network_id, bank_id, advice_key, original_key, fingerprint, message_type,
            reason, payload, approval_code, next_attempt_at)
        VALUES (of_network, of_bank, of_key, of_key, of_fingerprint, '1120', why, sealed, code, clock_timestamp());
        RETURN QUERY SELECT 'approved', code, NULL::text;
    END IF;
END
$$;

-- Keep messages for their banks, in the order given. One row for each, in that order: `kept` when it is there now, also
-- when it was there before; otherwise another message was kept under its key.
CREATE FUNCTION network.keep_advices(
    of_network text, banks text[], keys text[], originals text[], fingerprints bytea[], types text[], reasons text[],
    payloads bytea[], delay interval
) RETURNS TABLE (kept boolean)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO network.advices AS a (network_id, bank_id, advice_key, original_key, fingerprint, message_type,
        reason, payload, next_attempt_at)
    SELECT of_network, w.bank_id, w.advice_key, w.original_key, w.fingerprint, w.message_type, w.reason, w.payload,
        clock_timestamp() + delay
    FROM unnest(banks, keys, originals, fingerprints, types, reasons, payloads) WITH ORDINALITY
        AS w (bank_id, advice_key, original_key, fingerprint, message_type, reason, payload, place)
    ORDER BY w.place
    ON CONFLICT (network_id, advice_key) DO NOTHING;
    RETURN QUERY
    SELECT a.fingerprint = w.fingerprint
    FROM unnest(keys, fingerprints) WITH ORDINALITY AS w (advice_key, fingerprint, place)
    JOIN network.advices AS a ON a.network_id = of_network AND a.advice_key = w.advice_key
    ORDER BY w.place;
END
$$;
