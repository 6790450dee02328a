"""Takes in reversals (1420, 1421): whatever their order and number, a payment is undone once.

A reversal is always accepted (400), and what it means is decided under the locks of its original:

* The original is not known (yet): the reversal is remembered, and an original that comes later is not approved.
* Its money is held, and nothing is posted: the hold is released. What is on its way to the ledger is refused there
  (HOLD_RELEASED). Of a pre-authorisation a part can be released as well.
* It is posted, or will be for certain (a partial reversal, a refund, an advice without a hold): the reversal waits, and
  `settle` turns the money back when it is in the ledger.
* Nothing of it is left, or it was refused: nothing is done.

A reversal that names a completed pre-authorisation undoes its completion.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from postrail.adapters.postgres.queries import statements
from postrail.contracts.events import AuthorizationReversed
from postrail.domain.authorization import content_fingerprint
from postrail.ports import Clock
from postrail.stages.follow_up import encode_event, first_event
from switch.bank.answers import Action
from switch.bank.keys import PARTIAL_REVERSAL
from switch.bank.requests import ESTIMATED, NotActionable
from switch.bank.store import BankDatabase, columns
from switch.bank.work import DUPLICATE, Answer, FollowUp
from switch.correlation import correlation_of_key
from switch.ecosystem import Bank
from switch.iso8583.message import Message

if TYPE_CHECKING:
    from switch.bank.store import Connection

PRODUCER: Final = "bank"
UNSTATED_REASON: Final = "4000"
"""DE 25 of a reversal that gives none: the customer's wish."""

_SQL: Final = statements("reversals.sql", "switch.bank")
_RECORD_COLUMNS: Final = 15


class _Way(StrEnum):
    """What becomes of a reversal."""

    UNMATCHED = "unmatched"
    NOTHING = "nothing"
    RELEASE = "release"
    RELEASE_PART = "release_part"
    WAIT = "wait"


@dataclass(slots=True)
class _Plan:
    """What one reversal is to do. Amounts in minor units of the transaction, `release_minor` of the account."""

    follow_up: FollowUp
    row: asyncpg.Record
    way: _Way
    asked_minor: int | None
    payment_id: UUID | None = None
    undone_minor: int = 0
    remaining_minor: int = 0
    release_minor: int | None = None
    is_released: bool = False


class Reverser:
    """Fills the work of the bank's batches of reversals."""

    def __init__(self, bank: Bank, database: BankDatabase, *, clock: Clock) -> None:
        self._bank = bank
        self._database = database
        self._clock = clock

    async def reverse(self, batch: Sequence[FollowUp]) -> list[Answer]:
        """The answers, in the order of the batch, once they are committed. Raises NotActionable beforehand.

        Raises Retryable and Permanent as the database does. No key and no original stands in a batch twice.
        """
        now = self._clock.now()
        asked = [read_undone_amount(each.message) for each in batch]
        answers: list[Answer] = []
        plans: list[_Plan] = []
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                _SQL["open"], self._bank.id, [each.key for each in batch], [each.original_key for each in batch]
            )
            for each, asked_minor, row in zip(batch, asked, rows, strict=True):
                stored = row["stored_fingerprint"]
                answers.append(DUPLICATE if stored not in {None, UUID(each.fingerprint)} else _accepted(each))
                if stored is None:
                    plans.append(_plan(each, asked_minor, row))
            _one_each(plans)
            await self._release(connection, plans, now)
            if plans:
                await connection.execute(
                    _SQL["record"],
                    self._bank.id,
                    *columns([self._row_of(plan, now) for plan in plans], _RECORD_COLUMNS),
                    now,
                )
        return answers

    async def _release(self, connection: "Connection", plans: Sequence[_Plan], now: datetime) -> None:
        """Release what can be; what was captured meanwhile, or has expired, waits for the ledger."""
        releasing = [plan for plan in plans if plan.way in {_Way.RELEASE, _Way.RELEASE_PART}]
        if not releasing:
            return
        results = await connection.fetch(
            _SQL["release_holds"],
            [plan.row["hold_id"] for plan in releasing],
            [f"reverse:{self._bank.id}:{plan.follow_up.key}" for plan in releasing],
            [content_fingerprint(plan.row["hold_id"].hex, plan.release_minor) for plan in releasing],
            [plan.release_minor for plan in releasing],
            now,
        )
        for plan, result in zip(releasing, results, strict=True):
            plan.is_released = result["reason"] is None
            if result["status"] in {"captured", "expired"} and not _is_open_pre_authorisation(plan.row):
                plan.way = _Way.WAIT

    def _row_of(self, plan: _Plan, now: datetime) -> tuple[Any, ...]:
        follow_up, row = plan.follow_up, plan.row
        status = {_Way.UNMATCHED: "unmatched", _Way.WAIT: "waiting"}.get(plan.way, "done")
        held_minor = row["held_minor"]
        is_whole = plan.undone_minor > 0 and plan.remaining_minor == 0
        unused_minor = None
        if plan.undone_minor and held_minor and row["card_token"]:
            unused_minor = held_minor * plan.undone_minor // max(row["amount_minor"], plan.undone_minor)
        return (
            follow_up.key,
            follow_up.original_key,
            follow_up.fingerprint,
            plan.payment_id,
            plan.asked_minor,
            plan.undone_minor,
            message_reason(follow_up.message),
            status,
            json.dumps({}),
            self._event_of(plan, now) if status == "done" and plan.undone_minor else None,
            _reversed_before(plan) + plan.undone_minor,
            row["card_token"],
            row["decided_at"].replace(minute=0, second=0, microsecond=0) if row["decided_at"] else None,
            unused_minor,
            is_whole and status == "done",
        )

    def _event_of(self, plan: _Plan, now: datetime) -> str:
        follow_up, row = plan.follow_up, plan.row
        if plan.payment_id is None:
            raise NotActionable(Action.ORIGINAL_NOT_TRACED, "nothing was reversed")
        return reversed_event(
            self._bank.id,
            follow_up.key,
            AuthorizationReversed(
                payment_id=f"pay_{plan.payment_id.hex}",
                reversed_minor=plan.undone_minor,
                remaining_minor=plan.remaining_minor,
                currency=row["currency"],
                message_reason=message_reason(follow_up.message),
                hold_id=f"hld_{row['hold_id'].hex}" if plan.is_released else None,
                reversed_at=now,
            ),
            authorization_key=row["completion_key"] or follow_up.original_key,
            clock=self._clock,
        )


