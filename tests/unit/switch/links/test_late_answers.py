"""How long an answer that comes after its time is still known for what it is."""

import asyncio

import pytest

from switch.iso8583.message import Message
from switch.links.counters import Counters
from switch.links.errors import AnswerTimedOut
from switch.links.matching import LATE_SECONDS, PendingAnswers


@pytest.mark.parametrize(("later", "is_known"), [(LATE_SECONDS - 10.0, True), (LATE_SECONDS + 10.0, False)])
def test_a_late_answer_is_known_for_two_minutes(monkeypatch: pytest.MonkeyPatch, later: float, is_known: bool) -> None:
    """After that it is one that nobody asked for. The clock of the event loop is put forward."""
    late: list[Message] = []
    fields = {11: "000001", 41: "TERM0001"}

    async def test() -> None:
        counters = Counters()
        pending = PendingAnswers(counters, in_flight_max=10, on_late=late.append)
        with pytest.raises(AnswerTimedOut):
            await pending.wait(pending.admit(Message("1100", fields)), None, 0.001)
        loop = asyncio.get_running_loop()
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now + later)
        pending.settle(Message("1110", fields | {39: "000"}))
        assert len(late) == is_known
        assert (counters.rx_expired, counters.unhandled) == (int(is_known), int(not is_known))
        monkeypatch.undo()

    asyncio.run(test())
