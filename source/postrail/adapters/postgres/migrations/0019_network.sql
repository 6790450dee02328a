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
