"""What a network checks before it asks the issuer."""

from datetime import date

import pytest

from switch.ecosystem import Bank, NumberRange
from switch.iso8583.message import Message
from switch.network.checks import check_card, check_number, check_request, read_card, service_of
from switch.network.directory import NetworkCard

PAN = "4761340000000019"
RANGE = NumberRange(low="476134", high="476134")
BANK = Bank.model_validate(
    {
        "id": "northgate",
        "name": "Northgate",
        "institution_id": "910001",
        "country": "GB",
        "currency": "GBP",
        "listen": {"port": 0},
        "networks": [],
        "ranges": [RANGE.model_dump()],
    }
)
ALL = frozenset({"purchase", "cash", "pre_authorisation", "refund", "ecommerce"})
TODAY = date(2026, 11, 21)


def make(**changes: str) -> Message:
    fields = {2: PAN, 3: "000000", 4: "000000001000", 14: "2812", 22: "510101513344", 24: "100", 49: "826"}
    fields |= {int(name[2:]): value for name, value in changes.items()}
    return Message("1100", {number: value for number, value in fields.items() if value})


def make_card(**changes: object) -> NetworkCard:
    given = {"card_token": "t", "bank_id": "northgate", "expiry": "2812", "services": ALL, "status": "ready"}
    return NetworkCard(**(given | changes))  # type: ignore[arg-type]


def judge(message: Message, card: NetworkCard | None, today: date = TODAY) -> str | None:
    shown = read_card(message)
    assert shown is not None
    return check_card(message, shown, card, BANK, today)


def test_a_card_is_read_from_its_number_or_from_track_two() -> None:
    """DE 2 and 14, or DE 35 with either separator; both when they agree."""
    expected = (PAN, "2812")
    assert read_card(make()) == expected
    assert read_card(make(de2="", de14="", de35=f"{PAN}=28122011234567")) == expected
    assert read_card(make(de2="", de14="", de35=f"{PAN}D28122011234567")) == expected
    assert read_card(make(de35=f"{PAN}=28122011234567")) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"de2": ""},
        {"de2": "476134"},
        {"de35": "5413330000000019=2812201"},
        {"de35": f"{PAN}=2811201"},
        {"de2": "", "de35": "=2812"},
    ],
)
def test_a_card_that_is_not_there_or_says_two_things_is_none(changes: dict[str, str]) -> None:
    assert read_card(make(**changes)) is None


def test_a_presented_card_does_not_show_its_number() -> None:
    assert PAN not in repr(read_card(make()))


def test_numbers_are_checked_in_order() -> None:
    """Check digit before route, route before length."""
    card = read_card(make())
    assert card is not None
    assert check_number(card, RANGE) is None
    assert check_number(card, None) == "908"
    assert check_number(card, NumberRange(low="476134", high="476134", pan_length=19)) == "111"
    wrong = read_card(make(de2="4761340000000018"))
    assert wrong is not None
    assert check_number(wrong, None) == "111"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"de4": "000000000000"}, "110"),
        ({"de49": "999"}, "110"),
        ({"de3": "310000"}, "115"),
        ({"de24": "108"}, "115"),
        ({"de3": "010000", "de24": "101"}, "115"),
        ({"de4": "000000000000", "de3": "310000"}, "110"),
    ],
)
def test_requests_are_checked_in_order(changes: dict[str, str], code: str | None) -> None:
    """Amount, currency, service. An estimated amount (101) is for purchases alone."""
    assert check_request(make(**changes), RANGE) == code


@pytest.mark.parametrize(
    ("changes", "service"),
    [
        ({"de3": "000000"}, "purchase"),
        ({"de3": "003000"}, "purchase"),
        ({"de3": "010000"}, "cash"),
        ({"de3": "200000"}, "refund"),
        ({"de3": "000000", "de24": "101"}, "pre_authorisation"),
    ],
)
def test_service_is_told_by_processing_code_and_function(changes: dict[str, str], service: str) -> None:
    assert service_of(make(**changes)) == service


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"services": ["cash"]}, "119"),
        ({"services": ["purchase"]}, None),
    ],
)
def test_a_range_has_its_services(changes: dict[str, object], code: str | None) -> None:
    numbers = NumberRange.model_validate({"low": "476134", "high": "476134"} | changes)
    assert check_request(make(), numbers) == code


def test_an_order_over_an_electronic_channel_needs_that_service_too() -> None:
    """Position 5 of DE 22 says that the cardholder was elsewhere."""
    numbers = NumberRange.model_validate({"low": "476134", "high": "476134", "services": ["purchase"]})
    assert check_request(make(de22="510150513344"), numbers) == "119"
    assert judge(make(de22="510150513344"), make_card(services=frozenset({"purchase"}))) == "119"
    assert judge(make(de22="510150513344"), make_card()) is None


@pytest.mark.parametrize(
    ("card", "code"),
    [
        (None, "118"),
        (make_card(), None),
        (make_card(bank_id="harbour"), "118"),
        (make_card(status="in_production"), "125"),
        (make_card(status="blocked"), "104"),
        (make_card(status="expired"), "101"),
        (make_card(expiry="2811"), "101"),
        (make_card(services=frozenset({"cash"})), "119"),
    ],
)
def test_cards_are_checked(card: NetworkCard | None, code: str | None) -> None:
    assert judge(make(), card) == code


@pytest.mark.parametrize(("today", "code"), [(date(2028, 12, 31), None), (date(2029, 1, 1), "101")])
def test_a_card_is_good_to_the_end_of_its_month(today: date, code: str | None) -> None:
    assert judge(make(), make_card(), today) == code


def test_a_terminal_that_shows_no_month_is_judged_by_the_cards() -> None:
    assert judge(make(de14=""), make_card()) is None
    assert judge(make(de14=""), make_card(expiry="2610")) == "101"