def reversed_event(
    bank_id: str, reversal_key: str, data: AuthorizationReversed, *, authorization_key: str, clock: Clock
) -> str:
    """The event as it stands in the outbox. The same reversal gives an event of the same id."""
    event = first_event(
        data,
        owner=f"{bank_id}/{reversal_key}",
        caused_at=data.reversed_at,
        correlation_id=correlation_of_key(authorization_key),
        producer=PRODUCER,
        clock=clock,
    )
    return encode_event(event)


def message_reason(message: Message) -> str:
    """DE 25, four digits."""
    reason = message.get(25)
    return reason if len(reason) == 4 and reason.isdecimal() else UNSTATED_REASON


def read_undone_amount(message: Message) -> int | None:
    """What a reversal asks to undo, in minor units of the transaction; None for all of it.

    A partial reversal (DE 24 401) gives in DE 30 what was authorised (its first 12 digits) and in DE 4 what it comes to
    in the end. Raises NotActionable when these do not make sense.
    """
    if message.get(24) != PARTIAL_REVERSAL:
        return None
    original, actual = message.get(30)[:12], message.get(4)
    if len(original) != 12 or not (original.isdecimal() and actual.isdecimal()):
        raise NotActionable(Action.FORMAT_ERROR, "field 30: a partial reversal gives the original amount")
    undone = int(original) - int(actual)
    if undone <= 0:
        raise NotActionable(Action.INVALID_AMOUNT, "field 4: not less than the original amount in field 30")
    return None if not int(actual) else undone


def _plan(follow_up: FollowUp, asked_minor: int | None, row: asyncpg.Record) -> _Plan:
    if row["payment_id"] is None:
        return _Plan(follow_up, row, _Way.UNMATCHED, asked_minor)
    plan = _Plan(follow_up, row, _Way.NOTHING, asked_minor, payment_id=row["payment_id"])
    if row["action_code"] >= Action.DO_NOT_HONOUR:
        return plan
    amount_minor = row["amount_minor"]
    if row["completion_id"] is not None:
        plan.payment_id, amount_minor = row["completion_id"], row["completion_minor"]
    left = amount_minor - _reversed_before(plan)
    plan.undone_minor = left if asked_minor is None else min(asked_minor, left)
    plan.remaining_minor = left - plan.undone_minor
    if plan.undone_minor == 0:
        return plan
    if row["hold_id"] is None:
        plan.way = _Way.WAIT
    elif plan.remaining_minor == 0:
        plan.way = _Way.RELEASE
    elif _is_open_pre_authorisation(row):
        plan.way = _Way.RELEASE_PART
        plan.release_minor = _share(row, row["reversed_minor"] + plan.undone_minor) - _share(row, row["reversed_minor"])
        if plan.release_minor == 0:
            plan.way = _Way.NOTHING
    else:
        plan.way = _Way.WAIT
    return plan


def _one_each(plans: Sequence[_Plan]) -> None:
    """Two that reach one payment by different names must not both count with what was left before."""
    seen: set[UUID] = set()
    for plan in plans:
        if plan.payment_id is None:
            continue
        if plan.payment_id in seen:
            raise AmbiguousBatch
        seen.add(plan.payment_id)


class AmbiguousBatch(Exception):
    """Two reversals of a batch reach one payment by different names: they must be taken one after the other."""


def _is_open_pre_authorisation(row: asyncpg.Record) -> bool:
    return row["function_code"] == ESTIMATED and row["completion_id"] is None


def _reversed_before(plan: _Plan) -> int:
    row = plan.row
    if row["payment_id"] is None:
        return 0
    found: int = row["reversed_minor"] if row["completion_id"] is None else row["completion_reversed_minor"]
    return found


def _share(row: asyncpg.Record, undone_minor: int) -> int:
    """What of the hold stands for this part of the amount, rounded down: what is left is held at least."""
    share: int = row["held_minor"] * undone_minor // row["amount_minor"]
    return share


def _accepted(follow_up: FollowUp) -> Answer:
    rrn = follow_up.message.get(37)
    return Answer(Action.REVERSAL_ACCEPTED, {37: rrn} if rrn else None)
