-- Issuing: what the HTTP API has answered, and what a finished card's notice tells.

-- A request that changes something carries a key of its caller's. Its row is written in the transaction that it asks
-- for: the second of two equal requests waits for the first, and is given its answer.
CREATE TABLE bank.api_requests (
    bank_id     text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    operation   text COLLATE "C" NOT NULL,
    request_key text COLLATE "C" NOT NULL,
    fingerprint uuid NOT NULL,
    answer      jsonb,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bank_id, subject, operation, request_key)
);

COMMENT ON COLUMN bank.api_requests.subject IS 'who asked: the claim sub of the access token';
COMMENT ON COLUMN bank.api_requests.fingerprint IS 'the content of the request: the same key with another is refused';
COMMENT ON COLUMN bank.api_requests.answer IS 'what a repetition is answered; never a card number';

CREATE TABLE network.api_requests (
    bank_id     text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    operation   text COLLATE "C" NOT NULL,
    request_key text COLLATE "C" NOT NULL,
    fingerprint uuid NOT NULL,
    answer      jsonb,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bank_id, subject, operation, request_key)
);

COMMENT ON TABLE network.api_requests IS 'as bank.api_requests; bank_id is the bank that asked';

ALTER TABLE network.cards
    ADD COLUMN last_four text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    ADD COLUMN ready_at timestamptz;

CREATE INDEX cards_to_notify ON network.cards (created_at) WHERE status = 'ready' AND notified_at IS NULL;

ALTER TABLE bank.cards ADD COLUMN network_id text COLLATE "C";

COMMENT ON COLUMN bank.cards.network_id IS 'the network that produces the card and routes its payments';

-- Orders whose network has not been told yet are few: they are found without reading all cards.
CREATE INDEX cards_ordered ON bank.cards (created_at) WHERE status = 'ordered';

-- Cards whose month is over are few as well.
CREATE INDEX cards_living ON bank.cards (expiry) WHERE status IN ('ordered', 'in_production', 'ready', 'active');

CREATE INDEX cards_living ON network.cards (expiry) WHERE status IN ('in_production', 'ready');
