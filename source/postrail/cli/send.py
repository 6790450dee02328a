"""Sends payments through one of the two doors: rows of the authorizations table, or events on the bus."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from postrail.adapters.aws.batches import by_size, in_tens, pause_s
from postrail.adapters.system import SystemIds
from postrail.cli.failures import CommandError
from postrail.cli.inputs import Payment
from postrail.cli.table_writes import ATTEMPTS_MAX, BATCH_MAX, Sleep, write_batch
from postrail.contracts.events import SCHEMA_VERSION, PaymentAuthorized

BUS_BATCH_MAX = 10
"""PutEvents takes 10 entries."""
BUS_BATCH_BYTES_MAX = 240_000
"""PutEvents takes 256 KB a request, envelope included."""
RETENTION_DAYS = 30
PRODUCER = "postrail-inject"
SOURCE = "postrail.inject"


class Door(Protocol):
    """A way into the graph."""

    batch_max: int

    def send(self, payments: Sequence[Payment]) -> dict[str, str]:
        """Send the payments in one call; returns the reason by payment id of those that were not taken."""
        ...


class TableDoor:
    """Writes authorizations as the bank's authorization host does; the table's stream carries them on."""

    batch_max = BATCH_MAX

    def __init__(self, dynamodb: Any, table: str, run_id: str, *, sleep: Sleep = time.sleep) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._run_id = run_id
        self._sleep = sleep

    def known(self, payment_ids: Sequence[str]) -> list[str]:
        """Which of these payments the table already has: writing one again would be an update, which starts nothing."""
        found: list[str] = []
        for chunk in in_tens(payment_ids, 100):
            wanted: dict[str, Any] = {
                self._table: {
                    "Keys": [{"payment_id": {"S": id_}} for id_ in chunk],
                    "ProjectionExpression": "payment_id",
                }
            }
            for attempt in range(1, ATTEMPTS_MAX + 1):
                answer = self._dynamodb.batch_get_item(RequestItems=wanted)
                found += [item["payment_id"]["S"] for item in answer["Responses"].get(self._table, [])]
                wanted = answer.get("UnprocessedKeys") or {}
                if not wanted:
                    break
                self._sleep(pause_s(attempt))
        return found

    def send(self, payments: Sequence[Payment]) -> dict[str, str]:
        """One BatchWriteItem; what the table had no capacity for is sent again, a bounded number of times."""
        items = [self._item(payment) for payment in payments]
        left = write_batch(self._dynamodb, self._table, items, sleep=self._sleep)
        return {item["payment_id"]["S"]: "the table was throttled" for item in left}

    def _item(self, payment: Payment) -> dict[str, Any]:
        now = datetime.now(UTC)
        authorized_at = payment.body.get("authorized_at") if isinstance(payment.body, dict) else None
        return {
            "payment_id": {"S": payment.payment_id},
            "action_code": {"S": "000"},
            "authorized_at": {"S": authorized_at if isinstance(authorized_at, str) else _instant(now)},
            "correlation_id": {"S": self._run_id},
            "expires_at": {"N": str(int((now + timedelta(days=RETENTION_DAYS)).timestamp()))},
            "authorization": {"S": json.dumps(payment.body, ensure_ascii=False)},
        }


class BusDoor:
    """Puts PaymentAuthorized events on the bus, as any producer may."""

    batch_max = BUS_BATCH_MAX

    def __init__(self, events: Any, bus: str, run_id: str, *, sleep: Sleep = time.sleep) -> None:
        self._events = events
        self._bus = bus
        self._run_id = run_id
        self._sleep = sleep
        self._ids = SystemIds()

    def send(self, payments: Sequence[Payment]) -> dict[str, str]:
        """PutEvents, split by size; failed entries alone are sent again, a bounded number of times."""
        refused: dict[str, str] = {}
        entries = [(payment.payment_id, self._entry(payment)) for payment in payments]
        sizes = [sum(len(value.encode()) for value in entry.values()) for _, entry in entries]
        for run in by_size(sizes, count_max=BUS_BATCH_MAX, bytes_max=BUS_BATCH_BYTES_MAX):
            refused |= self._put([entries[index] for index in run])
        return refused

    def _put(self, pending: list[tuple[str, dict[str, Any]]]) -> dict[str, str]:
        codes: list[str] = []
        for attempt in range(1, ATTEMPTS_MAX + 1):
            answer = self._events.put_events(Entries=[entry for _, entry in pending])
            if not answer["FailedEntryCount"]:
                return {}
            verdicts = zip(pending, answer["Entries"], strict=True)
            failed = [(item, verdict["ErrorCode"]) for item, verdict in verdicts if verdict.get("ErrorCode")]
            pending, codes = [item for item, _ in failed], [code for _, code in failed]
            self._sleep(pause_s(attempt))
        return {payment_id: code for (payment_id, _), code in zip(pending, codes, strict=True)}

    def _entry(self, payment: Payment) -> dict[str, Any]:
        detail = authorized_detail(payment, run_id=self._run_id, event_id=self._ids.new_id("evt"))
        return {
            "Source": SOURCE,
            "DetailType": PaymentAuthorized.detail_type(),
            "Detail": json.dumps(detail, ensure_ascii=False),
            "EventBusName": self._bus,
        }


def authorized_detail(payment: Payment, *, run_id: str, event_id: str) -> dict[str, Any]:
    """The detail of a PaymentAuthorized event. Built as plain JSON, because the body may be wrong on purpose."""
    return {
        "metadata": {
            "event_id": event_id,
            "payment_id": payment.payment_id,
            "correlation_id": run_id,
            "occurred_at": _instant(datetime.now(UTC)),
            "schema_version": SCHEMA_VERSION,
            "producer": PRODUCER,
        },
        "data": {"authorization": payment.body},
    }


@dataclass(slots=True)
class SendLog:
    """When each payment was handed over (seconds of the epoch, taken just before the call), and what was refused."""

    sent_at: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def first_at(self) -> float:
        """When the first payment was handed over."""
        return min(self.sent_at.values(), default=0.0)


def send_all(
    payments: Sequence[Payment],
    door: Door,
    *,
    rate: float | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
    wall: Callable[[], float] = time.time,
    sleep: Sleep = time.sleep,
) -> SendLog:
    """Send all payments; with `rate`, open loop: payment n leaves at n / rate seconds, whatever became of the others.

    When a call takes longer than the pace allows, what has become due meanwhile leaves together in the next call.
    """
    log = SendLog()
    for batch in _paced(payments, door.batch_max, rate, wall, sleep) if rate else in_tens(payments, door.batch_max):
        now = wall()
        log.sent_at.update((payment.payment_id, now) for payment in batch)
        log.refused |= door.send(batch)
        on_progress(len(log.sent_at))
    return log


def refuse_known(door: TableDoor, payments: Sequence[Payment]) -> None:
    """Raise CommandError when the table already has one of these payments."""
    known = door.known([payment.payment_id for payment in payments])
    if known:
        named = ", ".join(known[:3]) + (" ..." if len(known) > 3 else "")
        msg = (
            f"{len(known)} of these payments are in the authorizations table already ({named}): a row that is written "
            "again starts nothing. Give them new payment ids, or send them with --via events."
        )
        raise CommandError(msg)


def _paced(
    payments: Sequence[Payment], batch_max: int, rate: float, wall: Callable[[], float], sleep: Sleep
) -> Iterator[Sequence[Payment]]:
    start, done = wall(), 0
    while done < len(payments):
        wait = start + done / rate - wall()
        if wait > 0:
            sleep(wait)
        due = min(len(payments), int((wall() - start) * rate) + 1, done + batch_max)
        yield payments[done : max(due, done + 1)]
        done = max(due, done + 1)


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
