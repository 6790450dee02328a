"""Authorises a batch of requests in one transaction: known, judged, held, recorded; then, committed, answered.

What is read is read under locks on the messages' keys and on their cards (migration 0020), so that a copy of a message,
its reversal, or another payment of the card, wherever they are, come before or after, and never at the same time.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import randbelow
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from postrail.adapters.postgres.queries import statements
from postrail.domain.authorization import content_fingerprint
from postrail.domain.errors import Retryable
from postrail.domain.iso4217 import currency_by_code
from postrail.ports import IdSource
from switch.bank.answers import Action, available_balance
from switch.bank.authorizations import describe, write_item
from switch.bank.billing import Bill, Biller
from switch.bank.decide import CardState, judge_advice, judge_card, judge_limits, pin_tries_after
from switch.bank.fraud import Attempt, FraudCheck
from switch.bank.policy import BankPolicy
from switch.bank.requests import CASH
from switch.bank.store import BankDatabase, columns
from switch.bank.work import DUPLICATE, MALFUNCTION, Answer, Asked
from switch.ecosystem import Bank

if TYPE_CHECKING:
    from switch.bank.store import Connection

_SQL: Final = statements("authorizations.sql", "switch.bank")
_RECORD_COLUMNS: Final = 24
_REFUSED_BY_LEDGER: Final = {
    "INSUFFICIENT_FUNDS": Action.NOT_SUFFICIENT_FUNDS,
    "ACCOUNT_NOT_FOUND": Action.NO_ACCOUNT,
    "ACCOUNT_NOT_OPEN": Action.NO_ACCOUNT,
    "CURRENCY_MISMATCH": Action.NO_ACCOUNT,
    "HOT_ACCOUNT": Action.NO_ACCOUNT,
    "AMOUNT_OVERFLOW": Action.INVALID_AMOUNT,
}


@dataclass(slots=True)
class _Case:
    """One request under judgement. Ids are hex digits without prefix; `answer` is set for what is known already."""

    asked: Asked
    card: CardState | None = None
    answer: Answer | None = None
    refusal: Action | None = None
    bill: Bill | None = None
    payment_id: str = ""
    hold_id: str | None = None
    available_minor: int | None = None
    approval_code: str | None = None
    pin_tries: int | None = None
    is_undone_partly: bool = False

    @property
    def is_held(self) -> bool:
        """Whether money is to be held for it: what comes in, or cannot be counted, is not."""
        return self.refusal is None and self.answer is None and self.bill is not None and self.bill.debited_minor > 0


class Authorizer:
    """Fills the work of the bank's batches of authorizations."""

    def __init__(
        self,
        bank: Bank,
        database: BankDatabase,
        *,
        biller: Biller,
        fraud: FraudCheck,
        ids: IdSource,
        now: Callable[[], datetime],
        policy: BankPolicy,
    ) -> None:
        self._bank = bank
        self._database = database
        self._biller = biller
        self._fraud = fraud
        self._ids = ids
        self._now = now
        self._policy = policy

    async def authorize(self, batch: Sequence[Asked]) -> list[Answer]:
        """The answers, in the order of the batch, once they are committed. Raises Retryable and Permanent.

        No key and no card stands in a batch twice.
        """
        now = self._now()
        async with self._database.transaction() as connection:
            cases = await self._open(connection, batch, now)
            await self._judge(cases, now)
            await self._hold(connection, cases, now)
            await self._record(connection, cases, now)
        return [_answer_of(case) for case in cases]

    async def _open(self, connection: "Connection", batch: Sequence[Asked], now: datetime) -> list[_Case]:
        rows = await connection.fetch(
            _SQL["open"],
            self._bank.id,
            [asked.request.key for asked in batch],
            [asked.request.pan_lookup for asked in batch],
            _hour_of(now),
        )
        return [_open_case(asked, row) for asked, row in zip(batch, rows, strict=True)]

    async def _judge(self, cases: Sequence[_Case], now: datetime) -> None:
        await self._learn_rates(cases)
        for case in cases:
            if case.answer is not None:
                continue
            request, card = case.asked.request, case.card
            if request.is_advice:
                case.refusal = case.refusal or judge_advice(request, card)
            else:
                case.pin_tries = pin_tries_after(card, case.asked.pin, self._policy.pin_tries_max)
                case.refusal = case.refusal or judge_card(
                    request, card, case.asked.pin, now=now, pin_tries_max=self._policy.pin_tries_max
                )
            case.payment_id = self._ids.new_id("pay")[4:]
            if case.refusal is None and card is not None:
                self._judge_amount(case, card)

    async def _learn_rates(self, cases: Sequence[_Case]) -> None:
        """Rates to the bank's own currency were asked for before the batch; an account may be kept in another."""
        rates = self._biller.rates
        lacking = [
            (case, (case.asked.request.currency, case.card.currency))
            for case in cases
            if case.answer is None
            and case.card is not None
            and not rates.is_known(case.asked.request.currency, case.card.currency)
        ]
        if not lacking:
            return
        try:
            await rates.learn(pair for _, pair in lacking)
        except Retryable:
            # Nothing is decided on these, and nothing kept: they may be asked again. The others go on.
            for case, _ in lacking:
                case.answer = MALFUNCTION

    def _judge_amount(self, case: _Case, card: CardState) -> None:
        request = case.asked.request
        case.bill = self._biller.bill(
            request.amount_minor,
            request.currency,
            request.transaction_type,
            target=card.currency,
            product=card.product,
        )
        if request.is_advice:
            return
        if case.bill is None:
            case.refusal = Action.INVALID_AMOUNT
        elif case.bill.debited_minor:
            case.refusal = judge_limits(card, case.bill.debited_minor) or self._fraud.judge(
                Attempt(
                    card_token=card.card_token,
                    amount_minor=case.bill.billed_minor,
                    merchant_country=request.acceptor.country,
                    home_country=self._bank.country,
                    mcc=request.acceptor.mcc,
                    entry_mode=request.entry_mode,
                    is_first=card.status == "ready",
                    countries=card.countries,
                    day_count=card.day_count,
                )
            )

    async def _hold(self, connection: "Connection", cases: Sequence[_Case], now: datetime) -> None:
        """Hold the money of what is approved so far; the ledger has the last word, except about an advice."""
        held = [case for case in cases if case.is_held]
        if held:
            rows = await connection.fetch(_SQL["place_holds"], *self._hold_columns(held, now))
            for case, row in zip(held, rows, strict=True):
                reason = row["reason"]
                if reason is None:
                    case.available_minor = int(row["available_minor"])
                    continue
                case.hold_id = None
                if not case.asked.request.is_advice:
                    case.refusal = _REFUSED_BY_LEDGER.get(reason, Action.MALFUNCTION)
        for case in cases:
            if case.answer is None and case.refusal is None:
                case.approval_code = case.asked.request.approval_code or f"{randbelow(1_000_000):06}"

    def _hold_columns(self, held: Sequence[_Case], now: datetime) -> list[list[Any]]:
        accounts: dict[tuple[str, str], int] = {}
        until, until_completed = now + self._policy.hold_for, now + self._policy.pre_authorise_for
        rows = []
        for case in held:
            card, bill = case.card, case.bill
            if card is None or bill is None:
                continue
            case.hold_id = self._ids.new_id("hld")[4:]
            rows.append(
                (
                    case.hold_id,
                    f"authorize:{case.payment_id}",
                    content_fingerprint(card.account_id, bill.debited_minor, case.payment_id),
                    "authorization",
                    bill.debited_minor,
                    0,
                    case.payment_id,
                    now,
                    until_completed if case.asked.request.is_estimated else until,
                    accounts.setdefault((card.account_id, card.currency), len(accounts) + 1),
                )
            )
        return [
            *columns(rows, 10),
            [account_id for account_id, _ in accounts],
            [int(currency_by_code(currency).numeric) for _, currency in accounts],
        ]

    async def _record(self, connection: "Connection", cases: Sequence[_Case], now: datetime) -> None:
        fresh = [case for case in cases if case.answer is None]
        if not fresh:
            return
        activated = [
            case.card.card_token
            for case in fresh
            if case.card is not None and case.refusal is None and case.card.status == "ready"
        ]
        rows = [self._row_of(case, now) for case in fresh]
        await connection.execute(
            _SQL["record"], self._bank.id, *columns(rows, _RECORD_COLUMNS), _hour_of(now), activated
        )
        early = [case.asked.request.key for case in fresh if case.is_undone_partly]
        if early:
            await connection.execute(_SQL["adopt"], self._bank.id, early)

    def _row_of(self, case: _Case, now: datetime) -> tuple[Any, ...]:
        request, card, bill = case.asked.request, case.card, case.bill
        approved = case.refusal is None
        item = details = None
        if approved and card is not None:
            content = describe(
                request,
                payment_id=case.payment_id,
                hold_id=case.hold_id,
                card_token=card.card_token,
                card_expiry=card.expiry,
                issuer_country=self._bank.country,
                approval_code=case.approval_code or "",
                decided_at=now,
            )
            item = write_item(content, request.key, capture_later=request.is_estimated)
            details = json.dumps(content) if request.is_estimated else None
        used_minor = bill.debited_minor if approved and bill is not None and bill.debited_minor else None
        answer = _answer_of(case)
        return (
            case.payment_id,
            request.key,
            request.fingerprint,
            request.message_type,
            request.function_code,
            request.transaction_type,
            card.card_token if card else None,
            card.account_id if card else None,
            request.amount_minor,
            request.currency,
            bill.debited_minor if case.hold_id and bill else None,
            answer.action_code,
            case.approval_code,
            request.rrn,
            case.hold_id,
            None,
            json.dumps(answer.extra),
            request.transmitted_at,
            now,
            item,
            used_minor,
            request.acceptor.country,
            case.pin_tries,
            details,
        )


