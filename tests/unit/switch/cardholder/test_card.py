"""Where cards are read from, and what is never shown of them."""

import pytest

from postrail.domain.errors import ConfigInvalid
from switch.cardholder.card import HeldCard, read_card


@pytest.mark.parametrize(
    "text",
    [
        "4761340000000019 2812",
        "4761340000000019=2812\n",
        "4761 3400 0000 0019, 2028-12",
        "4761-3400-0000-0019;2812",
        '{"pan": "4761340000000019", "expiry": "2028-12", "card_token": "x"}',
    ],
)
def test_a_card_is_read_as_people_and_programs_write_it(text: str) -> None:
    """Number and month, however they are laid out."""
    assert read_card(text) == HeldCard("4761340000000019", "2812")


@pytest.mark.parametrize(
    "text",
    ["", "4761340000000019", "4761340000000018 2812", "4761340000000019 2813", "4761340000000019 12", "{}", "{",
     '{"pan": 1}', "47613400000000190000 2812", "\u0664761340000000019 2812"],
)  # fmt: skip
def test_what_is_no_card_is_refused_without_being_repeated(text: str) -> None:
    """The message never holds what was given."""
    with pytest.raises(ConfigInvalid) as caught:
        read_card(text)
    assert "476134" not in str(caught.value)


def test_a_printed_card_is_masked() -> None:
    """First six, last four."""
    card = HeldCard("4761340000000019", "2812")
    assert repr(card) == "HeldCard(476134******0019)"
    assert card.masked == "476134******0019"
