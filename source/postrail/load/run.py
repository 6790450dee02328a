"""One run: a clock that hands over what is due, lanes that send it, and an eye on the ledger for the ends.

Nothing waits for anything else. When all lanes are busy, what is due waits before them, and that wait counts: a
payment's time runs from when it was due, not from when there was time to send it (Gil Tene's "coordinated omission"
would leave out just the moments that matter).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

PaymentT = TypeVar("PaymentT")

OPEN_ASKED_MAX: Final = 2_000
"""How many payments one question to the ledger is about: the oldest that have no end yet."""
POLL_SECONDS: Final = 0.5
LETTERS_EVERY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one payment: outcome (posted, parked, ...), reason, and when, in seconds of the epoch."""

    outcome: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Ways(Generic[PaymentT]):
    """What a run needs of the graph.

    `send` hands a batch over and returns the refused ones' reasons by payment id. `ends` answers for the payments asked
    about that have an end; `letters` returns ends among dead letters that nobody asked about.
    """

    send: Callable[[Sequence[PaymentT]], Mapping[str, str]]
    id_of: Callable[[PaymentT], str]
    ends: Callable[[Sequence[str]], Mapping[str, Ended]]
    letters: Callable[[], Mapping[str, Ended]]
    batch_max: int


@dataclass(slots=True)
class Record:
    """What a run saw. Times by payment id, in seconds of the epoch; due, sent (call began) and taken (call ended)."""

    started_at: float
    due: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    ends: dict[str, Ended] = field(default_factory=dict)

    @property
    def open(self) -> int:
        """Payments that were handed over and have no end yet."""
        return len(self.sent) - len(self.refused) - len(self.ends)


class LoadRun(Generic[PaymentT]):
    """Plays a schedule against the graph. Use once."""

    def __init__(
        self,
        ways: Ways[PaymentT],
        *,
        lanes: int,
        patience_seconds: float,
        told: Callable[[Record], None] = lambda _: None,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`lanes` calls go on at once. `patience_seconds` is how long ends are awaited after the last payment left."""
        self._ways = ways
        self._lanes = lanes
        self._patience_s = patience_seconds
        self._told = told
        self._wall = wall
        self._sleep = sleep
        self._record = Record(started_at=wall())
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()
        self._next_letters_at = 0.0

    def play(self, payments: Sequence[PaymentT], due: Sequence[float]) -> Record:
        """Send payment n at `due[n]` seconds from now; return when all have an end, or patience is over.

        Raises whatever a call raised that was no answer of the graph.
        """
        self._record.started_at = self._wall()
        stop = threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="load-watcher") as watchers:
            watcher = watchers.submit(self._watch, stop)
            try:
                with ThreadPoolExecutor(self._lanes, thread_name_prefix="load-lane") as pool:
                    calls = self._hand_over(pool, payments, due)
                for call in calls:
                    call.result()
                self._await_ends(watcher)
            finally:
                stop.set()
            watcher.result()
        return self._record

    def _hand_over(
        self, pool: ThreadPoolExecutor, payments: Sequence[PaymentT], due: Sequence[float]
    ) -> "list[Future[None]]":
        calls: list[Future[None]] = []
        start, position = self._record.started_at, 0
        while position < len(payments):
            wait = start + due[position] - self._wall()
            if wait > 0:
                self._sleep(min(wait, 0.2))
                continue
            now = self._wall() - start
            last = position
            while last < len(payments) and due[last] <= now and last - position < self._ways.batch_max:
                last += 1
            batch = payments[position:last]
            times = {self._ways.id_of(payment): start + due[position + n] for n, payment in enumerate(batch)}
            self._record.due.update(times)
            calls.append(pool.submit(self._send, batch))
            position = last
            failed = next((call for call in calls[-self._lanes :] if call.done() and call.exception()), None)
            if failed is not None:
                break
        return calls

    def _send(self, batch: Sequence[PaymentT]) -> None:
        ids = [self._ways.id_of(payment) for payment in batch]
        began = self._wall()
        refused = self._ways.send(batch)
        ended = self._wall()
        with self._lock:
            self._record.sent.update(dict.fromkeys(ids, began))
            self._record.taken.update(dict.fromkeys(ids, ended))
            self._record.refused.update(refused)
            self._waiting.extend(payment_id for payment_id in ids if payment_id not in refused)

    def _await_ends(self, watcher: "Future[None]") -> None:
        deadline = self._wall() + self._patience_s
        while self._record.open > 0 and self._wall() < deadline and not watcher.done():
            self._sleep(0.1)

    def _watch(self, stop: threading.Event) -> None:
        while not stop.is_set():
            began = self._wall()
            self._look()
            self._told(self._record)
            stop.wait(max(0.05, POLL_SECONDS - (self._wall() - began)))
        self._look()
        self._told(self._record)

    def _look(self) -> None:
        """Ask about the oldest open payments; those that stay open go back behind the others."""
        with self._lock:
            asked = [self._waiting.popleft() for _ in range(min(OPEN_ASKED_MAX, len(self._waiting)))]
        found = dict(self._ways.ends(asked)) if asked else {}
        if self._wall() >= self._next_letters_at:
            self._next_letters_at = self._wall() + LETTERS_EVERY_SECONDS
            for payment_id, end in self._ways.letters().items():
                if payment_id in self._record.due:
                    found.setdefault(payment_id, end)
        with self._lock:
            self._record.ends.update(found)
            still = [payment_id for payment_id in asked if payment_id not in self._record.ends]
            self._waiting.extend(still)
