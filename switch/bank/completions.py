"""Takes in completions (1220, 1221) of pre-authorisations: from then on the money is on its way to the ledger.

A completion is an advice: the goods are with the customer. What the bank takes over (000) goes to the pipeline with the
hold of its pre-authorisation, which the posting captures. What it does not owe it acknowledges without liability (900):
the pre-authorisation was refused, undone or completed before, is in another currency, or is exceeded by far. 914 says
that there is no such pre-authorisation (yet): nothing is kept then, and it may be sent again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from postrail.adapters.postgres.queries import statements
from postrail.ports import IdSource
from switch.bank.answers import Action
from switch.bank.authorizations import describe_completion, write_item
from switch.bank.policy import BankPolicy
from switch.bank.requests import ESTIMATED, read_amount, read_currency, read_rrn, read_transmission_time
from switch.bank.store import BankDatabase, columns
from switch.bank.work import DUPLICATE, Answer, FollowUp
from switch.ecosystem import Bank

_SQL: Final = statements("authorizations.sql", "switch.bank")
_OPEN: Final = statements("reversals.sql", "switch.bank")["open"]
_RECORD_COLUMNS: Final = 24
_BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a completion says of itself. Amounts in minor units of `currency`."""

    amount_minor: int
    currency: str
    stan: str
    rrn: str
    transmitted_at: datetime


class Completer:
    """Fills the work of the bank's batches of completions."""

    def __init__(
        self, bank: Bank, database: BankDatabase, *, ids: IdSource, now: Callable[[], datetime], policy: BankPolicy
    ) -> None:
        self._bank = bank
        self._database = database
        self._ids = ids
        self._now = now
        self._policy = policy

    async def complete(self, batch: Sequence[FollowUp]) -> list[Answer]:
        """The answers, in the order of the batch, once they are committed. Raises NotActionable beforehand.

        Raises Retryable and Permanent as the database does. No key and no original stands in a batch twice.
        """
        now = self._now()
        asked = [read_completion(each, now) for each in batch]
        rows: list[tuple[Any, ...]] = []
        answers: list[Answer] = []
        async with self._database.transaction() as connection:
            found = await connection.fetch(
                _OPEN, self._bank.id, [each.key for each in batch], [each.original_key for each in batch]
            )
            for each, says, row in zip(batch, asked, found, strict=True):
                answer = self._judge(each, says, row)
                answers.append(answer)
                if row["stored_fingerprint"] is None and answer.action_code != Action.ORIGINAL_NOT_TRACED:
                    rows.append(self._row_of(each, says, row, answer, now))
            if rows:
                hour = now.replace(minute=0, second=0, microsecond=0)
                await connection.execute(_SQL["record"], self._bank.id, *columns(rows, _RECORD_COLUMNS), hour, [])
        return answers

    def _judge(self, follow_up: FollowUp, asked: _Asked, row: asyncpg.Record) -> Answer:
        if row["stored_fingerprint"] is not None:
            if row["stored_fingerprint"].hex != follow_up.fingerprint:
                return DUPLICATE
            extra = json.loads(row["stored_answer"])
            return Answer(row["stored_action_code"], {int(number): text for number, text in extra.items()})
        extra = {37: asked.rrn}
        if row["payment_id"] is None:
            return Answer(Action.ORIGINAL_NOT_TRACED, extra)
        left = row["amount_minor"] - row["reversed_minor"]
        limit = left + left * self._policy.completion_excess_basis_points // _BASIS_POINTS
        owed = (
            row["action_code"] < Action.DO_NOT_HONOUR
            and row["function_code"] == ESTIMATED
            and row["details"] is not None
            and row["completion_id"] is None
            and not row["undone"]
            and asked.currency == row["currency"]
            and asked.amount_minor <= limit
        )
        return Answer(Action.APPROVED if owed else Action.NO_LIABILITY, extra)

    def _row_of(
        self, follow_up: FollowUp, asked: _Asked, row: asyncpg.Record, answer: Answer, now: datetime
    ) -> tuple[Any, ...]:
        payment_id = self._ids.new_id("pay")[4:]
        owed = answer.action_code == Action.APPROVED
        item = approval_code = None
        if owed:
            content = describe_completion(
                json.loads(row["details"]),
                payment_id=payment_id,
                message_type=follow_up.message.mti,
                stan=asked.stan,
                rrn=asked.rrn,
                transmitted_at=asked.transmitted_at,
                amount_minor=asked.amount_minor,
                decided_at=now,
            )
            item = write_item(content, follow_up.key)
            approval_code = content["approval_code"]
        return (
            payment_id,
            follow_up.key,
            follow_up.fingerprint,
            follow_up.message.mti,
            follow_up.message.get(24),
            row["transaction_type"],
            row["card_token"],
            row["account_id"],
            asked.amount_minor,
            asked.currency,
            row["held_minor"] if owed else None,
            answer.action_code,
            approval_code,
            asked.rrn,
            row["hold_id"] if owed else None,
            row["payment_id"],
            json.dumps(answer.extra),
            asked.transmitted_at,
            now,
            item,
            None,
            None,
            None,
            None,
        )


def read_completion(follow_up: FollowUp, now: datetime) -> _Asked:
    """What a completion asks. Raises NotActionable."""
    message = follow_up.message
    return _Asked(
        amount_minor=read_amount(message.get(4)),
        currency=read_currency(message.get(49)),
        stan=message.get(11),
        rrn=read_rrn(message, now),
        transmitted_at=read_transmission_time(message.get(7), now),
    )
