-- What the role of functions, batch tasks and switch may do. Journal, entries, balances, holds and accounts are written by
-- the functions of the schema alone, whose owner is another role; nobody deletes what the books keep, and nobody but the
-- owner changes a schema. Granted anew after every migration: what is not here any more is gone.

-- name: revoke
REVOKE ALL ON ALL TABLES IN SCHEMA ledger, audit, bank, network, migrations FROM {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA ledger, audit, bank, network, migrations FROM {role};
REVOKE ALL ON ALL ROUTINES IN SCHEMA ledger, audit, bank, network, migrations FROM {role};
REVOKE ALL ON SCHEMA ledger, audit, bank, network, migrations FROM {role};

-- name: grant
GRANT USAGE ON SCHEMA ledger, audit, bank, network, migrations TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA ledger, audit, bank, network TO {role};
GRANT SELECT ON migrations._yoyo_migration TO {role}; -- is the schema up to date?

-- The posting engine.
GRANT EXECUTE ON FUNCTION ledger.receive_parts, ledger.claim_sequences, ledger.post, ledger.close_sequences,
    ledger.reverse, ledger.open_accounts, ledger.place_holds, ledger.change_holds, ledger.expire_holds TO {role};
GRANT UPDATE (status, reason, detail, closed_at, overdue_alerted_at) ON ledger.posting_sequences TO {role};
GRANT UPDATE (status, overdraft_limit_minor) ON ledger.accounts TO {role};
GRANT INSERT ON ledger.outbox, audit.outcomes TO {role};
GRANT UPDATE (leased_until, sent_at, sent_position) ON ledger.outbox TO {role};

-- The batch road.
GRANT INSERT ON audit.batch_runs, audit.batch_chunks TO {role};
GRANT UPDATE (lines, finished_at) ON audit.batch_runs TO {role};

-- Banks: authorizations and what became of them, the hand-over to the pipeline, customers and cards.
GRANT EXECUTE ON FUNCTION bank.lock_keys, bank.open_authorizations, bank.open_follow_ups TO {role};
GRANT INSERT ON bank.authorizations, bank.reversals, bank.card_usage, bank.approvals_to_relay, bank.api_requests,
    bank.customers, bank.customer_accounts, bank.cards TO {role};
GRANT UPDATE (reversed_minor) ON bank.authorizations TO {role};
GRANT UPDATE (status, payment_id, undone_minor, transaction_id, done_at, look_again_at) ON bank.reversals TO {role};
GRANT UPDATE (count, amount_minor, countries) ON bank.card_usage TO {role};
GRANT UPDATE (leased_until), DELETE ON bank.approvals_to_relay TO {role}; -- what the pipeline has, need not wait
GRANT UPDATE (answer) ON bank.api_requests TO {role};
GRANT UPDATE (name) ON bank.customers TO {role};
GRANT UPDATE (account_id) ON bank.customer_accounts TO {role}; -- SELECT ... FOR UPDATE asks for it
GRANT UPDATE (status, status_reason, changed_at, pin_tries) ON bank.cards TO {role};

-- Networks: what waits for a bank, what was decided in its stead, cards.
GRANT EXECUTE ON FUNCTION network.approve_in_stead, network.keep_advices TO {role};
GRANT INSERT ON network.advices, network.stand_in_usage, network.api_requests, network.customers, network.cards TO {role};
GRANT UPDATE (status, attempts, action_code, finished_at, payload, next_attempt_at) ON network.advices TO {role};
GRANT UPDATE (count, amount_minor) ON network.stand_in_usage TO {role};
GRANT DELETE ON network.advices, network.stand_in_usage TO {role}; -- after their retention
GRANT UPDATE (answer) ON network.api_requests TO {role};
GRANT UPDATE (status, ready_at, notified_at) ON network.cards TO {role};
