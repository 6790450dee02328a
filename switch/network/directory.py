"""The cards that the network knows, read through a cache with a short life.

Cards that are asked for in one turn of the loop are read with one statement. A card that cannot be read because the
database is away is taken from the cache a while longer: what a network checks early the issuer checks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from postrail.domain.errors import PostrailError, Retryable

CACHED_MAX: Final = 200_000
LIFE_SECONDS: Final = 30.0
UNKNOWN_LIFE_SECONDS: Final = 3.0
STALE_SECONDS_MAX: Final = 600.0
READ_TOGETHER_MAX: Final = 500


class NetworkCard(NamedTuple):
    """What the network knows of a card. `expiry` is its month as YYMM (DE 14); `status` as in network.cards."""

    card_token: str
    bank_id: str
    expiry: str
    services: frozenset[str]
    status: str


class _Cached(NamedTuple):
    card: NetworkCard | None
    read_at: float


ReadCards = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, NetworkCard]]]


@dataclass(frozen=True, slots=True)
class Absent:
    """Not in the cache: whether there is such a card must be read."""


ABSENT: Final = Absent()


class CardDirectory:
    """Finds cards by the keyed hash of their number."""

    def __init__(self, read: ReadCards, *, clock: Callable[[], float], cached_max: int = CACHED_MAX) -> None:
        """`read` gives the known ones of a batch, and raises Retryable. `clock` is monotonic."""
        self._read = read
        self._clock = clock
        self._cached_max = cached_max
        self._cache: dict[bytes, _Cached] = {}
        self._wanted: dict[bytes, asyncio.Future[NetworkCard | None]] = {}
        self._next: list[bytes] = []
        self._readers: set[asyncio.Task[None]] = set()

    def cached(self, lookup: bytes) -> NetworkCard | Absent | None:
        """The card, None when there is none, ABSENT when it must be read."""
        found = self._cache.get(lookup)
        if found is None:
            return ABSENT
        life = UNKNOWN_LIFE_SECONDS if found.card is None else LIFE_SECONDS
        return found.card if self._clock() - found.read_at < life else ABSENT

    async def find(self, lookup: bytes) -> NetworkCard | None:
        """The card, read if need be. Raises Retryable when it cannot be read and was not lately."""
        wanted = self._wanted.get(lookup)
        if wanted is None:
            wanted = self._wanted[lookup] = asyncio.get_running_loop().create_future()
            if not self._next:
                asyncio.get_running_loop().call_soon(self._begin_reading)
            self._next.append(lookup)
        return await asyncio.shield(wanted)

    def _begin_reading(self) -> None:
        lookups, self._next = self._next, []
        for start in range(0, len(lookups), READ_TOGETHER_MAX):
            task = asyncio.create_task(self._read_some(lookups[start : start + READ_TOGETHER_MAX]))
            self._readers.add(task)
            task.add_done_callback(self._readers.discard)

    async def _read_some(self, lookups: Sequence[bytes]) -> None:
        try:
            found = await self._read(lookups)
        except PostrailError as error:
            for lookup in lookups:
                self._fall_back(lookup, error)
            return
        now = self._clock()
        for lookup in lookups:
            self._remember(lookup, _Cached(found.get(lookup), now))
            self._tell(lookup).set_result(found.get(lookup))

    def _fall_back(self, lookup: bytes, error: PostrailError) -> None:
        known = self._cache.get(lookup)
        if known is not None and known.card is not None and self._clock() - known.read_at < STALE_SECONDS_MAX:
            self._tell(lookup).set_result(known.card)
        else:
            future = self._tell(lookup)
            future.set_exception(Retryable(f"the card cannot be read: {error}"))
            # who asked may be gone; that its error was seen must not depend on that
            future.exception()

    def _tell(self, lookup: bytes) -> "asyncio.Future[NetworkCard | None]":
        return self._wanted.pop(lookup)

    def _remember(self, lookup: bytes, cached: _Cached) -> None:
        self._cache.pop(lookup, None)
        self._cache[lookup] = cached
        if len(self._cache) > self._cached_max:
            del self._cache[next(iter(self._cache))]
