"""DE 22 of 1993, the point of service data code: twelve positions that say how a card was read, where and by whom.

The meanings are those of ISO 8583:1993, A.8. Letters in positions 1 and 7, and 5 in position 5, are what card schemes
have added since, for contactless cards and payments over the internet.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from postrail.contracts.payment import EntryMode
from switch.iso8583.message import Fault, MessageInvalid

_POS_DATA = re.compile("[0-9A-Za-z]{12}")
_ENTRY_MODES: Final = {
    "1": EntryMode.MANUAL,
    "2": EntryMode.MAGNETIC_STRIPE,
    "5": EntryMode.CHIP,
    "6": EntryMode.MANUAL,
    "7": EntryMode.CREDENTIAL_ON_FILE,
    "A": EntryMode.CONTACTLESS,
    "M": EntryMode.CONTACTLESS,
    "S": EntryMode.ECOMMERCE,
    "T": EntryMode.ECOMMERCE,
    "U": EntryMode.ECOMMERCE,
    "V": EntryMode.ECOMMERCE,
}
_PRESENT_ECOMMERCE: Final = "5"
_PRESENT_STANDING: Final = "4"


class PosData(NamedTuple):
    """The twelve positions; the defaults are a chip card with PIN at an attended terminal."""

    input_capability: str = "5"
    authentication_capability: str = "1"
    capture_capability: str = "0"
    environment: str = "1"
    cardholder_present: str = "0"
    card_present: str = "1"
    input_mode: str = "5"
    authentication_method: str = "1"
    authentication_entity: str = "3"
    card_output: str = "3"
    terminal_output: str = "4"
    pin_capture: str = "C"

    def __str__(self) -> str:
        """DE 22 as it is written."""
        return "".join(self)

    @property
    def entry_mode(self) -> EntryMode | None:
        """How the card's data were read, None when the code does not tell in the terms of the pipeline."""
        if self.cardholder_present == _PRESENT_ECOMMERCE and self.input_mode in "016":
            return EntryMode.ECOMMERCE
        if self.cardholder_present == _PRESENT_STANDING and self.input_mode in "016":
            return EntryMode.CREDENTIAL_ON_FILE
        return _ENTRY_MODES.get(self.input_mode)

    def meanings(self) -> dict[str, str]:
        """Each position's name and meaning, for people."""
        return {
            name: MEANINGS[name].get(value, f"code {value}") for name, value in zip(self._fields, self, strict=True)
        }


_PERSONS: Final = {
    "0": "not authenticated",
    "1": "PIN",
    "2": "electronic signature",
    "3": "biometrics",
    "4": "biographic data",
}
MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "input_capability": {
        "0": "unknown", "1": "no terminal", "2": "magnetic stripe", "3": "bar code", "4": "OCR", "5": "chip",
        "6": "key entry", "A": "contactless stripe", "M": "contactless chip",
    },
    "authentication_capability": {
        **_PERSONS, "0": "none", "5": "not working", "6": "other",
    },
    "capture_capability": {"0": "cannot keep cards", "1": "can keep cards"},
    "environment": {
        "0": "no terminal", "1": "acceptor's premises, attended", "2": "acceptor's premises, unattended",
        "3": "elsewhere, attended", "4": "elsewhere, unattended", "5": "cardholder's premises",
    },
    "cardholder_present": {
        "0": "present", "1": "not present", "2": "mail order", "3": "telephone order", "4": "standing order",
        "5": "internet",
    },
    "card_present": {"0": "not present", "1": "present"},
    "input_mode": {
        "0": "not told", "1": "manual, no terminal", "2": "magnetic stripe", "3": "bar code", "4": "OCR", "5": "chip",
        "6": "key entry", "7": "credential on file", "A": "contactless stripe", "M": "contactless chip",
        "S": "internet", "T": "internet", "U": "internet", "V": "internet",
    },
    "authentication_method": {**_PERSONS, "5": "manual signature", "6": "other manual check"},
    "authentication_entity": {
        "0": "not authenticated", "1": "card", "2": "terminal", "3": "authorizing agent", "4": "acceptor", "5": "other",
    },
    "card_output": {"0": "unknown", "1": "none", "2": "magnetic stripe", "3": "chip"},
    "terminal_output": {"0": "unknown", "1": "none", "2": "printer", "3": "display", "4": "printer and display"},
    "pin_capture": {
        "0": "no PIN", "1": "length unknown", **{str(length): f"{length} digits" for length in range(4, 10)},
        "A": "10 digits", "B": "11 digits", "C": "12 digits",
    },
}  # fmt: skip


def parse_pos_data(text: str) -> PosData:
    """Read DE 22. Codes without a meaning here are kept: schemes have their own. Raises MessageInvalid."""
    if _POS_DATA.fullmatch(text) is None:
        raise MessageInvalid(Fault.BAD_CONTENT, "22", "twelve letters and digits")
    return PosData(*text)
