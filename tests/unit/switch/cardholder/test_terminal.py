"""What a terminal writes: every message must be one that dialects of both versions can say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from postrail.domain.money import Money
from switch.cardholder.card import HeldCard
from switch.cardholder.terminal import Place, Terminal
from switch.iso8583.dialect import list_dialects, load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.message import Message
from switch.iso8583.pos_data import parse_pos_data
from switch.iso8583.subfields import OriginalData, parse_original
from switch.iso8583.wire import Wire

NOW = datetime(2026, 11, 21, 23, 30, 15, tzinfo=timezone(timedelta(hours=2)))
CARD = HeldCard("4761340000000019", "2812")
TEN = Money(1_000, "GBP")


def make_terminal() -> Terminal:
    return Terminal(Place(), now=lambda: NOW, first_stan=41)


def test_a_purchase_says_who_what_when_and_where() -> None:
    """All that a network and a bank ask for, with local and universal time apart."""
    message = make_terminal().purchase(CARD, TEN)
    assert message.mti == "1100"
    assert message.fields == {
        2: "4761340000000019",
        3: "000000",
        4: "000000001000",
        7: "1121213015",
        11: "000042",
        12: "261121233015",
        14: "2812",
        22: "51010151334C",
        24: "100",
        26: "5411",
        32: "920001",
        37: "632523000042",
        41: "POSTRAIL",
        42: "CORNERSHOP00001",
        43: "Corner Shop\\1 High Street\\London\\EC1A 1AA     GBR",
        49: "826",
    }


@pytest.mark.parametrize(
    ("make", "processing_code", "function_code"),
    [
        (Terminal.purchase, "000000", "100"),
        (Terminal.cash_withdrawal, "010000", "100"),
        (Terminal.refund, "200000", "100"),
        (Terminal.pre_authorisation, "000000", "101"),
    ],
)
def test_kinds_of_payment_differ_in_their_codes(
    make: Callable[[Terminal, HeldCard, Money], Message], processing_code: str, function_code: str
) -> None:
    """Purchase, cash, refund and pre-authorisation, each 1100."""
    message = make(make_terminal(), CARD, TEN)
    assert (message.mti, message[3], message[24]) == ("1100", processing_code, function_code)


def test_a_purchase_online_is_told_by_its_point_of_service() -> None:
    """The card is not there, and the order came over an electronic channel."""
    pos = parse_pos_data(make_terminal().purchase(CARD, TEN, online=True)[22])
    assert (pos.cardholder_present, pos.card_present) == ("5", "0")


def test_a_completion_names_its_pre_authorisation() -> None:
    """DE 56 is about the original; a new trace number; 201 for the same amount, 202 and DE 30 for another."""
    terminal = make_terminal()
    original = terminal.pre_authorisation(CARD, TEN)
    same = terminal.completion(original, TEN, "123456")
    assert (same.mti, same[24], same[11], same[38]) == ("1220", "201", "000043", "123456")
    assert parse_original(same[56]) == OriginalData("1100", "000042", "261121233015", "920001")
    assert 30 not in same.fields
    other = terminal.completion(original, Money(800, "GBP"))
    assert (other[4], other[24], other[30]) == ("000000000800", "202", "000000001000" + "0" * 12)


def test_a_reversal_names_what_it_undoes() -> None:
    """All of it with 400; all but what is left with 401, where DE 4 is what is left and DE 30 what it was."""
    terminal = make_terminal()
    original = terminal.purchase(CARD, TEN)
    full = terminal.reversal(original)
    assert (full.mti, full[24], full[25], full[4]) == ("1420", "400", "4000", "000000001000")
    assert parse_original(full[56]).stan == original[11]
    partial = terminal.reversal(original, left=Money(300, "GBP"))
    assert (partial[24], partial[4], partial[30]) == ("401", "000000000300", "000000001000" + "0" * 12)


def test_the_reversal_of_a_repetition_names_the_first_message() -> None:
    """Banks know a payment by its first transmission."""
    terminal = make_terminal()
    again = terminal.repeat(terminal.purchase(CARD, TEN))
    assert parse_original(terminal.reversal(again)[56]).mti == "1100"


def test_a_repetition_differs_in_type_and_time_of_transmission_alone() -> None:
    """x101 with another DE 7; trace number and local time stay: it is known by them."""
    moments = iter([NOW] * 2 + [NOW.astimezone(UTC) + timedelta(seconds=5)])
    terminal = Terminal(Place(), now=lambda: next(moments))
    first = terminal.purchase(CARD, TEN)
    again = terminal.repeat(first)
    assert again.mti == "1101"
    assert {n for n in again.fields if again[n] != first[n]} == {7}


@pytest.mark.parametrize("name", list_dialects())
def test_every_message_can_be_said_in_every_dialect_that_ships(name: str) -> None:
    """And is heard as it was said, in what a bank acts on."""
    wire = Wire(load_dialect(name), FramingKind.BINARY_2, today=NOW.date)
    terminal = make_terminal()
    original = terminal.purchase(CARD, TEN)
    messages = [
        original,
        terminal.purchase(CARD, TEN, online=True),
        terminal.cash_withdrawal(CARD, TEN),
        terminal.refund(CARD, TEN),
        terminal.pre_authorisation(CARD, TEN),
        terminal.repeat(original),
        terminal.completion(original, TEN, "123456"),
        terminal.completion(original, Money(900, "GBP"), "123456"),
        terminal.reversal(original),
        terminal.reversal(original, left=Money(300, "GBP")),
        terminal.repeat(terminal.reversal(original)),
    ]
    for message in messages:
        [heard] = wire.reader().feed(wire.encode(message))
        assert isinstance(heard, Message), getattr(heard, "error", heard)
        assert heard.mti == message.mti
        for number in (2, 3, 4, 11, 12, 14, 24, 32, 37, 41, 42, 49, 56):
            assert heard.get(number) == message.get(number), number
