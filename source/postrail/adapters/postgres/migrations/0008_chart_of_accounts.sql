-- The chart of accounts as data: currencies, types with their normal side, limits, and which accounts are hot.
--
-- The tables that 0009 lays out anew step aside first; 0010 carries their rows over and drops them.

DROP FUNCTION ledger.post;
DROP FUNCTION ledger.open_accounts;
DROP TRIGGER accounts_open_balances ON ledger.accounts;
DROP TRIGGER accounts_keep_identity ON ledger.accounts;
DROP TRIGGER transactions_are_append_only ON ledger.journal_transactions;
DROP TRIGGER entries_are_append_only ON ledger.entries;
DROP TRIGGER posting_inputs_are_kept ON audit.posting_inputs;
DROP FUNCTION ledger.open_balances, ledger.guard_account, ledger.lock_balances;
DROP FUNCTION ledger.check_inserted_entries, ledger.require_entries CASCADE;
ALTER TABLE ledger.entries RENAME TO old_entries;
ALTER TABLE ledger.journal_transactions RENAME TO old_transactions;
ALTER TABLE ledger.balances RENAME TO old_balances;
ALTER TABLE audit.posting_inputs RENAME TO old_posting_inputs;
ALTER TABLE ledger.old_entries DROP CONSTRAINT entries_account_id_currency_fkey, DROP CONSTRAINT entries_transaction_id_fkey;
ALTER TABLE ledger.old_transactions DROP CONSTRAINT journal_transactions_sequence_id_fkey;
ALTER TABLE audit.old_posting_inputs DROP CONSTRAINT posting_inputs_transaction_id_fkey;
ALTER TABLE ledger.old_balances DROP CONSTRAINT balances_account_id_fkey;
ALTER INDEX ledger.balances_pkey RENAME TO old_balances_pkey;
ALTER INDEX ledger.entries_pkey RENAME TO old_entries_pkey;
ALTER INDEX ledger.entries_of_account RENAME TO old_entries_of_account;
ALTER INDEX ledger.journal_transactions_pkey RENAME TO old_transactions_pkey;
ALTER INDEX ledger.journal_transactions_payment_key_key RENAME TO old_transactions_payment_key_key;
ALTER INDEX ledger.journal_transactions_sequence_id_key RENAME TO old_transactions_sequence_id_key;
ALTER INDEX ledger.journal_transactions_payment_id RENAME TO old_transactions_payment_id;
ALTER INDEX audit.posting_inputs_pkey RENAME TO old_posting_inputs_pkey;

CREATE TABLE ledger.currencies (
    currency_no smallint PRIMARY KEY CHECK (currency_no BETWEEN 1 AND 999),
    currency    text COLLATE "C" NOT NULL UNIQUE CHECK (currency ~ '^[A-Z]{3}$'),
    exponent    smallint NOT NULL CHECK (exponent BETWEEN 0 AND 4)
);

COMMENT ON TABLE ledger.currencies IS 'ISO 4217: numeric code, alphabetic code, digits after the decimal point';