def _open_case(asked: Asked, row: asyncpg.Record) -> _Case:
    if row["stored_fingerprint"] is not None:
        return _Case(asked, answer=_stored_answer(asked, row))
    case = _Case(asked, card=_card_state(row) if row["card_token"] is not None else None)
    case.is_undone_partly = row["undone_partly"]
    if row["undone"]:
        # Its reversal came first: together they come to nothing.
        case.refusal = Action.NO_LIABILITY if asked.request.is_advice else Action.DO_NOT_HONOUR
    return case


def _stored_answer(asked: Asked, row: asyncpg.Record) -> Answer:
    if row["stored_fingerprint"].hex != asked.request.fingerprint:
        return DUPLICATE
    action_code, extra = row["stored_action_code"], json.loads(row["stored_answer"])
    if asked.request.is_advice and action_code >= Action.DO_NOT_HONOUR:
        # The bank itself has refused this very payment: whoever approved it since did so at its own risk.
        return Answer(Action.NO_LIABILITY)
    return Answer(action_code, {int(number): text for number, text in extra.items()})


def _card_state(row: asyncpg.Record) -> CardState:
    return CardState(
        card_token=row["card_token"],
        account_id=row["account_id"],
        product=row["product"],
        expiry=row["expiry"],
        status=row["status"],
        status_reason=row["status_reason"],
        services=row["services"],
        payment_limit_minor=row["payment_limit_minor"],
        day_limit_minor=row["day_limit_minor"],
        day_limit_count=row["day_limit_count"],
        hour_limit_count=row["hour_limit_count"],
        has_pin=row["pin_reference"] is not None,
        pin_tries=row["pin_tries"],
        currency=row["currency"],
        account_status=row["account_status"],
        day_count=row["day_count"],
        day_minor=row["day_minor"],
        hour_count=row["hour_count"],
        countries=frozenset(row["countries"] or ()),
    )


def _answer_of(case: _Case) -> Answer:
    if case.answer is not None:
        return case.answer
    request = case.asked.request
    extra = {37: request.rrn}
    if case.refusal is not None:
        return Answer(case.refusal, extra)
    if case.approval_code:
        extra[38] = case.approval_code
    if request.transaction_type == CASH and case.available_minor is not None and case.card is not None:
        extra[54] = available_balance(case.available_minor, currency_by_code(case.card.currency).numeric)
    return Answer(Action.APPROVED, extra)


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
