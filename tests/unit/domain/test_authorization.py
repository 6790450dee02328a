"""Payment keys and fingerprints: what is the same payment, and what is another version of it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.authorization import acquirer_key, caller_key, content_fingerprint, is_advice, message_class

FIELDS: dict[str, Any] = {
    "acquirer_id": "12345678901",
    "stan": "000123",
    "transmission_at": datetime(2026, 10, 1, 9, 15, 30, tzinfo=UTC),
    "terminal_id": "TERM0001",
    "message_class": "11",
}
parts = st.lists(st.none() | st.text(max_size=8) | st.integers(-9, 999), max_size=5)


def test_the_key_names_the_acquirers_own_fields() -> None:
    """DE 32, 11, 7 with its year, 41 and the class."""
    assert acquirer_key(**FIELDS) == "acq:12345678901:000123:20261001T091530Z:TERM0001:11"


@pytest.mark.parametrize(
    "change",
    [
        {"acquirer_id": "12345678902"},
        {"stan": "000124"},
        {"transmission_at": datetime(2027, 10, 1, 9, 15, 30, tzinfo=UTC)},
        {"terminal_id": "TERM0002"},
        {"message_class": "12"},
    ],
)
def test_every_field_makes_another_payment(change: dict[str, Any]) -> None:
    """The year too: the ten digits of DE 7 come round again."""
    assert acquirer_key(**FIELDS | change) != acquirer_key(**FIELDS)


def test_the_offset_of_the_time_does_not_matter() -> None:
    """The same instant in another zone is the same payment."""
    moved = FIELDS["transmission_at"].astimezone(timezone(timedelta(hours=9)))
    assert acquirer_key(**FIELDS | {"transmission_at": moved}) == acquirer_key(**FIELDS)


def test_a_callers_key_never_meets_an_acquirers_key() -> None:
    """Even a caller who copies one: the kinds have prefixes."""
    assert caller_key(acquirer_key(**FIELDS)) != acquirer_key(**FIELDS)


def test_a_repeat_and_an_advice_belong_to_the_request() -> None:
    """1100, 1101 and 1120 are one class; 1220 is another."""
    assert {message_class(mti) for mti in ("1100", "1101", "1120")} == {"11"}
    assert message_class("1220") == "12"


@given(parts)
def test_a_fingerprint_is_32_hex_digits_and_stable(content: list[str | int | None]) -> None:
    """The same content gives the same fingerprint."""
    fingerprint = content_fingerprint(*content)
    assert len(fingerprint) == 32
    assert set(fingerprint) <= set("0123456789abcdef")
    assert fingerprint == content_fingerprint(*content)


@given(parts, parts)
def test_other_content_has_another_fingerprint(one: list[str | int | None], other: list[str | int | None]) -> None:
    """Where the parts begin and end counts, and None is not the empty text. Numbers count as their digits."""
    spelled = [[None if part is None else str(part) for part in content] for content in (one, other)]
    # None is written as one NUL, which no field of an authorization can hold.
    same = [[part if part is not None else "\x00" for part in content] for content in spelled]
    assert (content_fingerprint(*one) == content_fingerprint(*other)) == (same[0] == same[1])


def test_none_and_empty_differ() -> None:
    """A field that is missing is not a field that is empty."""
    assert content_fingerprint(None) != content_fingerprint("")
    assert content_fingerprint("ab", "c") != content_fingerprint("a", "bc")
    assert content_fingerprint() != content_fingerprint("")


@pytest.mark.parametrize(
    ("message_type", "expected"), [("1100", False), ("1101", False), ("1120", True), ("1121", True), ("1220", True)]
)
def test_an_advice_is_known_by_its_function(message_type: str, expected: bool) -> None:
    assert is_advice(message_type) is expected
