"""Which request an answer belongs to.

The key is made of message class and pair, trace number (DE 11) and terminal (DE 41): 1100 and 1110 have one key; 1420,
which may carry the same trace number, has another, and so has the advice 1120.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.links.counters import Counters
from switch.links.errors import (
    AnswerInvalid,
    AnswerLost,
    AnswerTimedOut,
    DuplicateInFlight,
    TooManyInFlight,
)

MatchingKey = Callable[[Message], str]

LATE_SECONDS: Final = 120.0
"""How long an answer may still be told from one that nobody asked for (as long as jPOS keeps them)."""
LATE_COUNT_MAX: Final = 20_000

_PAIRS: Final = {"0": "0", "1": "0", "2": "2", "3": "2", "4": "4", "5": "4"}


def default_key(message: Message) -> str:
    """Class and pair of the message type, trace number, terminal. Raises MessageInvalid without a trace number."""
    mti = message.mti
    fields = message.fields
    try:
        return f"{mti[1]}{_PAIRS[mti[2]]}{fields[11]}{fields.get(41, '')}"
    except KeyError as error:
        msg = "answers are matched by it"
        raise MessageInvalid(Fault.MISSING_FIELD, "11", msg, message) from error


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[Message]
    timer: asyncio.TimerHandle
    link: object


class PendingAnswers:
    """Requests on the way, by key, and for a while those whose time is over. Bounded both."""

    def __init__(
        self,
        counters: Counters,
        *,
        in_flight_max: int,
        on_late: Callable[[Message], None],
        key: MatchingKey = default_key,
        late_count_max: int = LATE_COUNT_MAX,
    ) -> None:
        """`on_late` gets an answer that came after its time, once; of more than `late_count_max` the oldest go."""
        self._counters = counters
        self._in_flight_max = in_flight_max
        self._on_late = on_late
        self._key = key
        self._late_count_max = late_count_max
        self._waiting: dict[str, _Waiting] = {}
        self._late: OrderedDict[str, float] = OrderedDict()
        self._emptied: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def admit(self, request: Message) -> str:
        """The key of a request that may be sent. Raises DuplicateInFlight, TooManyInFlight, MessageInvalid."""
        key = self._key(request)
        if key in self._waiting:
            self._counters.duplicates += 1
            raise DuplicateInFlight(f"a {request.mti} with this trace number and terminal waits for its answer")
        if len(self._waiting) >= self._in_flight_max:
            self._counters.refused += 1
            raise TooManyInFlight(f"{self._in_flight_max} requests wait for their answers")
        return key

    def wait(self, key: str, link: object, seconds: float) -> asyncio.Future[Message]:
        """The answer to come to a request that was just sent over `link`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Message] = loop.create_future()
        timer = loop.call_later(seconds, self._expire, key, seconds)
        self._waiting[key] = _Waiting(future, timer, link)
        self._counters.pending = len(self._waiting)
        # a key that is used anew is not late any more
        self._late.pop(key, None)
        return future

    def settle(self, answer: Message) -> None:
        """An answer came."""
        try:
            key = self._key(answer)
        except MessageInvalid:
            self._counters.unhandled += 1
            return
        waiting = self._waiting.get(key)
        if waiting is None:
            self._take_late(key, answer)
            return
        self._remove(key, waiting)
        if waiting.future.done():
            # who asked has gone away; the answer is as good as late
            self._counters.rx_expired += 1
            self._on_late(answer)
        else:
            waiting.future.set_result(answer)

    def spoil(self, error: MessageInvalid) -> None:
        """A message came that cannot be believed: if it is an answer, whoever waits for it need not wait longer."""
        partial = error.partial
        if partial is None or partial.mti[2:3] not in _ANSWERS:
            return
        try:
            key = self._key(partial)
        except MessageInvalid:
            return
        waiting = self._waiting.get(key)
        if waiting is not None:
            self._fail(key, waiting, AnswerInvalid(error))

    def drop_link(self, link: object) -> None:
        """A link is gone: what was sent over it will not be answered."""
        lost = [(key, waiting) for key, waiting in self._waiting.items() if waiting.link is link]
        for key, waiting in lost:
            self._counters.tx_expired += 1
            self._fail(key, waiting, AnswerLost("the link was lost before the answer came"))

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is on the way, at most so long."""
        if self._waiting:
            self._emptied = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)

    def _expire(self, key: str, seconds: float) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            self._counters.tx_expired += 1
            self._fail(key, waiting, AnswerTimedOut(f"no answer in {seconds:g} s"))

    def _fail(self, key: str, waiting: _Waiting, error: Exception) -> None:
        self._remove(key, waiting)
        self._late[key] = asyncio.get_running_loop().time()
        if len(self._late) > self._late_count_max:
            self._late.popitem(last=False)
        if not waiting.future.done():
            waiting.future.set_exception(error)

    def _remove(self, key: str, waiting: _Waiting) -> None:
        del self._waiting[key]
        waiting.timer.cancel()
        self._counters.pending = len(self._waiting)
        if self._emptied is not None and not self._waiting:
            self._emptied.set()

    def _take_late(self, key: str, answer: Message) -> None:
        expired_at = self._late.pop(key, None)
        if expired_at is None or asyncio.get_running_loop().time() - expired_at > LATE_SECONDS:
            self._counters.unhandled += 1
            return
        self._counters.rx_expired += 1
        self._on_late(answer)


_ANSWERS: Final = frozenset("13")
