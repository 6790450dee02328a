"""How messages are gathered: by number, by time, and never two of one name at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from switch.bank.batches import MicroBatches

Item = tuple[int, tuple[str, ...]]


def lanes(work: Callable[[list[Item]], Awaitable[None]], **changes: Any) -> MicroBatches[Item]:
    given_: dict[str, Any] = {"count_max": 4, "at_once": 2, "linger_ms": 1.0, "waiting_max": 1_000}
    return MicroBatches(work, names=lambda item: item[1], **given_ | changes)


class Recorder:
    """Work that notes what runs together, and lets others run in between."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.finished: list[Item] = []
        self.running: list[Item] = []
        self.most = 0
        self.clashes = 0
        self.at_once = 0

    async def work(self, batch: list[Item]) -> None:
        self.batches.append([number for number, _ in batch])
        self.running += batch
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        names = [name for _, names in self.running for name in set(names)]
        self.clashes += len(names) - len(set(names))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_once -= 1
        for item in batch:
            self.running.remove(item)
        self.finished += batch


def test_a_full_batch_does_not_wait() -> None:
    """Four of four leave at once, though the linger is an hour; a fifth waits."""

    async def run() -> Recorder:
        recorder = Recorder()
        batches = lanes(recorder.work, linger_ms=3_600_000)
        for number in range(5):
            batches.offer((number, (str(number),)))
        await asyncio.sleep(0.01)
        assert batches.waiting == 1
        return recorder

    assert asyncio.run(run()).batches == [[0, 1, 2, 3]]


def test_a_lonely_item_leaves_after_the_linger() -> None:
    """And `drain` says when it is done."""

    async def run() -> Recorder:
        recorder = Recorder()
        batches = lanes(recorder.work)
        batches.offer((1, ("a",)))
        assert await batches.drain(5)
        return recorder

    assert asyncio.run(run()).batches == [[1]]


def test_there_is_a_bound() -> None:
    """What finds no room is refused, and counted."""

    async def run() -> None:
        batches = lanes(Recorder().work, waiting_max=2, linger_ms=3_600_000)
        assert [batches.offer((number, ("same",))) for number in range(3)] == [True, True, False]
        assert batches.counters.refused == 1

    asyncio.run(run())


def test_work_that_fails_frees_its_names() -> None:
    """Whoever waited behind it goes on."""

    async def run() -> list[int]:
        seen: list[int] = []

        async def work(batch: list[Item]) -> None:
            seen.extend(number for number, _ in batch)
            if 1 in seen[-len(batch) :]:
                raise ArithmeticError

        batches = lanes(work)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        batches.offer((1, ("a",)))
        batches.offer((2, ("a",)))
        assert await batches.drain(5)
        return seen

    assert asyncio.run(run()) == [1, 2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True), max_size=40))
def test_items_of_one_name_run_one_after_the_other_in_their_order(names: list[list[str]]) -> None:
    """Whatever they share with others: all are worked on, once, two of a name never together, the first first."""

    async def run() -> Recorder:
        recorder = Recorder()
        batches = lanes(recorder.work, linger_ms=0.1)
        for number, some in enumerate(names):
            batches.offer((number, tuple(some)))
        assert await batches.drain(10)
        return recorder

    recorder = asyncio.run(run())
    assert sorted(number for number, _ in recorder.finished) == list(range(len(names)))
    assert recorder.clashes == 0
    assert recorder.most <= 2
    assert max(map(len, recorder.batches), default=0) <= 4
