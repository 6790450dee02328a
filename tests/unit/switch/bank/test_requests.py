"""What the bank reads in a message, and what of it the pipeline is told."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.contracts.payment import Authorization, EntryMode
from postrail.domain.card import find_clear_pans
from switch.bank.authorizations import describe, write_item
from switch.bank.requests import NotActionable, Request, read_request, read_transmission_time
from switch.iso8583.message import Message
from switch.issuing.lookup import HmacPanLookup

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LOOKUP = HmacPanLookup(b"k" * 32)
PAN = "4761340000000019"


def message(**changes: Any) -> Message:
    fields: dict[int, str] = {
        2: PAN,
        3: "000000",
        4: "000000002550",
        7: "1120115959",
        11: "000042",
        12: "261120115959",
        14: "2812",
        22: "510101511344",
        24: "100",
        26: "5411",
        32: "900100",
        37: "632512000042",
        41: "T0000001",
        42: "SHOP00000000001",
        43: "CORNER SHOP\\HIGH STREET 1\\LEEDS\\LS1 4DY      GBR",
        49: "826",
    }
    mti = changes.pop("mti", "1100")
    for name, value in changes.items():
        if value is None:
            fields.pop(int(name[2:]), None)
        else:
            fields[int(name[2:])] = value
    return Message(mti, fields)


def read(**changes: Any) -> Request:
    return read_request(message(**changes), lookup=LOOKUP, now=NOW, home_country="GB")


def told(request: Request) -> str:
    """The item of an approval."""
    content = describe(
        request,
        payment_id="0197f0a0c0de7abc8def0123456789ab",
        hold_id=None,
        card_token="9999990000000001",
        card_expiry="2028-12",
        issuer_country="GB",
        approval_code="123456",
        decided_at=NOW,
    )
    return write_item(content, request.key)


def test_a_purchase_is_read_in_the_banks_own_terms() -> None:
    """Amount, currency, expiry, acceptor, time with its year; the number as its hash alone."""
    request = read()
    assert (request.amount_minor, request.currency, request.expiry) == (2_550, "GBP", "2028-12")
    assert request.transmitted_at == datetime(2026, 11, 20, 11, 59, 59, tzinfo=UTC)
    assert (request.acceptor.name, request.acceptor.city, request.acceptor.country) == ("CORNER SHOP", "LEEDS", "GB")
    assert request.entry_mode is EntryMode.CHIP
    assert PAN not in repr(request)


@pytest.mark.parametrize(
    ("text", "now", "year"),
    [
        ("1231235959", datetime(2027, 1, 1, tzinfo=UTC), 2026),
        ("0101000001", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 2027),
        ("0229120000", datetime(2029, 1, 1, tzinfo=UTC), 2028),
    ],
)
def test_the_year_of_a_transmission_is_the_nearest(text: str, now: datetime, year: int) -> None:
    """Around the turn of the year, and for the day that not every year has."""
    assert read_transmission_time(text, now).year == year


@pytest.mark.parametrize(
    ("location", "name", "country"),
    [
        ("CAFE\\RUE 1\\PARIS\\75001        FRA", "CAFE", "FR"),
        ("CAFE\\RUE 1\\PARIS\\75001        250", "CAFE", "FR"),
        ("CAFE\\RUE 1\\PARIS\\75001     FRA", "CAFE", "FR"),
        ("CAFE", "CAFE", "GB"),
        (None, "SHOP00000000001", "GB"),
        (f"CAFE {PAN}\\RUE 1\\PARIS\\75001        FRA", "CAFE ************0019", "FR"),
    ],
)
def test_an_acceptor_is_read_as_far_as_it_can_be(location: str | None, name: str, country: str) -> None:
    """Laid out as the standard has it, or not; and never with a card number in it."""
    acceptor = read(de43=location).acceptor
    assert (acceptor.name, acceptor.country) == (name, country)


def test_an_acquirers_country_serves_when_the_acceptor_names_none() -> None:
    """DE 19."""
    assert read(de43="CAFE", de19="276").acceptor.country == "DE"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"de4": "000000000000"}, "110"),
        ({"de49": "000"}, "110"),
        ({"de7": "1320115959"}, "904"),
        ({"de2": None}, "904"),
        ({"de41": ""}, "904"),
        ({"de42": None}, "904"),
        ({"de26": None}, "904"),
        ({"de22": "short"}, "904"),
        ({"de32": ""}, "904"),
    ],
)
def test_what_says_nothing_is_refused(change: dict[str, str | None], code: str) -> None:
    """With the action code for it, and without the content in the text."""
    with pytest.raises(NotActionable) as refused:
        read(**change)
    assert refused.value.action_code == code
    assert PAN not in str(refused.value)


def test_a_repetition_and_the_advice_of_a_payment_are_the_payment() -> None:
    """One key and one fingerprint, whatever the transmission time; another amount has another fingerprint."""
    first, again = read(), read(mti="1101", de7="1120130000")
    advice = read(mti="1120", de39="000", de38="654321")
    assert {(each.key, each.fingerprint) for each in (first, again, advice)} == {(first.key, first.fingerprint)}
    assert read(de4="000000002551").fingerprint != first.fingerprint
    assert advice.approval_code == "654321"


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@given(
    location=st.builds(
        lambda *parts: "\\".join(parts), printable, printable, printable, st.just("             GBR") | printable
    )
    | printable,
    acceptor_id=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=15),
    rrn=st.text("0123456789ABC ", max_size=12),
    terminal=st.text("ABCabc019 ", min_size=1, max_size=8),
    pos=st.text("0123456789ABCMS", min_size=12, max_size=12),
    sequence=st.none() | st.text("0123456789", min_size=3, max_size=3),
)
def test_whatever_is_read_makes_an_authorization_that_the_pipeline_takes(
    location: str, acceptor_id: str, rrn: str, terminal: str, pos: str, sequence: str | None
) -> None:
    """The item is valid against the contract and holds no card number, or the message was refused beforehand."""
    try:
        request = read(de43=location, de42=acceptor_id, de37=rrn, de41=terminal, de22=pos, de23=sequence)
    except NotActionable:
        return
    item = told(request)
    Authorization.model_validate_json(json.loads(item)["authorization"])
    assert list(find_clear_pans(item)) == []
