"""How long a stored message waits between attempts that fail, without a database and without waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

from switch.ecosystem import Bank, Network
from switch.iso8583.message import Message
from switch.links.errors import AnswerTimedOut
from switch.network.counters import NetworkCounters
from switch.network.payloads import AesGcmCipher, seal_message
from switch.network.store import NetworkStore, StoredAdvice
from switch.network.store_and_forward import IssuerLinks, StoreAndForward

KEY = "900001:000001:261121010203:TERM0001:4"
CIPHER = AesGcmCipher(bytes(range(32)))
REVERSAL = Message("1420", {11: "000001", 12: "261121010203", 24: "400", 32: "900001", 41: "TERM0001"})
NETWORK = Network.model_validate(
    {
        "id": "meridian",
        "name": "Meridian",
        "institution_id": "900001",
        "listen": {"port": 0},
        "store_and_forward": {
            "between_messages_seconds": 0.0,
            "wait_seconds": 1.0,
            "wait_seconds_max": 5.0,
            "attempts_alarm": 3,
        },
    }
)
BANK = Bank.model_validate(
    {
        "id": "northgate",
        "name": "Northgate",
        "institution_id": "910001",
        "country": "GB",
        "currency": "GBP",
        "listen": {"port": 0},
        "networks": ["meridian"],
        "ranges": [{"low": "476134", "high": "476134"}],
    }
)


class SilentLinks:
    """A bank that is there and answers nothing."""

    up = True

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def request(self, message: Message, seconds: float) -> Message:
        """No answer."""
        self.sent.append(message.mti)
        raise AnswerTimedOut("no answer")


class OneReversal:
    """A queue of one message, whose waits are written down and are over at once."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.waits: list[float] = []
        self.ended = asyncio.Event()

    @asynccontextmanager
    async def delivery(self, _: str) -> AsyncIterator["OneReversal"]:
        """Itself."""
        yield self

    async def count_pending(self, _: str) -> int:
        """One."""
        return 1

    async def next_advices(self, **_: Any) -> list[StoredAdvice]:
        """The one, as often as there are rounds."""
        attempts = len(self.waits)
        if attempts == self.rounds:
            self.ended.set()
            return []
        return [StoredAdvice(1, KEY, KEY, "1420", attempts, seal_message(CIPHER, REVERSAL, KEY), False, 0.0)]

    async def begin_attempts(self, _: object) -> None:
        """Nothing to write."""

    async def put_off(self, _: int, seconds: float) -> None:
        """Write the wait down."""
        self.waits.append(seconds)


def test_waits_double_up_to_the_most_and_an_alarm_is_raised_once() -> None:
    """Every attempt after the first is a repetition; the alarm comes with the attempt that the setting names."""
    links = SilentLinks()
    counters = NetworkCounters()

    async def test() -> list[float]:
        store = OneReversal(rounds=6)
        queue = StoreAndForward(
            NETWORK,
            BANK,
            cast("IssuerLinks", links),
            cast("NetworkStore", store),
            cipher=CIPHER,
            now=lambda: datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC),
            counters=counters,
        )
        await queue.start()
        async with asyncio.timeout(10):
            await store.ended.wait()
        await queue.stop()
        return store.waits

    assert asyncio.run(test()) == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert links.sent == ["1420", "1421", "1421", "1421", "1421", "1421"]
    assert (counters.alarms, counters.retransmitted) == (1, 5)
