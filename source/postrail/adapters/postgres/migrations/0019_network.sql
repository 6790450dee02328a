-- The card network: its customers, the cards that it produced, and what it must not forget.

CREATE SCHEMA network;

CREATE TABLE network.customers (
    customer_id text COLLATE "C" NOT NULL,
    network_id  text COLLATE "C" NOT NULL,
    bank_id     text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (network_id, customer_id)
);

CREATE TABLE network.cards (
    card_token  text COLLATE "C" PRIMARY KEY,
    network_id  text COLLATE "C" NOT NULL,
    bank_id     text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    pan_lookup  bytea NOT NULL UNIQUE CHECK (octet_length(pan_lookup) = 32),
    expiry      text NOT NULL CHECK (expiry ~ '^20[0-9]{2}-(0[1-9]|1[0-2])$'),
    services    text[] NOT NULL,
    status      text NOT NULL CHECK (status IN ('in_production', 'ready', 'blocked', 'expired')),
    notified_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (network_id, customer_id) REFERENCES network.customers
) WITH (fillfactor = 80);

CREATE INDEX cards_in_production ON network.cards (created_at) WHERE status = 'in_production';

-- Reversals and advices on their way to a bank: stored before they are acknowledged, sent until the bank does.
CREATE TABLE network.advices (
    advice_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network_id      text COLLATE "C" NOT NULL,
    bank_id         text COLLATE "C" NOT NULL,
    advice_key      text COLLATE "C" NOT NULL,
    original_key    text COLLATE "C" NOT NULL,
    fingerprint     bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    message_type    text NOT NULL CHECK (message_type IN ('1120', '1220', '1420')),
    reason          text NOT NULL,
    payload         bytea,
    approval_code   text,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'refused', 'expired')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    action_code     text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    UNIQUE (network_id, advice_key),
    CHECK ((status = 'pending') = (finished_at IS NULL)),
    CHECK (payload IS NOT NULL OR status = 'delivered')
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX advices_pending ON network.advices (network_id, bank_id, advice_id) WHERE status = 'pending';

CREATE INDEX advices_pending_of_original ON network.advices (network_id, original_key, advice_id)
    WHERE status = 'pending';

CREATE INDEX advices_finished ON network.advices (finished_at) WHERE status <> 'pending';

COMMENT ON COLUMN network.advices.advice_id IS 'the order in which a bank gets them';
COMMENT ON COLUMN network.advices.advice_key IS
    'acquirer (DE 32), STAN (11), local time (12), terminal (41) and class of the message: how it is known again';
COMMENT ON COLUMN network.advices.original_key IS
    'the key of what it speaks of: what speaks of one original is never sent out of order';
COMMENT ON COLUMN network.advices.fingerprint IS 'keyed hash of card and amount: another message under the same key';
COMMENT ON COLUMN network.advices.payload IS
    'the message, sealed, without PIN and track data; taken away when it is delivered';
COMMENT ON COLUMN network.advices.approval_code IS 'of a stand-in approval: what the cardholder was told';

-- What the network approved in a bank's stead on a UTC day.
CREATE TABLE network.stand_in_usage (
    network_id   text COLLATE "C" NOT NULL,
    pan_lookup   bytea NOT NULL CHECK (octet_length(pan_lookup) = 32),
    day          date NOT NULL,
    count        integer NOT NULL CHECK (count >= 0),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    PRIMARY KEY (network_id, pan_lookup, day)
) WITH (fillfactor = 70);

-- The negative file: cards that are never approved in a bank's stead.
CREATE TABLE network.negative_cards (
    network_id  text COLLATE "C" NOT NULL,
    pan_lookup  bytea NOT NULL CHECK (octet_length(pan_lookup) = 32),
    action_code text NOT NULL DEFAULT '104' CHECK (action_code ~ '^[12][0-9]{2}$'),
    listed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (network_id, pan_lookup)
);

COMMENT ON COLUMN network.negative_cards.action_code IS 'what the cardholder is told: 1xx decline, 2xx and keep the card';
