-- Opens accounts and posts their opening balances, once each, against `equity:opening:<currency>`.
--
-- Arrays run in parallel, one element an account. `p_opening_minor` is credit positive; null or 0 posts nothing.
-- An account that exists is left as it is, and so is an opening balance that was posted.

CREATE FUNCTION ledger.open_accounts(
    p_account_id text[], p_type text[], p_currency text[], p_status text[], p_name text[],
    p_opening_minor bigint[], p_transaction_id text[], p_fingerprint text[], p_opened_at timestamptz
) RETURNS TABLE (accounts_opened bigint, openings_posted bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_differing text;
    v_accounts_opened bigint;
    v_posted text[];
BEGIN
    INSERT INTO ledger.accounts (account_id, type, currency, status, name, opened_at)
    SELECT a.account_id, a.type, a.currency, a.status, a.name, p_opened_at
      FROM unnest(p_account_id, p_type, p_currency, p_status, p_name) AS a (account_id, type, currency, status, name)
     ORDER BY a.account_id COLLATE "C"
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_accounts_opened = ROW_COUNT;

    SELECT a.account_id INTO v_differing
      FROM unnest(p_account_id, p_type, p_currency) AS a (account_id, type, currency)
      JOIN ledger.accounts AS have ON have.account_id = a.account_id
     WHERE (have.type, have.currency) <> (a.type, a.currency)
     ORDER BY a.account_id COLLATE "C"
     LIMIT 1;
    IF v_differing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'accounts_keep_type_and_currency',
            MESSAGE = 'account ' || v_differing || ' exists with another type or currency';
    END IF;

    WITH posted AS (
        INSERT INTO ledger.journal_transactions
               (transaction_id, kind, payment_key, fingerprint, description, leg_count, occurred_at)
        SELECT a.transaction_id, 'opening', 'opening:' || a.account_id, a.fingerprint, 'Opening balance', 2, p_opened_at
          FROM unnest(p_account_id, p_opening_minor, p_transaction_id, p_fingerprint)
               AS a (account_id, opening_minor, transaction_id, fingerprint)
         WHERE a.opening_minor <> 0
         ORDER BY a.account_id COLLATE "C"
            ON CONFLICT (payment_key) DO NOTHING
        RETURNING transaction_id
    )
    SELECT coalesce(array_agg(transaction_id), '{}') INTO v_posted FROM posted;

    IF cardinality(v_posted) > 0 THEN
        INSERT INTO ledger.entries (transaction_id, leg_no, account_id, amount_minor, currency)
        SELECT a.transaction_id, leg.no, leg.account_id, leg.amount_minor, a.currency
          FROM unnest(p_account_id, p_currency, p_opening_minor, p_transaction_id)
               AS a (account_id, currency, opening_minor, transaction_id)
         CROSS JOIN LATERAL (VALUES (1, 'equity:opening:' || lower(a.currency), -a.opening_minor),
                                    (2, a.account_id, a.opening_minor)) AS leg (no, account_id, amount_minor)
         WHERE a.transaction_id = ANY (v_posted);
    END IF;

    RETURN QUERY SELECT v_accounts_opened, cardinality(v_posted)::bigint;
END;
$$;

REVOKE ALL ON FUNCTION ledger.open_accounts FROM PUBLIC;
