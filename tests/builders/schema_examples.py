"""Writes the valid examples of `schemas/`: one foreign purchase led through the real stages at a fixed time.

`python -m tests.builders.schema_examples` writes them anew. The card is the first sample account's, so the
PaymentAuthorized example can be sent to a seeded system as it stands.
"""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.builders.payments import make_authorization, make_card

from postrail.contracts.envelope import start_event
from postrail.contracts.events import (
    AuthorizationReversed,
    DuplicateParked,
    Event,
    EventData,
    PaymentAccepted,
    PaymentApproved,
    PaymentAuthorized,
    PaymentEnriched,
    PaymentPosted,
    PaymentPostingFailed,
    PaymentReferred,
    PaymentRejected,
    PostingSequenceOverdue,
)
from postrail.contracts.payment import Authorization, RuleHit, RuleOutcome
from postrail.domain.errors import ReasonCode
from postrail.domain.ids import format_uuid7
from postrail.merchants import load_merchants
from postrail.ports import ExchangeRate
from postrail.products import load_products
from postrail.rules import decide, load_rule_set, rule_inputs
from postrail.sampling.accounts import sample_accounts
from postrail.stages.deduplicate import fingerprint_of, payment_key_of
from postrail.stages.enrich import enrich
from postrail.stages.follow_up import encode_event, follow_up
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

REPO = Path(__file__).resolve().parents[2]
START = datetime(2026, 10, 1, 9, 15, 31, 250_000, tzinfo=UTC)
ACCOUNT = sample_accounts(1, 1)[0]


class _Ticking:
    """A clock that advances 40 ms with each look, and ids that count."""

    def __init__(self) -> None:
        self._steps = itertools.count()

    def now(self) -> datetime:
        return START + timedelta(milliseconds=40 * next(self._steps))

    def new_id(self, prefix: str) -> str:
        return format_uuid7(prefix, int(START.timestamp() * 1000), 0x0ABC << 64 | next(self._steps))


class _OneAccount:
    """A reference book with the sample account and one rate."""

    def accounts_by_token(self, tokens: object) -> dict[str, object]:
        return {ACCOUNT.card_token: ACCOUNT.details}

    def rates(self, pairs: object) -> dict[tuple[str, str], ExchangeRate]:
        rate = ExchangeRate("EUR", "GBP", Decimal("0.8600"), START.date(), "sample")
        return {("EUR", "GBP"): rate}


def valid_examples() -> Iterator[tuple[str, Event[EventData]]]:
    """Every event of one payment's road and of its possible ends, as (file name, event)."""
    ticking = _Ticking()
    authorization = make_authorization(
        payment_id=ticking.new_id("pay"), card=make_card(token=ACCOUNT.card_token, expiry=ACCOUNT.card_expiry)
    )
    key, fingerprint = payment_key_of(authorization), fingerprint_of(authorization)
    event: Event = start_event(
        PaymentAuthorized(authorization=authorization),
        correlation_id="batch-2026-10-01",
        producer="acquirer.example",
        clock=ticking,
        ids=ticking,
    )
    yield "purchase", event

    def follow(cause: Event, data: EventData) -> Event:
        return follow_up(cause.metadata, cause.data.detail_type(), data, producer="postrail", clock=ticking)

    parked = DuplicateParked(
        payment_id=ticking.new_id("pay"),
        payment_key=key,
        reason_code=ReasonCode.DUPLICATE,
        parked_uri="s3://postrail-parked-events/DUPLICATE/2026/10/01/pay_example.json",
        first_payment_id=authorization.payment_id,
        first_seen_at=START,
    )
    yield "duplicate", follow(event, parked)
    accepted = PaymentAccepted(authorization=authorization, payment_key=key, fingerprint=fingerprint)
    event = follow(event, accepted)
    yield "purchase", event
    (standardised,) = standardise([accepted])
    event = follow(event, standardised)
    yield "purchase", event
    merchants = load_merchants(REPO / "config" / "reference")
    (enriched,) = enrich([standardised], reference=_OneAccount(), merchants=merchants)  # type: ignore[arg-type]
    assert isinstance(enriched, PaymentEnriched)
    event = follow(event, enriched)
    yield "purchase", event
    rules = load_rule_set(REPO / "config" / "rules" / "issuer-default.yaml")
    decision = decide(rules, rule_inputs(enriched, velocity_hour=1), decided_at=ticking.now())
    fields = {name: getattr(enriched, name) for name in PaymentEnriched.model_fields}
    hit = RuleHit(rule_id="watched-merchant", outcome=RuleOutcome.REFER, reason="merchant is on the watch-list")
    referred = decision.model_copy(update={"outcome": RuleOutcome.REFER, "matched": (*decision.matched, hit)})
    yield "watched_merchant", follow(event, PaymentReferred(**fields, decision=referred))
    yield (
        "unknown_account",
        follow(
            event,
            PaymentRejected(
                authorization=authorization,
                payment_key=key,
                stage="enrich",
                reason_code=ReasonCode.UNKNOWN_ACCOUNT,
                reason="no account belongs to this card",
            ),
        ),
    )
    approved = PaymentApproved(**fields, decision=decision)
    event = follow(event, approved)
    yield "purchase", event
    (parts,) = sequence_postings([approved], products=load_products(REPO / "config" / "products" / "default.yaml"))
    assert isinstance(parts, list)
    requested = [follow(event, part) for part in parts]
    for number, part in enumerate(requested, 1):
        yield f"part_{number}", part
    sequence = {"payment_id": authorization.payment_id, "sequence_id": parts[0].sequence_id}
    yield (
        "purchase",
        follow(
            requested[-1],
            PaymentPosted(
                **sequence,
                payment_key=key,
                transaction_id=ticking.new_id("txn"),
                legs=tuple(leg for part in parts for leg in part.part.legs),
                posted_at=ticking.now(),
            ),
        ),
    )
    failed = PaymentPostingFailed(
        **sequence,
        payment_key=key,
        reason_code=ReasonCode.ACCOUNT_NOT_OPEN,
        reason=f"{ACCOUNT.details.account_id} is closed",
    )
    yield "closed_account", follow(requested[-1], failed)
    overdue = PostingSequenceOverdue(**sequence, missing=(2,), total=2, waiting_seconds=900)
    yield "part_missing", follow(requested[0], overdue)
    for name, reversal in _reversals(authorization, ticking):
        yield (
            name,
            start_event(
                reversal, correlation_id="batch-2026-10-01", producer="postrail.bank", clock=ticking, ids=ticking
            ),
        )