INSERT INTO ledger.currencies (currency_no, currency, exponent) VALUES
    (784, 'AED', 2), (971, 'AFN', 2), (8, 'ALL', 2), (51, 'AMD', 2), (973, 'AOA', 2), (32, 'ARS', 2), (36, 'AUD', 2),
    (533, 'AWG', 2), (944, 'AZN', 2), (977, 'BAM', 2), (52, 'BBD', 2), (50, 'BDT', 2), (48, 'BHD', 3),
    (108, 'BIF', 0), (60, 'BMD', 2), (96, 'BND', 2), (68, 'BOB', 2), (986, 'BRL', 2), (44, 'BSD', 2), (64, 'BTN', 2),
    (72, 'BWP', 2), (933, 'BYN', 2), (84, 'BZD', 2), (124, 'CAD', 2), (976, 'CDF', 2), (756, 'CHF', 2),
    (152, 'CLP', 0), (156, 'CNY', 2), (170, 'COP', 2), (188, 'CRC', 2), (192, 'CUP', 2), (132, 'CVE', 2),
    (203, 'CZK', 2), (262, 'DJF', 0), (208, 'DKK', 2), (214, 'DOP', 2), (12, 'DZD', 2), (818, 'EGP', 2),
    (232, 'ERN', 2), (230, 'ETB', 2), (978, 'EUR', 2), (242, 'FJD', 2), (238, 'FKP', 2), (826, 'GBP', 2),
    (981, 'GEL', 2), (936, 'GHS', 2), (292, 'GIP', 2), (270, 'GMD', 2), (324, 'GNF', 0), (320, 'GTQ', 2),
    (328, 'GYD', 2), (344, 'HKD', 2), (340, 'HNL', 2), (332, 'HTG', 2), (348, 'HUF', 2), (360, 'IDR', 2),
    (376, 'ILS', 2), (356, 'INR', 2), (368, 'IQD', 3), (364, 'IRR', 2), (352, 'ISK', 0), (388, 'JMD', 2),
    (400, 'JOD', 3), (392, 'JPY', 0), (404, 'KES', 2), (417, 'KGS', 2), (116, 'KHR', 2), (174, 'KMF', 0),
    (408, 'KPW', 2), (410, 'KRW', 0), (414, 'KWD', 3), (136, 'KYD', 2), (398, 'KZT', 2), (418, 'LAK', 2),
    (422, 'LBP', 2), (144, 'LKR', 2), (430, 'LRD', 2), (426, 'LSL', 2), (434, 'LYD', 3), (504, 'MAD', 2),
    (498, 'MDL', 2), (969, 'MGA', 2), (807, 'MKD', 2), (104, 'MMK', 2), (496, 'MNT', 2), (446, 'MOP', 2),
    (929, 'MRU', 2), (480, 'MUR', 2), (462, 'MVR', 2), (454, 'MWK', 2), (484, 'MXN', 2), (458, 'MYR', 2),
    (943, 'MZN', 2), (516, 'NAD', 2), (566, 'NGN', 2), (558, 'NIO', 2), (578, 'NOK', 2), (524, 'NPR', 2),
    (554, 'NZD', 2), (512, 'OMR', 3), (590, 'PAB', 2), (604, 'PEN', 2), (598, 'PGK', 2), (608, 'PHP', 2),
    (586, 'PKR', 2), (985, 'PLN', 2), (600, 'PYG', 0), (634, 'QAR', 2), (946, 'RON', 2), (941, 'RSD', 2),
    (643, 'RUB', 2), (646, 'RWF', 0), (682, 'SAR', 2), (90, 'SBD', 2), (690, 'SCR', 2), (938, 'SDG', 2),
    (752, 'SEK', 2), (702, 'SGD', 2), (654, 'SHP', 2), (925, 'SLE', 2), (706, 'SOS', 2), (968, 'SRD', 2),
    (728, 'SSP', 2), (930, 'STN', 2), (222, 'SVC', 2), (760, 'SYP', 2), (748, 'SZL', 2), (764, 'THB', 2),
    (972, 'TJS', 2), (934, 'TMT', 2), (788, 'TND', 3), (776, 'TOP', 2), (949, 'TRY', 2), (780, 'TTD', 2),
    (901, 'TWD', 2), (834, 'TZS', 2), (980, 'UAH', 2), (800, 'UGX', 0), (840, 'USD', 2), (858, 'UYU', 2),
    (860, 'UZS', 2), (926, 'VED', 2), (928, 'VES', 2), (704, 'VND', 0), (548, 'VUV', 0), (882, 'WST', 2),
    (396, 'XAD', 2), (950, 'XAF', 0), (951, 'XCD', 2), (532, 'XCG', 2), (952, 'XOF', 0), (953, 'XPF', 0),
    (886, 'YER', 2), (710, 'ZAR', 2), (967, 'ZMW', 2), (924, 'ZWG', 2);

CREATE TABLE ledger.account_types (
    type        text PRIMARY KEY,
    normal_side text CHECK (normal_side IN ('debit', 'credit')),
    hot         boolean NOT NULL,
    meaning     text NOT NULL
);

COMMENT ON COLUMN ledger.account_types.normal_side IS 'the side its balance usually stands on; null for accounts that swing';
COMMENT ON COLUMN ledger.account_types.hot IS 'accounts of this type are sharded unless they are opened otherwise';

INSERT INTO ledger.account_types (type, normal_side, hot, meaning) VALUES
    ('customer',   'credit', false, 'a deposit account: what the bank owes its customer'),
    ('merchant',   'credit', false, 'what the bank owes an acquired merchant'),
    ('settlement', NULL,     true,  'what is owed to or by a scheme until it settles; clears to zero'),
    ('nostro',     'debit',  true,  'the bank''s own money at another bank'),
    ('income',     'credit', true,  'income of the bank: markups, interchange'),
    ('fee',        'credit', true,  'fees charged to customers'),
    ('expense',    'debit',  true,  'costs of the bank: scheme fees, losses'),
    ('suspense',   NULL,     true,  'what could not be allocated yet; clears to zero'),
    ('equity',     'credit', true,  'the other side of opening balances');

ALTER TABLE ledger.accounts
    DROP CONSTRAINT accounts_type_check,
    DROP CONSTRAINT accounts_account_id_currency_key;

ALTER TABLE ledger.accounts
    ADD FOREIGN KEY (type) REFERENCES ledger.account_types,
    ADD FOREIGN KEY (currency) REFERENCES ledger.currencies (currency),
    ADD COLUMN account_no integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN sharded boolean NOT NULL DEFAULT false,
    ADD COLUMN overdraft_limit_minor bigint CHECK (overdraft_limit_minor >= 0),
    ADD CONSTRAINT limits_need_one_balance CHECK (overdraft_limit_minor IS NULL OR NOT sharded);

COMMENT ON COLUMN ledger.accounts.sharded IS 'hot: keeps a balance row for each lane, so that writers do not wait for each other';
COMMENT ON COLUMN ledger.accounts.overdraft_limit_minor IS
    'how far available may go below zero; null: no limit, the account takes every posting';

UPDATE ledger.accounts SET sharded = true WHERE type IN (SELECT type FROM ledger.account_types WHERE hot);
