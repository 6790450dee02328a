"""The card that is held to a terminal.

Its number comes from a file, the environment or a prompt, never from a command line: those are seen by every user of a
machine, and remembered by shells.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from postrail.domain.card import passes_luhn
from postrail.domain.errors import ConfigInvalid
from switch.iso8583.masking import mask_pan

CARD_BYTES_MAX: Final = 4_096
_DIGITS: Final = re.compile("[0-9]{13,19}")
_LINE: Final = re.compile(r"([0-9][0-9 -]{11,29}[0-9])[\s,;=]+([0-9]{4}|20[0-9]{2}-[0-9]{2})")
_EXPIRY: Final = re.compile("20([0-9]{2})-(0[1-9]|1[0-2])|([0-9]{2})(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, repr=False)
class HeldCard:
    """A card: its number, and the month it is good for, YYMM."""

    pan: str
    expiry: str

    @property
    def masked(self) -> str:
        """The number as it may be shown to who holds the card: first six and last four digits."""
        return mask_pan(self.pan)

    def __repr__(self) -> str:
        """Masked."""
        return f"HeldCard({self.masked})"


def read_card(text: str) -> HeldCard:
    """A card from a text: `NUMBER EXPIRY`, or JSON with `pan` and `expiry` as the API of cards gives it.

    The month is YYMM or YYYY-MM. Raises ConfigInvalid; its message holds no card data.
    """
    stripped = text.strip()
    if stripped.startswith("{"):
        pan, expiry = _from_json(stripped)
    else:
        found = _LINE.fullmatch(stripped)
        if found is None:
            raise ConfigInvalid("the card is told as its number, a space and its month (YYMM), or as JSON")
        pan, expiry = found[1].replace(" ", "").replace("-", ""), found[2]
    month = _EXPIRY.fullmatch(expiry)
    if _DIGITS.fullmatch(pan) is None or month is None:
        raise ConfigInvalid("a card has a number of 13 to 19 digits and a month, YYMM or YYYY-MM")
    if not passes_luhn(pan):
        raise ConfigInvalid("the card's number is mistyped: its check digit does not fit")
    return HeldCard(pan, f"{month[1] or month[3]}{month[2] or month[4]}")


def _from_json(text: str) -> tuple[str, str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigInvalid("the card is no JSON") from error
    pan, expiry = document.get("pan"), document.get("expiry")
    if not isinstance(pan, str) or not isinstance(expiry, str):
        raise ConfigInvalid("the card's JSON has no texts `pan` and `expiry`")
    return pan, expiry
