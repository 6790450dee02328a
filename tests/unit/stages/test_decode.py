"""Reading delivered events: what is refused, why, and what a refusal may say."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.deliveries import clear_card_number, make_delivery
from tests.builders.payments import PAYMENT_ID, make_authorization, make_rejected

from postrail.contracts.base import EVENT_BYTES_MAX
from postrail.contracts.events import Delivered, DuplicateParked, PaymentAuthorized, PaymentReferred, PaymentRejected
from postrail.domain.errors import Permanent, ReasonCode
from postrail.stages.decode import (
    DETAIL_CHARS_MAX,
    EventDecoder,
    Refusal,
    decode_authorizations,
    ids_in,
    scrub_body,
)

DOOR = EventDecoder(PaymentAuthorized, refuses_clear_pans=True)
INSIDE = EventDecoder(PaymentAuthorized)


def authorized() -> dict[str, Any]:
    return make_delivery(PaymentAuthorized(authorization=make_authorization()))


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """The default delivery's JSON after a change to its authorization."""
    delivery = authorized()
    change(delivery["detail"]["data"]["authorization"])
    return json.dumps(delivery)


def set_to(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(authorization: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            authorization = authorization[parent]
        authorization[last] = value

    return change


def test_a_valid_event_is_read() -> None:
    """The envelope may carry fields of AWS's own; ours are typed."""
    delivered = DOOR.decode(json.dumps(authorized() | {"replay-name": "again"}))
    assert isinstance(delivered, Delivered)
    assert delivered.detail.data == PaymentAuthorized(authorization=make_authorization())


MALFORMED: dict[str, tuple[str, ReasonCode, str]] = {
    "no JSON": ('{"detail":', ReasonCode.MALFORMED_EVENT, "the event"),
    "empty": ("", ReasonCode.MALFORMED_EVENT, "the event"),
    "too deep": ("[" * 20_000, ReasonCode.MALFORMED_EVENT, "the event"),
    "no object": ("[1]", ReasonCode.WRONG_TYPE, "the event"),
    "no detail": ('{"id": "1", "source": "a", "detail-type": "PaymentAuthorized"}', ReasonCode.MISSING_FIELD, "detail"),
    "no detail type": ('{"id": "1", "source": "a", "detail": {}}', ReasonCode.MISSING_FIELD, "detail-type"),
    "unknown currency": (changed(set_to("currency", "XXX")), ReasonCode.UNKNOWN_CURRENCY, "authorization.currency"),
    "lower case currency": (changed(set_to("currency", "eur")), ReasonCode.UNKNOWN_CURRENCY, "authorization.currency"),
    "zero amount": (changed(set_to("amount_minor", 0)), ReasonCode.INVALID_AMOUNT, "authorization.amount_minor"),
    "negative amount": (changed(set_to("amount_minor", -1)), ReasonCode.INVALID_AMOUNT, "authorization.amount_minor"),
    "huge amount": (changed(set_to("amount_minor", 10**30)), ReasonCode.INVALID_AMOUNT, "authorization.amount_minor"),
    "float amount": (changed(set_to("amount_minor", 25.5)), ReasonCode.WRONG_TYPE, "authorization.amount_minor"),
    "whole float amount": (changed(set_to("amount_minor", 25.0)), ReasonCode.WRONG_TYPE, "authorization.amount_minor"),
    "text amount": (changed(set_to("amount_minor", "2550")), ReasonCode.WRONG_TYPE, "authorization.amount_minor"),
    "boolean amount": (changed(set_to("amount_minor", True)), ReasonCode.WRONG_TYPE, "authorization.amount_minor"),
    "number as text field": (changed(set_to("stan", 123)), ReasonCode.WRONG_TYPE, "authorization.stan"),
    "list as object": (changed(set_to("card", [])), ReasonCode.WRONG_TYPE, "authorization.card"),
    "unknown field": (changed(set_to("colour", "red")), ReasonCode.UNKNOWN_FIELD, "authorization.colour"),
    "unknown nested field": (changed(set_to("card.cvv2", "1")), ReasonCode.UNKNOWN_FIELD, "authorization.card.cvv2"),
    "missing field": (changed(lambda a: a.pop("rrn")), ReasonCode.MISSING_FIELD, "authorization.rrn"),
    "bad pattern": (changed(set_to("stan", "12")), ReasonCode.INVALID_VALUE, "authorization.stan"),
    "naive time": (changed(set_to("authorized_at", "2026-10-01T09:15:31")), ReasonCode.INVALID_VALUE, "authorized_at"),
    "no time": (changed(set_to("authorized_at", "yesterday")), ReasonCode.INVALID_VALUE, "authorized_at"),
    "unknown country": (changed(set_to("merchant.country", "QQ")), ReasonCode.INVALID_VALUE, "merchant.country"),
    "unknown entry mode": (changed(set_to("entry_mode", "telepathy")), ReasonCode.INVALID_VALUE, "entry_mode"),
    "other payment": (
        changed(set_to("payment_id", "pay_" + "0" * 32)),
        ReasonCode.INVALID_VALUE,
        "metadata.payment_id is not the payment of data",
    ),
    "oversize": (changed(set_to("merchant.name", "x" * EVENT_BYTES_MAX)), ReasonCode.EVENT_TOO_LARGE, "bytes"),
    "other event": (
        json.dumps(make_delivery(make_rejected())),
        ReasonCode.UNEXPECTED_EVENT,
        "PaymentAuthorized",
    ),
}


@pytest.mark.parametrize(("body", "reason", "says"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("decoder", [DOOR, INSIDE], ids=["door", "inside"])
def test_each_flaw_has_its_reason(decoder: EventDecoder, body: str, reason: ReasonCode, says: str) -> None:
    """Users filter, count and alarm by the reason; the sentence names the field."""
    refusal = decoder.decode(body)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert says in refusal.detail
    assert len(refusal.detail) <= DETAIL_CHARS_MAX


@pytest.mark.parametrize(
    "change",
    [
        set_to("card.token", clear_card_number()),
        set_to("merchant.name", f"SHOP {clear_card_number()}"),
        set_to("unknown", {"deep": [clear_card_number()]}),
        lambda a: a.update({clear_card_number(): "as a name"}),
    ],
    ids=["token", "free text", "unknown field", "field name"],
)
def test_a_clear_card_number_anywhere_is_refused_at_the_door(change: Callable[[dict[str, Any]], object]) -> None:
    """Whatever else is wrong, this is what someone must act on; and the refusal does not repeat it."""
    body = changed(change)
    refusal = DOOR.decode(body)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is ReasonCode.CLEAR_PAN
    assert clear_card_number() not in refusal.detail
    assert clear_card_number() not in scrub_body(body)


def test_escapes_hide_no_card_number() -> None:
    """JSON can write a digit as an escape; the door reads what a reader would."""
    escaped = "".join(f"\\u00{ord(digit):02x}" for digit in clear_card_number())
    body = changed(set_to("merchant.name", "CARD_HERE")).replace("CARD_HERE", escaped)
    refusal = DOOR.decode(body)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is ReasonCode.CLEAR_PAN
    assert clear_card_number() not in json.dumps(scrub_body(body))
    twice = json.dumps({"body": body})
    assert clear_card_number()[:-4] not in json.dumps(json.loads(scrub_body(twice)))


def test_a_clear_card_number_in_the_token_is_refused_inside_as_well() -> None:
    """The contract itself refuses it; the door's search is for all other places."""
    refusal = INSIDE.decode(changed(set_to("card.token", clear_card_number())))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is ReasonCode.CLEAR_PAN


def test_a_clear_card_number_comes_before_other_flaws() -> None:
    """Of several reasons the dangerous one is given."""

    def change(authorization: dict[str, Any]) -> None:
        authorization.pop("acquirer_id")
        authorization["card"]["token"] = clear_card_number()

    refusal = INSIDE.decode(changed(change))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is ReasonCode.CLEAR_PAN
    assert "acquirer_id is missing" in refusal.detail


def test_a_refusal_finds_the_payment_in_a_body_that_cannot_be_read() -> None:
    """Whoever injected it can count it among the dead letters."""
    body = changed(set_to("currency", "XXX"))
    refusal = DOOR.decode(body[:-5])
    assert isinstance(refusal, Refusal)
    assert (refusal.payment_id, refusal.correlation_id) == (PAYMENT_ID, "run_0001:test")


def test_ids_that_look_like_card_numbers_are_not_given_on() -> None:
    """The correlation id becomes a message attribute: it is the sender's text."""
    assert ids_in(json.dumps({"correlation_id": clear_card_number()})) == (None, None)


def test_several_types_are_told_apart() -> None:
    """A stage may expect more than one type; a stranger among them is named as such."""
    decoder = EventDecoder(PaymentRejected, PaymentReferred, DuplicateParked)
    delivered = decoder.decode(json.dumps(make_delivery(make_rejected())))
    assert isinstance(delivered, Delivered)
    assert isinstance(delivered.detail.data, PaymentRejected)
    stranger = decoder.decode(json.dumps(authorized()))
    assert isinstance(stranger, Refusal)
    assert stranger.reason is ReasonCode.UNEXPECTED_EVENT
    broken = decoder.decode("{")
    assert isinstance(broken, Refusal)
    assert broken.reason is ReasonCode.MALFORMED_EVENT


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_nothing_makes_the_decoder_raise(body: str) -> None:
    """A refusal is a value: no text may blow up the handler."""
    assert isinstance(DOOR.decode(body), Refusal)


def test_lone_surrogates_are_refused_and_not_raised() -> None:
    """JSON's escapes can make text that no encoding takes."""
    refusal = DOOR.decode(changed(set_to("merchant.name", "a")).replace('"a"', '"\ud800"'))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is ReasonCode.MALFORMED_EVENT


def bare(change: Callable[[dict[str, Any]], object] = lambda a: None) -> bytes:
    """The default authorization's JSON after a change, as a line of a batch file has it."""
    authorization = authorized()["detail"]["data"]["authorization"]
    change(authorization)
    return json.dumps(authorization).encode()


BARE_FLAWS: dict[str, tuple[bytes, ReasonCode]] = {
    "no JSON": (b'{"payment_id":', ReasonCode.MALFORMED_EVENT),
    "empty": (b"", ReasonCode.MALFORMED_EVENT),
    "no UTF-8": (bare(set_to("merchant.name", "CAFE")).replace(b"CAFE", b"CAF\xe9"), ReasonCode.MALFORMED_EVENT),
    "too deep": (b"[" * 20_000, ReasonCode.MALFORMED_EVENT),
    "oversize": (bare(set_to("merchant.name", "x" * EVENT_BYTES_MAX)), ReasonCode.EVENT_TOO_LARGE),
    "missing field": (bare(lambda a: a.pop("rrn")), ReasonCode.MISSING_FIELD),
    "unknown field": (bare(set_to("colour", "red")), ReasonCode.UNKNOWN_FIELD),
    "text amount": (bare(set_to("amount_minor", "2550")), ReasonCode.WRONG_TYPE),
    "huge amount": (bare(set_to("amount_minor", 2**63)), ReasonCode.INVALID_AMOUNT),
    "unknown currency": (bare(set_to("currency", "XXX")), ReasonCode.UNKNOWN_CURRENCY),
    "clear token": (bare(set_to("card.token", clear_card_number())), ReasonCode.CLEAR_PAN),
    "clear number in a text": (bare(set_to("merchant.name", f"SHOP {clear_card_number()}")), ReasonCode.CLEAR_PAN),
    "clear number beside bad bytes": (b"\xff" + clear_card_number().encode(), ReasonCode.CLEAR_PAN),
    "clear number as a name": (bare(lambda a: a.update({clear_card_number(): 1})), ReasonCode.CLEAR_PAN),
}


def test_bare_authorizations_are_read_beside_bad_ones() -> None:
    """Outcomes align with the lines; a bad line touches no neighbour, and its refusal shows no card number."""
    raws = [bare(), *(raw for raw, _ in BARE_FLAWS.values()), bare(set_to("stan", "000124"))]
    first, *refusals, last = decode_authorizations(raws)
    assert first == make_authorization()
    assert last == make_authorization(stan="000124")
    assert {name: getattr(refusal, "reason", None) for name, refusal in zip(BARE_FLAWS, refusals, strict=True)} == {
        name: reason for name, (_, reason) in BARE_FLAWS.items()
    }
    assert all(isinstance(refusal, Permanent) and clear_card_number() not in str(refusal) for refusal in refusals)


@given(st.lists(st.binary() | st.text().map(str.encode)))
def test_no_bytes_make_the_batch_decoder_raise(raws: list[bytes]) -> None:
    assert [type(outcome) for outcome in decode_authorizations(raws)] == [Permanent] * len(raws)
