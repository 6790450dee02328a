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
_DIGIT_GROUPS = re.compile(r"[0-9]+(?:[ -][0-9]+)*", re.ASCII)
_GAP = re.compile(r"([ -])")

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
    """`text` with every plausible card number masked but for its last four digits.

    Digits in groups, with single spaces or hyphens between them, are tried together and apart: a date before a card
    number does not hide it.
    """
    return _DIGIT_GROUPS.sub(_mask_groups, text)


def _mask_groups(match: re.Match[str]) -> str:
    text = match.group()
    if len(text) < 13:
        return text
    pieces = _GAP.split(text)  # group, gap, group, gap, ...
    masked = []
    start = 0
    while start < len(pieces):
        end, digits = _find_pan(pieces, start)
        masked.append("*" * (len(digits) - 4) + digits[-4:] if digits else pieces[start])
        masked.extend(pieces[end : end + 1])  # the gap
        start = end + 1
    return "".join(masked)


def _find_pan(pieces: list[str], start: int) -> tuple[int, str]:
    """The longest card number whose first group is `pieces[start]`, and where the piece after it stands."""
    end, found = start + 1, ""
    if pieces[start][0] not in "23456":
        return end, found
    digits = ""
    for index in range(start, len(pieces), 2):
        digits += pieces[index]
        if len(digits) > 19:
            break
        if len(digits) >= 13 and passes_luhn(digits):
            end, found = index + 1, digits
    return end, found