def _reversals(authorization: Authorization, ticking: _Ticking) -> Iterator[tuple[str, AuthorizationReversed]]:
    """What an issuer may undo: an approval that waits for its posting, or a part of one that was posted."""
    told = {"payment_id": authorization.payment_id, "currency": authorization.currency}
    yield (
        "timed_out",
        AuthorizationReversed(
            **told,
            reversed_minor=authorization.amount_minor,
            remaining_minor=0,
            message_reason="4021",
            hold_id=ticking.new_id("hld"),
            reversed_at=ticking.now(),
        ),
    )
    yield (
        "returned_in_part",
        AuthorizationReversed(
            **told,
            reversed_minor=500,
            remaining_minor=authorization.amount_minor - 500,
            message_reason="4000",
            transaction_id=ticking.new_id("txn"),
            reversed_at=ticking.now(),
        ),
    )


def write_examples(target: Path) -> None:
    """Write all examples below `target` (the repository's `schemas/`), and one invalid example beside each."""
    for name, event in valid_examples():
        folder = target / event.data.detail_type() / f"v{event.data.schema_version}" / "examples"
        document = json.loads(encode_event(event))
        _write(folder / "valid" / f"{name}.json", document)
        without_id = document | {"metadata": {k: v for k, v in document["metadata"].items() if k != "event_id"}}
        _write(folder / "invalid" / "missing_event_id.json", without_id)
        _write(folder / "invalid" / "unknown_field.json", document | {"data": document["data"] | {"colour": "blue"}})
        _write(
            folder / "invalid" / "wrong_type.json", document | {"data": document["data"] | _spoilt(document["data"])}
        )
        if isinstance(event.data, PaymentAuthorized):
            _write(folder / "put_events.json", [_put_events_entry(document)])
        if "authorization" in document["data"]:
            _write(folder / "invalid" / "negative_amount.json", _with_amount(document, -1))
            _write(folder / "invalid" / "amount_as_text.json", _with_amount(document, "2550"))


def _put_events_entry(document: dict) -> dict:
    """The event as `aws events put-events --entries file://…` takes it, for the bus of `make local`."""
    return {
        "EventBusName": "postrail-local-payments",
        "Source": "acquirer.example",
        "DetailType": "PaymentAuthorized",
        "Detail": json.dumps(document, ensure_ascii=False),
    }


def _spoilt(data: dict) -> dict:
    field = next(iter(data))
    return {field: ["not", "what", "it", "was"]}


def _with_amount(document: dict, amount: object) -> dict:
    authorization = document["data"]["authorization"] | {"amount_minor": amount}
    return document | {"data": document["data"] | {"authorization": authorization}}


def _write(path: Path, document: dict | list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    write_examples(REPO / "schemas")
