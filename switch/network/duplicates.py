"""Remembers what was answered: an exact repetition gets the same answer, another message under the same key gets 913.

Held in memory, bounded by time and count: it spares banks and the database most repetitions. The guarantee that a
repetition has no second effect is not here but with the issuer and with the store, which know every key for ever.
"""

import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from switch.iso8583.message import Message

WAITERS_MAX: Final = 4
"""Repetitions of one message that wait for its answer; more are told that it is in progress (923)."""
_ACCEPTED: Final = "04"
_DECLINED: Final = "12"
_DUPLICATE: Final = "913"
_LOOKED_AT_MAX: Final = 16
"""More than one, so that what piled up behind something slow is caught up with."""


class Claimed(Enum):
    """What the window says of a message; see `DuplicateWindow.claim`."""

    NEW = auto()
    ANSWERED = auto()
    IN_PROGRESS = auto()
    CONFLICT = auto()


@dataclass(slots=True)
class Entry:
    """One message and what came of it. `action_code` is empty until it is answered.

    `answer` holds what the answer carries beside the echo of its request. `waiters` are called when there is one.
    `card` is a hash of the card. `bank_id` says whose that is, once known; `sent` whether the bank may know of it;
    `undone` whether a reversal of it is stored.
    """

    fingerprint: int
    card: int
    claimed_at: float
    action_code: str = ""
    answer: tuple[tuple[int, str], ...] = ()
    waiters: list[Callable[["Entry"], None]] | None = None
    bank_id: str = ""
    sent: bool = False
    undone: bool = False

    @property
    def left_nothing(self) -> bool:
        """Whether nothing of it is, or will stay, at the bank.

        It was declined (1xx, 2xx), never sent, or is being undone. What a bank says with 9xx may be about another
        attempt of its own, and 913 about another message: such a payment may be there.
        """
        code = self.action_code
        if not code or code[0] in _ACCEPTED or code == _DUPLICATE:
            return False
        return code[0] in _DECLINED or not self.sent or self.undone


@dataclass(slots=True)
class DuplicateWindow:
    """Keys of messages, the newest last. `seconds` and `count_max` bound it; `clock` is monotonic."""

    seconds: float
    count_max: int
    clock: Callable[[], float]
    _entries: dict[str, Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def claim(self, key: str, card: bytes, said: Hashable) -> tuple[Claimed, Entry]:
        """Whether a key is new, and what is known under it. `card` and `said` are what must be alike.

        NEW: the caller has it now, and owes it an answer. ANSWERED: alike, with its answer. IN_PROGRESS: alike, its
        answer is still to come. CONFLICT: another message came under this key.
        """
        now = self.clock()
        print_of_it = hash((card, said))
        known = self._entries.get(key)
        if known is not None and (now - known.claimed_at < self.seconds or not known.action_code):
            if known.fingerprint != print_of_it:
                return Claimed.CONFLICT, known
            return (Claimed.ANSWERED if known.action_code else Claimed.IN_PROGRESS), known
        self._make_room(now)
        self._entries.pop(key, None)
        entry = self._entries[key] = Entry(print_of_it, hash(card), now)
        return Claimed.NEW, entry

    def find(self, key: str) -> Entry | None:
        """What is known under a key."""
        known = self._entries.get(key)
        if known is None or (known.action_code and self.clock() - known.claimed_at >= self.seconds):
            return None
        return known

    def forget(self, key: str, entry: Entry) -> None:
        """Free a key again: nothing came of its message, and a repetition may be tried anew."""
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _make_room(self, now: float) -> None:
        """Drop what is too old, or too much. What is in progress goes to the end: elsewhere a bound keeps it few."""
        for _ in range(_LOOKED_AT_MAX):
            oldest_key = next(iter(self._entries), None)
            if oldest_key is None:
                return
            oldest = self._entries[oldest_key]
            too_old = now - oldest.claimed_at >= self.seconds
            if not too_old and len(self._entries) < self.count_max:
                return
            del self._entries[oldest_key]
            if not oldest.action_code:
                self._entries[oldest_key] = oldest


def is_same_card(entry: Entry, card: bytes) -> bool:
    """Whether an entry's message was about this card."""
    return entry.card == hash(card)


def settle(entry: Entry, action_code: str, extra: Mapping[int, str] | None = None) -> None:
    """The answer to an entry's message is known: tell who waits for it."""
    # Hundreds of thousands of these are kept: codes are shared, and pairs are smaller than a mapping.
    entry.action_code = sys.intern(action_code)
    entry.answer = tuple(extra.items()) if extra else ()
    waiters, entry.waiters = entry.waiters, None
    for tell in waiters or ():
        tell(entry)


def wait_for(entry: Entry, tell: Callable[[Entry], None]) -> bool:
    """Have `tell` called with the answer to come. False when too many wait already."""
    if entry.waiters is None:
        entry.waiters = []
    if len(entry.waiters) >= WAITERS_MAX:
        return False
    entry.waiters.append(tell)
    return True


_ECHOED: Final = (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)


def compose_answer(request: Message, action_code: str, extra: Mapping[int, str] | None = None) -> Message:
    """The answer to a request: what it says of itself, echoed; the action code; and what else there is to tell."""
    given = request.fields
    fields: dict[int, str] = {number: given[number] for number in _ECHOED if number in given}
    if extra:
        fields.update(extra)
    fields[39] = action_code
    return request.answer(fields)
