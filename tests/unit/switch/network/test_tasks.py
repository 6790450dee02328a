"""Work that goes on as long as the process."""

import asyncio

import pytest

from switch.network import tasks
from switch.network.tasks import EndlessTask, describe_error


def test_work_that_fails_unforeseen_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.0)
    begun: list[int] = []
    done = asyncio.Event()

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise ArithmeticError
        done.set()

    async def test() -> None:
        task = EndlessTask("t", work)
        task.start()
        async with asyncio.timeout(5):
            await done.wait()
        await task.stop()

    asyncio.run(test())
    assert begun == [0, 1, 2]


def test_stopping_does_not_wait_for_the_next_beginning() -> None:
    """Work that failed is given one more run, in which it sees that it is to end."""
    stopping = False
    runs: list[bool] = []

    async def work() -> None:
        runs.append(stopping)
        if not stopping:
            raise ArithmeticError

    async def test() -> None:
        nonlocal stopping
        task = EndlessTask("t", work)
        task.start()
        await asyncio.sleep(0.01)
        stopping = True
        async with asyncio.timeout(0.5):
            await task.stop()

    asyncio.run(test())
    assert runs == [False, True]


def test_what_is_logged_of_an_error_is_its_class_and_place_alone() -> None:
    try:
        raise ValueError("4761340000000019")
    except ValueError as error:
        said = describe_error(error)
    assert said.startswith("ValueError at test_tasks.py:")
    assert "4761340000000019" not in said
    assert describe_error(None) == "cancelled"
