"""The cache before the network's cards."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from postrail.domain.errors import Retryable
from switch.network.directory import (
    ABSENT,
    LIFE_SECONDS,
    READ_TOGETHER_MAX,
    STALE_SECONDS_MAX,
    UNKNOWN_LIFE_SECONDS,
    CardDirectory,
    NetworkCard,
)

CARD = NetworkCard("token", "northgate", "2812", frozenset({"purchase"}), "ready")


class Source:
    """Cards by their hash; counts what is read, fails when told."""

    def __init__(self) -> None:
        self.cards: dict[bytes, NetworkCard] = {b"known": CARD}
        self.reads: list[list[bytes]] = []
        self.away = False
        self.now = 0.0

    async def read(self, lookups: Sequence[bytes]) -> Mapping[bytes, NetworkCard]:
        self.reads.append(list(lookups))
        await asyncio.sleep(0)
        if self.away:
            raise Retryable("away")
        return {each: self.cards[each] for each in lookups if each in self.cards}

    def directory(self, **given: int) -> CardDirectory:
        return CardDirectory(self.read, clock=lambda: self.now, **given)


def test_a_card_is_read_once_and_again_when_its_life_is_over() -> None:
    async def test() -> None:
        source = Source()
        directory = source.directory()
        assert directory.cached(b"known") is ABSENT
        assert await directory.find(b"known") == CARD
        assert directory.cached(b"known") == CARD
        source.now = LIFE_SECONDS + 1
        assert directory.cached(b"known") is ABSENT

    asyncio.run(test())


def test_that_there_is_no_such_card_is_remembered_for_a_shorter_time() -> None:
    """A card that was just produced can be paid with soon."""

    async def test() -> None:
        source = Source()
        directory = source.directory()
        assert await directory.find(b"new") is None
        assert directory.cached(b"new") is None
        source.cards[b"new"] = CARD
        source.now = UNKNOWN_LIFE_SECONDS + 1
        assert directory.cached(b"new") is ABSENT
        assert await directory.find(b"new") == CARD

    asyncio.run(test())


def test_what_is_asked_at_once_is_read_together() -> None:
    async def test() -> None:
        source = Source()
        directory = source.directory()
        wanted = [str(number % 700).encode() for number in range(1400)]
        await asyncio.gather(*(directory.find(each) for each in wanted))
        assert [len(each) for each in source.reads] == [READ_TOGETHER_MAX, 200]

    asyncio.run(test())


def test_a_card_that_was_known_is_good_a_while_longer_when_the_database_is_away() -> None:
    async def test() -> None:
        source = Source()
        directory = source.directory()
        await directory.find(b"known")
        source.away = True
        source.now = LIFE_SECONDS + 1
        assert await directory.find(b"known") == CARD
        with pytest.raises(Retryable):
            await directory.find(b"other")
        source.now = STALE_SECONDS_MAX + 1
        with pytest.raises(Retryable):
            await directory.find(b"known")
        source.away = False
        assert await directory.find(b"known") == CARD

    asyncio.run(test())


def test_it_keeps_no_more_than_it_may() -> None:
    async def test() -> None:
        source = Source()
        directory = source.directory(cached_max=10)
        for number in range(30):
            await directory.find(str(number).encode())
        kept = [number for number in range(30) if directory.cached(str(number).encode()) is not ABSENT]
        assert kept == list(range(20, 30))

    asyncio.run(test())


def test_one_who_goes_away_does_not_take_the_others_answer() -> None:
    async def test() -> None:
        source = Source()
        directory = source.directory()
        one = asyncio.create_task(directory.find(b"known"))
        other = asyncio.create_task(directory.find(b"known"))
        await asyncio.sleep(0)
        one.cancel()
        assert await other == CARD

    asyncio.run(test())
