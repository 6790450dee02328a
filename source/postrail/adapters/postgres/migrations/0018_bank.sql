-- The issuing bank beside its ledger: customers, cards, what was authorised and undone, and what must still be told.
--
-- All of it lies in the ledger's database, so that a hold, the authorization it belongs to and the message that tells
-- of it are committed together. Card numbers are not here: a card is its token, found by a keyed hash of its number.

CREATE SCHEMA bank;

CREATE TABLE bank.customers (
    customer_id text COLLATE "C" PRIMARY KEY,
    bank_id     text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (bank_id, subject)
);

COMMENT ON COLUMN bank.customers.subject IS 'who this is to the issuer of access tokens: the claim sub';

CREATE TABLE bank.customer_accounts (
    account_id  text COLLATE "C" PRIMARY KEY REFERENCES ledger.accounts (account_id),
    customer_id text COLLATE "C" NOT NULL REFERENCES bank.customers,
    bank_id     text COLLATE "C" NOT NULL,
    details     jsonb NOT NULL,
    request_key text COLLATE "C" NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX customer_accounts_of_customer ON bank.customer_accounts (customer_id);

COMMENT ON COLUMN bank.customer_accounts.details IS 'the account as the pipeline is told of it (AccountDetails)';

CREATE TABLE bank.cards (
    card_token       text COLLATE "C" PRIMARY KEY,
    bank_id          text COLLATE "C" NOT NULL,
    pan_lookup       bytea NOT NULL UNIQUE CHECK (octet_length(pan_lookup) = 32),
    last_four        text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    account_id       text COLLATE "C" NOT NULL REFERENCES ledger.accounts (account_id),
    product          text NOT NULL,
    expiry           text NOT NULL CHECK (expiry ~ '^20[0-9]{2}-(0[1-9]|1[0-2])$'),
    status           text NOT NULL CHECK (status IN ('ordered', 'in_production', 'ready', 'active', 'blocked', 'expired')),
    status_reason    text CHECK (status_reason IN ('lost', 'stolen', 'suspected_fraud', 'closed')),
    services         text[] NOT NULL,
    payment_limit_minor   bigint CHECK (payment_limit_minor > 0),
    day_limit_minor       bigint CHECK (day_limit_minor > 0),
    day_limit_count       integer CHECK (day_limit_count > 0),
    hour_limit_count      integer CHECK (hour_limit_count > 0),
    pin_reference    text,
    pin_tries        smallint NOT NULL DEFAULT 0 CHECK (pin_tries >= 0),
    request_key      text COLLATE "C" NOT NULL UNIQUE,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (status_reason IS NULL OR status = 'blocked')
) WITH (fillfactor = 80);

CREATE INDEX cards_of_account ON bank.cards (account_id);

COMMENT ON COLUMN bank.cards.pan_lookup IS 'HMAC-SHA-256 of the card number under the vault''s lookup key';
COMMENT ON COLUMN bank.cards.pin_reference IS 'the PIN verification value that the HSM compares with; null: the card has no PIN';
COMMENT ON COLUMN bank.cards.pin_tries IS 'wrong PINs since the last right one';
COMMENT ON COLUMN bank.cards.payment_limit_minor IS 'limits are in minor units of the account''s currency; null is none';

-- What a card has used of its limits in a UTC hour; a day is the sum of its hours.
CREATE TABLE bank.card_usage (
    card_token   text COLLATE "C" NOT NULL REFERENCES bank.cards,
    hour         timestamptz NOT NULL,
    count        integer NOT NULL CHECK (count >= 0),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    countries    text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (card_token, hour)
) WITH (fillfactor = 70);

COMMENT ON COLUMN bank.card_usage.amount_minor IS 'minor units of the account''s currency, fees included';
COMMENT ON COLUMN bank.card_usage.countries IS 'where the card was used in this hour (ISO 3166-1 alpha-2), each once';

CREATE TABLE bank.authorizations (
    payment_id        uuid PRIMARY KEY,
    bank_id           text COLLATE "C" NOT NULL,
    authorization_key text COLLATE "C" NOT NULL,
    fingerprint       uuid NOT NULL,
    message_type      text NOT NULL,
    function_code     text NOT NULL,
    transaction_type  text NOT NULL,
    card_token        text COLLATE "C",
    account_id        text COLLATE "C",
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    currency          text NOT NULL,
    held_minor        bigint CHECK (held_minor >= 0),
    action_code       text NOT NULL CHECK (action_code ~ '^[0-9]{3}$'),
    approval_code     text,
    rrn               text NOT NULL,
    hold_id           uuid,
    original          uuid REFERENCES bank.authorizations,
    answer            json NOT NULL,
    details           json,
    reversed_minor    bigint NOT NULL DEFAULT 0 CHECK (reversed_minor BETWEEN 0 AND amount_minor),
    transmitted_at    timestamptz NOT NULL,
    decided_at        timestamptz NOT NULL,
    UNIQUE (bank_id, authorization_key)
) WITH (fillfactor = 80);

CREATE INDEX authorizations_of_card ON bank.authorizations (card_token, decided_at);

-- A pre-authorisation is completed once.
CREATE UNIQUE INDEX authorizations_complete_once ON bank.authorizations (original)
    WHERE original IS NOT NULL AND action_code < '100';

COMMENT ON COLUMN bank.authorizations.authorization_key IS 
    'acquirer (DE 32), STAN (11), local time (12), terminal (41) and class of the message: how it is known again';
COMMENT ON COLUMN bank.authorizations.answer IS 'the fields of the response, to answer a repetition alike; no card data';
COMMENT ON COLUMN bank.authorizations.details IS
    'of a pre-authorisation: the authorization as the pipeline will be told of it, with the token, when it is completed';
COMMENT ON COLUMN bank.authorizations.original IS 'of a completion: the pre-authorisation that it completes';

-- What was asked to be undone. Kept also when the original is not known (yet): it must not be approved any more.
CREATE TABLE bank.reversals (
    reversal_key   text COLLATE "C" NOT NULL,
    bank_id        text COLLATE "C" NOT NULL,
    original_key   text COLLATE "C" NOT NULL,
    fingerprint    uuid NOT NULL,
    payment_id     uuid REFERENCES bank.authorizations,
    amount_minor   bigint CHECK (amount_minor > 0),
    undone_minor   bigint NOT NULL DEFAULT 0 CHECK (undone_minor >= 0),
    reason         text NOT NULL,
    status         text NOT NULL CHECK (status IN ('unmatched', 'waiting', 'done')),
    transaction_id uuid,
    answer         json NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    look_again_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at        timestamptz,
    PRIMARY KEY (bank_id, reversal_key)
) WITH (fillfactor = 80);

CREATE INDEX reversals_of_original ON bank.reversals (bank_id, original_key);

CREATE INDEX reversals_waiting ON bank.reversals (look_again_at) WHERE status = 'waiting';

CREATE INDEX reversals_of_payment ON bank.reversals (payment_id) WHERE payment_id IS NOT NULL;

COMMENT ON COLUMN bank.reversals.amount_minor IS 'what was asked to be undone, of the transaction amount; null: all of it';
COMMENT ON COLUMN bank.reversals.undone_minor IS
    'what this one undid of it: less than asked when others had undone some, nothing when they had undone all';
COMMENT ON COLUMN bank.reversals.status IS
    'unmatched: no original known; waiting: its money is on the way to the ledger and is turned back when it is there';

-- Approvals on their way to the table `authorizations`: committed with the approval, deleted when the table has them.
CREATE TABLE bank.approvals_to_relay (
    relay_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bank_id      text COLLATE "C" NOT NULL,
    payment_id   uuid NOT NULL UNIQUE,
    item         json NOT NULL,
    leased_until timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
