"""Card numbers: the Luhn check, tokens, and finding clear card numbers where none may be.

A token is numeric, 13 to 19 digits, and *fails* the Luhn check, so that a token can never be taken for a card
number and a card number can never pass for a token (ISO/IEC 7812-1 annex B describes the check digit).
"""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"[0-9]{13,19}\Z", re.ASCII)
# Separated from other letters and digits, so that an IBAN, a hash or a UUID is not read as a card number.
_PAN_RUN = re.compile(r"(?<![0-9A-Za-z])[2-6][0-9]{12,18}(?![0-9A-Za-z])", re.ASCII)
# Wider, for scrubbing what is already known to be bad: spaces or hyphens between groups, letters around.
_PAN_LOOSE = re.compile(r"(?<![0-9])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])", re.ASCII)

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def passes_luhn(digits: str) -> bool:
    """Whether an ASCII digit string ends in its correct Luhn check digit."""
    total = 0
    for position, char in enumerate(reversed(digits)):
        digit = ord(char) - 48
        total += _DOUBLED[digit] if position & 1 else digit
    return total % 10 == 0


def is_card_token(text: str) -> bool:
    """Whether `text` has the form of a token: 13 to 19 digits that fail the Luhn check."""
    return _TOKEN.match(text) is not None and not passes_luhn(text)


def find_clear_pans(text: str) -> Iterator[str]:
    """Every digit run in `text` that is a plausible clear card number (length, first digit, Luhn)."""
    for match in _PAN_RUN.finditer(text):
        if passes_luhn(match.group()):
            yield match.group()


def scrub_pans(text: str) -> str:
    """`text` with every plausible card number masked but for its last four digits."""

    def mask(match: re.Match[str]) -> str:
        digits = re.sub(r"[ -]", "", match.group())
        return "*" * (len(digits) - 4) + digits[-4:] if passes_luhn(digits) else match.group()

    return _PAN_LOOSE.sub(mask, text)
