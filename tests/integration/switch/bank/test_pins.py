"""PIN blocks: what the HSM says of them, and how many tries a card has."""

import asyncio

import pytest
from tests.integration.switch.bank.bank_stage import Books, cash, issue_cards, open_bank, purchase, repeated

from postrail.domain.errors import Retryable
from switch.hsm.ports import PinRefused
from switch.issuing.card_sample import SampleCard

RIGHT, WRONG, BROKEN, AWAY, LOCKED = "A" * 16, "B" * 16, "C" * 16, "D" * 16, "E" * 16
"""PIN blocks that the HSM of these tests knows."""


class TableHsm:
    """Says of each block what the test wants to hear."""

    async def verify_pin(self, block: str, pan: str, *, key: str, reference: str) -> bool:
        if block == BROKEN:
            raise PinRefused("126", "no PIN block")
        if block == LOCKED:
            raise PinRefused("128", "the key may not be used")
        if block == AWAY:
            raise Retryable("the HSM is away")
        return (block, reference, key) == (RIGHT, "the-reference", "northgate-pin")

    async def translate_pin(self, block: str, pan: str, *, from_key: str, to_key: str) -> str:
        raise NotImplementedError

    async def make_pin_reference(self, block: str, pan: str, *, key: str) -> str:
        raise NotImplementedError

    async def mac_key(self, name: str) -> bytes:
        raise NotImplementedError


@pytest.fixture
def books(postgres_dsn: str) -> Books:
    return Books(postgres_dsn)


@pytest.fixture
def card(postgres_dsn: str, books: Books) -> SampleCard:
    (card,) = issue_cards(postgres_dsn)
    books.execute("UPDATE bank.cards SET pin_reference = 'the-reference'")
    return card


def ask(dsn: str, card: SampleCard, *blocks: str | None) -> list[str]:
    async def run() -> list[str]:
        async with open_bank(dsn, hsm=TableHsm()) as terminal:
            return [(await terminal.ask(cash(card, de52=block)))[39] for block in blocks]

    return asyncio.run(run())


def test_a_right_pin_is_accepted_and_a_wrong_one_is_not(postgres_dsn: str, card: SampleCard) -> None:
    """117 for a wrong PIN, 126 for no block, 128 for no key, 112 for cash without one, 909 when nobody can tell."""
    blocks = (RIGHT, WRONG, BROKEN, LOCKED, None, AWAY)
    assert ask(postgres_dsn, card, *blocks) == ["000", "117", "126", "128", "112", "909"]


def test_three_wrong_pins_in_a_row_are_the_last(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """A right one in between begins anew; after the third even the right one is refused with 106."""
    assert ask(postgres_dsn, card, WRONG, WRONG, RIGHT, WRONG, WRONG, WRONG, RIGHT) == [
        *("117", "117", "000"),
        *("117", "117", "117", "106"),
    ]
    assert books.one("SELECT pin_tries FROM bank.cards") == 3


def test_a_repeated_message_does_not_count_as_another_try(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The stored answer is given."""

    async def run() -> list[str]:
        async with open_bank(postgres_dsn, hsm=TableHsm()) as terminal:
            request = cash(card, de52=WRONG)
            return [(await terminal.ask(message))[39] for message in (request, repeated(request))]

    assert asyncio.run(run()) == ["117", "117"]
    assert books.one("SELECT pin_tries FROM bank.cards") == 1


def test_a_first_payment_with_a_pin_activates_the_card_and_clears_its_tries(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """Both are one change of the card."""
    assert ask(postgres_dsn, card, WRONG, RIGHT) == ["117", "000"]
    assert books.rows("SELECT status, pin_tries FROM bank.cards") == [("active", 0)]


def test_a_pin_block_for_a_card_without_a_pin_is_unusable(postgres_dsn: str, books: Books) -> None:
    """There is nothing to compare it with."""
    (card,) = issue_cards(postgres_dsn)

    async def run() -> str:
        async with open_bank(postgres_dsn, hsm=TableHsm()) as terminal:
            return (await terminal.ask(purchase(card, de52=RIGHT)))[39]

    assert asyncio.run(run()) == "126"
