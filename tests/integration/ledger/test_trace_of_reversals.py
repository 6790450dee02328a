"""What `postrail trace` tells of a payment that its issuer approved, and undid."""

import json
from collections.abc import Iterator

import pytest
from tests.builders.payments import make_approved, make_authorization
from tests.integration.ledger.hold_support import NOW, place_request, release_request
from tests.integration.ledger.support import ADA, CLOCK, IDS, SETTLEMENT, make_parts, open_accounts, run_engine

from postrail.adapters.aws.outcomes import outcome_of
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import FollowStatus, PostgresFollower
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outbox import PostgresOutbox, add_to_outbox
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.cli.history import History, read_ledger_history
from postrail.cli.trace import document
from postrail.contracts.envelope import event_class, start_event
from postrail.contracts.events import AuthorizationReversed, Delivered, Event
from postrail.contracts.payment import Authorization

AUTHORIZE = """
INSERT INTO bank.authorizations
       (payment_id, bank_id, authorization_key, fingerprint, message_type, function_code, transaction_type,
        amount_minor, currency, held_minor, action_code, rrn, hold_id, answer, transmitted_at, decided_at)
VALUES (ledger.id_uuid('pay', $1), 'northgate', $1, gen_random_uuid(), '1100', '100', '00', 2550, 'EUR', 2550, $2,
        '627409000123', ledger.id_uuid('hld', $3), '{}', now(), now())
"""
REVERSE = """
INSERT INTO bank.reversals (reversal_key, bank_id, original_key, fingerprint, payment_id, reason, status, answer)
VALUES ($1, 'northgate', $1, gen_random_uuid(), ledger.id_uuid('pay', $1), '4021', 'done', '{}')
"""


@pytest.fixture
def holds(database: Database) -> Iterator[PostgresHolds]:
    open_accounts(database)
    return PostgresHolds(database)


def _approve(database: Database, holds: PostgresHolds, action_code: str = "000") -> Authorization:
    """The issuer's decision as the bank keeps it: with a hold when it approved."""
    authorization = make_authorization(payment_id=IDS.new_id("pay"))
    hold_id = None
    if action_code == "000":
        (placed,) = holds.place([place_request(amount_minor=2_550, payment_id=authorization.payment_id)])
        hold_id = placed.hold_id
    database.execute(AUTHORIZE, authorization.payment_id, action_code, hold_id)
    return authorization.model_copy(update={"hold_id": hold_id})


def _post(ledger: PostgresLedger, authorization: Authorization) -> None:
    """The posting engine on the payment as the pipeline brings it."""
    (part,) = make_parts([(ADA, SETTLEMENT, 2_550)], payment=authorization.payment_id)
    data = part.data.model_copy(update={"booking": make_approved(authorization)})
    run_engine(ledger, [part.model_copy(update={"data": data})])


def _tell(
    database: Database, authorization: Authorization, reversed_minor: int, remaining_minor: int = 0
) -> Event[AuthorizationReversed]:
    """What the bank puts into the outbox with a reversal."""
    data = AuthorizationReversed(
        payment_id=authorization.payment_id,
        reversed_minor=reversed_minor,
        remaining_minor=remaining_minor,
        currency="EUR",
        message_reason="4021",
        reversed_at=CLOCK.now(),
    )
    event = start_event(data, correlation_id="run-of-a-test", producer="postrail.bank", clock=CLOCK, ids=IDS)
    with database.transaction():
        add_to_outbox(database, [event], lease_seconds=0)
    return event


def _history(dsn: str, authorization: Authorization) -> History:
    history = read_ledger_history(dsn, authorization.payment_id)
    assert history is not None
    return history


def test_the_issuers_decision_is_the_first_hop(
    database: Database, postgres_dsn: str, ledger: PostgresLedger, holds: PostgresHolds
) -> None:
    authorization = _approve(database, holds)
    _post(ledger, authorization)
    history = _history(postgres_dsn, authorization)
    assert (history.state, history.summary) == ("posted", "posted")
    first = history.hops[0]
    assert (first.name, first.event_id) == ("decided by the issuer", authorization.hold_id)
    assert first.note == "1100/100, action 000, 25.50 GBP held, now captured"
    assert document(history)["issuer"]["authorization"]["hold_status"] == "captured"


