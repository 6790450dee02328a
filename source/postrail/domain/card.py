"""Card numbers: the Luhn check, tokens, and finding clear card numbers where none may be.

A token is numeric, 13 to 19 digits, and *fails* the Luhn check, so that a token can never be taken for a card
number and a card number can never pass for a token (ISO/IEC 7812-1 annex B describes the check digit).
"""

import re
import string
from collections.abc import Iterator
from typing import Final

_TOKEN = re.compile(r"[0-9]{13,19}\Z", re.ASCII)
# Wider, for scrubbing what is already known to be bad: spaces or hyphens between groups, letters around.
_DIGIT_GROUPS = re.compile(r"[0-9]+(?:[ -][0-9]+)*", re.ASCII)
_GAP = re.compile(r"([ -])")

_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
"""A digit to the digit sum of its double."""
_PAN_DIGITS_MIN: Final = 13
_PAN_DIGITS_MAX: Final = 19
_PAN_FIRST: Final = b"23456"
# Every byte as what it is: digit, letter, or anything else. A search for thirteen digits is then a search for one
# word, which C does at the speed of memory: every text at the doors of the system is searched.
_KINDS: Final = bytes.maketrans(
    bytes(range(256)),
    bytes(ord("0" if chr(c) in string.digits else "a" if chr(c) in string.ascii_letters else " ") for c in range(256)),
)
_SHORTEST_RUN: Final = b"0" * _PAN_DIGITS_MIN
_APART: Final = (b"", b" ")


def passes_luhn(digits: str) -> bool:
    """Whether an ASCII digit string ends in its correct Luhn check digit."""
    return _luhn(digits.encode())


def is_card_token(text: str) -> bool:
    """Whether `text` has the form of a token: 13 to 19 digits that fail the Luhn check."""
    return _TOKEN.match(text) is not None and not passes_luhn(text)


def find_clear_pans(text: str) -> Iterator[str]:
    """Every digit run in `text` that is a plausible clear card number (length, first digit, Luhn).

    The run stands apart from other letters and digits, so that an IBAN, a hash or a UUID is not read as a card number.
    """
    return (run.decode() for run in _clear_pans(text.encode(errors="surrogatepass")))


def holds_clear_pan(data: bytes) -> bool:
    """Whether `find_clear_pans` would find anything in this text, given as bytes of UTF-8 or of nearly that."""
    return next(_clear_pans(data), None) is not None


def _clear_pans(data: bytes) -> Iterator[bytes]:
    kinds = data.translate(_KINDS)
    start = kinds.find(_SHORTEST_RUN)
    while start >= 0:
        end = len(kinds) - len(kinds[start:].lstrip(b"0"))
        run = data[start:end]
        apart = kinds[max(start - 1, 0) : start] in _APART and kinds[end : end + 1] in _APART
        if apart and len(run) <= _PAN_DIGITS_MAX and run[0] in _PAN_FIRST and _luhn(run):
            yield run
        start = kinds.find(_SHORTEST_RUN, end)


def _luhn(digits: bytes) -> bool:
    # Sums of byte values, in C: each ASCII digit counts 48 too much.
    doubled = digits[-2::-2].translate(_DOUBLED)
    return (sum(digits[-1::-2]) + sum(doubled) - 48 * len(digits)) % 10 == 0


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
