"""Cleans merchant names as they come on the wire (ISO 8583 DE 43) for a customer's statement.

`SQ *BLUE DOOR COFFEE 0142` becomes `Blue Door Coffee`. Which prefixes, store words and spellings there are is data
(config/reference/merchant_names.yaml); how they are applied stands here. When in doubt a name is left as it came:
`FOREVER 21` keeps its number, a name in mixed case keeps its case.
"""

import re
from dataclasses import dataclass, field
from typing import Final

NAME_LENGTH_MAX: Final = 140
UNNAMED: Final = "Unnamed merchant"

_SPACES = re.compile(r"\s+")
_WEB_PREFIX = re.compile(r"^www\.", re.IGNORECASE)
_EDGES: Final = " -*,.;:/#_"
# Tails, each after at least one other word. A number counts as a store's when it has three digits or more or a
# leading zero: "STUDIO 54" and "PIER 1" are names.
_HASH_NUMBER = re.compile(r"(?<=\S)\s*#\s*[A-Z]{0,3}\d+$", re.IGNORECASE)
_STAR_REFERENCE = re.compile(r"(?<=\w)\s*\*\s*(?=\S*\d)\S+$")
_PHONE = re.compile(r"(?<=\S)\s\+?\d[\d()/ -]{6,}\d$")
_STORE_NUMBER = re.compile(r"(?<=\S)\s(?:\d{3,}|0\d+)$")
_MIXED_REFERENCE = re.compile(r"(?<=\S)\s(?=\S*\d\S*\d)(?=\S*[A-Z])[A-Z0-9]{6,}$", re.IGNORECASE)
_TAILS: Final = (_HASH_NUMBER, _STAR_REFERENCE, _PHONE, _STORE_NUMBER, _MIXED_REFERENCE)
_TAIL_ROUNDS_MAX: Final = 4

_VOWELS: Final = frozenset("AEIOUYÄÖÜÅÆØ")
_ELISIONS: Final = frozenset("ODL")


@dataclass(frozen=True, slots=True)
class NameRules:
    """The data of name cleaning; words are compared without regard to case.

    `processors` stand before a star, `store_words` before a store's number, `small_words` are written small but at
    the start, `spellings` maps an upper-case word to how it is written.
    """

    processors: frozenset[str] = frozenset()
    store_words: frozenset[str] = frozenset()
    small_words: frozenset[str] = frozenset()
    spellings: dict[str, str] = field(default_factory=dict)


class NameCleaner:
    """Applies name rules. Deterministic: the same name always gives the same text."""

    def __init__(self, rules: NameRules) -> None:
        self._rules = rules
        self._prefix = _starred_prefix(rules.processors)
        numbered = _numbered_word(rules.store_words)
        self._tails = _TAILS if numbered is None else (numbered, *_TAILS)

    def clean(self, raw: str) -> str:
        """The readable name of 1 to 140 characters; a name without a letter or digit is `Unnamed merchant`."""
        name = _collapse(raw)
        stripped = self._prefix.sub("", name, count=1) if self._prefix is not None else name
        stripped = _WEB_PREFIX.sub("", self._strip_tails(stripped)).replace("*", " ")
        stripped = _SPACES.sub(" ", stripped).strip(_EDGES)
        if not any(char.isalnum() for char in stripped):
            stripped = name.strip(_EDGES)
        if not any(char.isalnum() for char in stripped):
            return UNNAMED
        return self.recase(stripped)[:NAME_LENGTH_MAX].rstrip()

    def recase(self, name: str) -> str:
        """`name` in title case when it came in one case only; mixed case is left alone."""
        if name.upper() != name and name.lower() != name:
            return name
        words = name.split(" ")
        return " ".join(self._recase_word(word, first=index == 0) for index, word in enumerate(words))

    def place(self, raw: str) -> str:
        """A town's name, collapsed and in title case; may be empty."""
        return self.recase(_collapse(raw).strip(_EDGES))

    def _strip_tails(self, name: str) -> str:
        for _ in range(_TAIL_ROUNDS_MAX):
            before = name
            for tail in self._tails:
                shorter = tail.sub("", name).rstrip(_EDGES)
                # "THE SHOP 12" without "SHOP 12" would be no name.
                if any(word.upper() not in self._rules.small_words for word in shorter.split()):
                    name = shorter
            if name == before:
                break
        return name

    def _recase_word(self, word: str, *, first: bool) -> str:
        upper = word.upper()
        spelling = self._rules.spellings.get(upper)
        if spelling is not None:
            return spelling
        if upper in self._rules.small_words and not first:
            return word.lower()
        for joint in "-/&+":
            if joint in word.strip(joint):
                parts = word.split(joint)
                # "M&S", "B+Q": initials, not words.
                if all(len(part) <= 1 for part in parts):
                    return upper
                return joint.join(self._recase_word(part, first=True) for part in parts)
        return _capitalise(word, upper)


def _capitalise(word: str, upper: str) -> str:
    if any(char.isdigit() for char in word):
        return word
    letters = [char for char in upper if char.isalpha()]
    if 2 <= len(letters) <= 4 and letters == list(upper) and not _VOWELS.intersection(letters) and upper.isascii():
        return upper  # no vowel: an abbreviation, not a word
    initials = word.split(".")
    if len(initials) > 1 and all(len(part) <= 1 for part in initials):
        return upper
    head, apostrophe, rest = word.partition("'")
    if apostrophe and head.upper() in _ELISIONS and len(rest) > 1:
        return f"{head.upper()}'{rest.capitalize()}"
    return word.capitalize()


def _collapse(raw: str) -> str:
    if not raw.isprintable():
        raw = "".join(char if char.isprintable() else " " for char in raw)
    return _SPACES.sub(" ", raw).strip()


def _starred_prefix(processors: frozenset[str]) -> re.Pattern[str] | None:
    if not processors:
        return None
    return re.compile(rf"^(?:{_alternatives(processors)}) ?\* ?", re.IGNORECASE)


def _numbered_word(store_words: frozenset[str]) -> re.Pattern[str] | None:
    if not store_words:
        return None
    return re.compile(rf"(?<=\S)\s(?:{_alternatives(store_words)})\.? ?#? ?\d+$", re.IGNORECASE)


def _alternatives(words: frozenset[str]) -> str:
    # Longest first, so that no word hides a longer one; sorted, so that the pattern is the same every time.
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