def test_a_payment_undone_before_its_posting_is_reversed_and_not_rejected(
    database: Database, postgres_dsn: str, ledger: PostgresLedger, holds: PostgresHolds
) -> None:
    authorization = _approve(database, holds)
    holds.change([release_request(authorization.hold_id or "")])
    database.execute(REVERSE, authorization.payment_id)
    _tell(database, authorization, 2_550)
    _post(ledger, authorization)
    history = _history(postgres_dsn, authorization)
    assert history.state == "reversed"
    assert history.summary == "reversed before it was posted: 25.50 EUR undone by the issuer (reason 4021)"
    names = [hop.name for hop in history.hops]
    assert names[:3] == ["decided by the issuer", "reversal 1 received", "AuthorizationReversed"]
    assert "refused by the ledger" in names
    assert [hop.note for hop in history.hops if hop.name == "refused by the ledger"] == ["HOLD_RELEASED"]


def test_a_payment_undone_after_its_posting_shows_what_took_it_back(
    database: Database, postgres_dsn: str, ledger: PostgresLedger, holds: PostgresHolds
) -> None:
    authorization = _approve(database, holds)
    _post(ledger, authorization)
    posted = _history(postgres_dsn, authorization).sequence
    assert posted is not None
    assert posted.transaction is not None
    (back,) = PostgresReversals(database).reverse(
        [posted.transaction.transaction_id], reason="Reversed by the terminal", occurred_at=NOW, ids=IDS
    )
    _tell(database, authorization, 2_550)
    history = _history(postgres_dsn, authorization)
    assert history.summary == "reversed after it was posted: 25.50 EUR undone by the issuer (reason 4021)"
    hop = next(hop for hop in history.hops if hop.name == "taken back in the ledger")
    assert (hop.event_id, hop.note) == (back.transaction_id, "Reversed by the terminal")
    names = [hop.name for hop in history.hops]
    assert names.index("committed to the ledger") < names.index("taken back in the ledger")


def test_a_part_that_was_undone_is_told_beside_the_state(
    database: Database, postgres_dsn: str, ledger: PostgresLedger, holds: PostgresHolds
) -> None:
    authorization = _approve(database, holds)
    _post(ledger, authorization)
    _tell(database, authorization, 500, 2_050)
    event = _tell(database, authorization, 50, 2_000)
    _record(database, event)
    history = _history(postgres_dsn, authorization)
    assert history.state == "posted"
    assert history.summary == "posted; 5.50 EUR undone by the issuer (reason 4021)"


def test_a_refusal_of_the_issuer_is_told(database: Database, postgres_dsn: str, holds: PostgresHolds) -> None:
    authorization = _approve(database, holds, "116")
    history = _history(postgres_dsn, authorization)
    assert (history.state, history.hops[0].note) == ("declined", "1100/100, action 116")


def _record(database: Database, event: Event[AuthorizationReversed]) -> None:
    """As the function `record_outcome` does, on what the outbox brought to the bus."""
    outbox = PostgresOutbox(database, lease_seconds=0)
    sent = next(row for row in outbox.claim_unsent(100) if event.metadata.event_id in row.detail)
    detail = event_class(AuthorizationReversed).model_validate_json(sent.detail)
    envelope = {"id": "1", "source": "postrail", "detail-type": sent.detail_type, "detail": detail}
    PostgresOutcomes(database).record([outcome_of(Delivered[AuthorizationReversed].model_validate(envelope))])


def test_a_reversal_leaves_the_outbox_for_the_audit_trail(database: Database, holds: PostgresHolds) -> None:
    authorization = _approve(database, holds)
    event = _tell(database, authorization, 2_550)
    _record(database, event)
    (kept,) = database.fetch("SELECT detail_type, reason_code, event FROM audit.outcomes")
    assert (kept["detail_type"], kept["reason_code"]) == ("AuthorizationReversed", "4021")
    assert json.loads(kept["event"])["metadata"]["event_id"] == event.metadata.event_id


def test_a_reversal_ends_the_wait_for_a_payment_only_when_nothing_is_left_of_it(
    database: Database, ledger: PostgresLedger, holds: PostgresHolds
) -> None:
    """A part of it may be undone while the rest is still on its way to the ledger."""
    whole, partly, waiting = (_approve(database, holds) for _ in range(3))
    _record(database, _tell(database, whole, 2_550))
    _record(database, _tell(database, partly, 50, 2_500))
    _record(database, _tell(database, waiting, 2_550))
    parts = make_parts([(ADA, SETTLEMENT, 2_500), (ADA, SETTLEMENT, 50)], payment=waiting.payment_id)
    run_engine(ledger, parts[:1])
    found = PostgresFollower(database).by_correlation("run-of-a-test")
    assert {row.payment_id: (row.status, row.detail_type) for row in found} == {
        whole.payment_id: (FollowStatus.OUTCOME, "AuthorizationReversed"),
        waiting.payment_id: (FollowStatus.WAITING, ""),
    }
