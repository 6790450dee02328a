"""What must be stored before anybody is told of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from postrail.domain.errors import Permanent, ReasonCode, Retryable
from switch.network import advice_writer, tasks
from switch.network.advice_writer import AdviceWriter, StoreIsFull
from switch.network.store import NewAdvice


def make(key: str) -> NewAdvice:
    return NewAdvice("northgate", key, key, bytes(32), "1420", "4021", b"sealed")


class Store:
    """Keeps keys; is away, refuses, or is slow, as told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.away = 0
        self.poison = ""
        self.unforeseen = False
        self.gate: asyncio.Event | None = None

    async def keep_advices(self, advices: Sequence[NewAdvice], *, delay_seconds: float) -> list[bool]:
        if self.gate is not None:
            await self.gate.wait()
        if self.unforeseen:
            self.unforeseen = False
            raise ArithmeticError
        if self.away:
            self.away -= 1
            raise Retryable("away")
        keys = [advice.advice_key for advice in advices]
        if self.poison in keys:
            raise Permanent(ReasonCode.INVALID_VALUE, "no")
        self.batches.append(keys)
        return [key != "taken" for key in keys]


def make_writer(store: Store, waiting_max: int = 100) -> tuple[AdviceWriter, list[str]]:
    told: list[str] = []
    given: Any = store
    return AdviceWriter(given, delay_seconds=0, waiting_max=waiting_max, kept=told.append), told


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice_writer, "RETRY_SECONDS", 0.0)


def test_what_comes_while_one_is_written_is_written_together() -> None:
    async def test() -> None:
        store = Store()
        store.gate = asyncio.Event()
        writer, told = make_writer(store)
        await writer.start()
        keeping = [asyncio.create_task(writer.keep(make("0")))]
        await asyncio.sleep(0.01)
        keeping += [asyncio.create_task(writer.keep(make(str(number)))) for number in range(1, 6)]
        await asyncio.sleep(0.01)
        assert not any(each.done() for each in keeping)
        store.gate.set()
        assert await asyncio.gather(*keeping) == [True] * 6
        assert store.batches == [["0"], ["1", "2", "3", "4", "5"]]
        assert told == ["northgate"] * 6
        await writer.stop()

    asyncio.run(test())


def test_a_store_that_is_away_is_asked_again_in_the_same_order() -> None:
    """Nobody is told before it is stored; meanwhile the writer says that it is not well."""

    async def test() -> None:
        store = Store()
        store.away = 3
        writer, _ = make_writer(store)
        await writer.start()
        seen: list[bool] = []
        keeping = asyncio.gather(*(writer.keep(make(str(number))) for number in range(5)))
        while not keeping.done():
            seen.append(writer.well)
            await asyncio.sleep(0)
        assert await keeping == [True] * 5
        assert False in seen
        assert writer.well
        assert store.batches == [["0", "1", "2", "3", "4"]]
        await writer.stop()

    asyncio.run(test())


def test_one_that_cannot_be_stored_does_not_hold_up_the_others() -> None:
    async def test() -> None:
        store = Store()
        store.poison = "2"
        writer, _ = make_writer(store)
        await writer.start()
        outcomes = await asyncio.gather(*(writer.keep(make(str(n))) for n in range(4)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [bool, bool, Permanent, bool]
        await writer.stop()

    asyncio.run(test())


def test_a_key_that_another_message_has_is_said_to_be_taken() -> None:
    async def test() -> None:
        writer, _ = make_writer(Store())
        await writer.start()
        assert await writer.keep(make("taken")) is False
        await writer.stop()

    asyncio.run(test())


def test_at_the_bound_what_need_not_be_kept_is_refused() -> None:
    """What speaks of a payment that the bank may have approved is kept beyond it."""

    async def test() -> None:
        store = Store()
        store.gate = asyncio.Event()
        writer, _ = make_writer(store, waiting_max=3)
        await writer.start()
        first = asyncio.create_task(writer.keep(make("0")))
        await asyncio.sleep(0.01)
        more = [asyncio.create_task(writer.keep(make(str(n)))) for n in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(StoreIsFull):
            await writer.keep(make("3"))
        must = asyncio.create_task(writer.keep(make("4"), must=True))
        store.gate.set()
        assert await asyncio.gather(first, *more, must) == [True] * 4
        await writer.stop()

    asyncio.run(test())


def test_an_error_that_nobody_thought_of_forgets_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writing begins again with those that it failed for."""
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.0)

    async def test() -> None:
        store = Store()
        store.unforeseen = True
        writer, _ = make_writer(store)
        await writer.start()
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(writer.keep(make(str(n))) for n in range(3))) == [True] * 3
        await writer.stop()

    asyncio.run(test())


def test_stopping_writes_what_waits() -> None:
    async def test() -> None:
        store = Store()
        writer, _ = make_writer(store)
        await writer.start()
        keeping = [asyncio.create_task(writer.keep(make(str(n)))) for n in range(3)]
        await asyncio.sleep(0)
        await writer.stop()
        assert await asyncio.gather(*keeping) == [True] * 3

    asyncio.run(test())
