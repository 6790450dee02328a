"""An in-memory ledger that keeps the promises of `ports.Ledger`: transactions, refusals, sequences, outbox.

Every session works on a copy of the state; leaving it without an exception makes the copy the state, and an
exception throws it away.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from postrail.contracts.events import Event, PostingRequested
from postrail.domain.errors import ReasonCode, Retryable
from postrail.domain.ledger import AccountSpec, AccountStatus
from postrail.domain.posting import Direction, Leg, Posting, check_balanced
from postrail.ports import CompleteSequence, LedgerSession, PostingOrder, PostResult, PostStatus

BALANCE_MAX = 2**63 - 1

Part = Event[PostingRequested]


@dataclass
class FakeSequence:
    """What the ledger knows of one posting sequence."""

    identity: tuple[int, str, str, str]
    """Total, payment id, payment key, fingerprint."""
    parts: dict[int, Part] = field(default_factory=dict)
    status: str = "waiting"
    reason: ReasonCode | None = None
    detail: str = ""


@dataclass
class _State:
    accounts: dict[str, AccountSpec] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, FakeSequence] = field(default_factory=dict)
    transactions: dict[str, Posting] = field(default_factory=dict)
    transaction_by_key: dict[str, str] = field(default_factory=dict)
    posting_inputs: dict[str, bytes] = field(default_factory=dict)
    orders: dict[str, PostingOrder] = field(default_factory=dict)
    outbox: list[Event[Any]] = field(default_factory=list)

    def copied(self) -> "_State":
        """A copy that can change without this one: its contents are frozen but for sequences."""
        return _State(
            **{name: copy.copy(value) for name, value in vars(self).items() if name != "sequences"},
            sequences={
                sequence_id: replace(sequence, parts=dict(sequence.parts))
                for sequence_id, sequence in self.sequences.items()
            },
        )


class FakeLedger:
    """`ports.Ledger` in memory. `state` is what has been committed."""

    def __init__(self, accounts: Iterable[AccountSpec] = ()) -> None:
        self.state = _State()
        for account in accounts:
            self.state.accounts[account.account_id] = account
            self.state.balances[account.account_id] = 0
        self.fail_next_commit = False

    @contextmanager
    def session(self) -> Iterator[LedgerSession]:
        """One transaction: commits when left without an exception."""
        session = _FakeSession(self.state.copied())
        yield session
        if self.fail_next_commit:
            self.fail_next_commit = False
            raise Retryable("the connection was cut before the commit")
        self.state = session.state

    def sums_by_currency(self) -> dict[str, int]:
        """All balances added up; zero in each currency of a sound ledger."""
        sums: dict[str, int] = {}
        for account_id, balance in self.state.balances.items():
            currency = self.state.accounts[account_id].currency
            sums[currency] = sums.get(currency, 0) + balance
        return sums


class _FakeSession:
    def __init__(self, state: _State) -> None:
        self.state = state
        self._inconsistent: list[Part] = []

    def receive_parts(self, parts: Sequence[Part]) -> list[CompleteSequence]:
        for part in parts:
            self._receive(part)
        touched = sorted({part.data.sequence_id for part in parts})
        return [
            CompleteSequence(sequence_id, tuple(sequence.parts[index] for index in sorted(sequence.parts)))
            for sequence_id in touched
            if (sequence := self.state.sequences[sequence_id]).status == "waiting"
            and len(sequence.parts) == sequence.identity[0]
        ]

    def _receive(self, part: Part) -> None:
        data = part.data
        identity = (data.total, data.payment_id, data.payment_key, data.fingerprint)
        sequence = self.state.sequences.setdefault(data.sequence_id, FakeSequence(identity))
        kept = sequence.parts.get(data.index)
        contradicts = sequence.identity != identity or (kept is not None and kept.data.part != data.part)
        if sequence.status != "waiting":
            return
        if contradicts:
            detail = "a part contradicts the parts that came before it"
            self.refuse(data.sequence_id, ReasonCode.SEQUENCE_INCONSISTENT, detail)
            self._inconsistent.append(part)
        elif kept is None:
            sequence.parts[data.index] = part

    def inconsistent(self) -> list[Part]:
        return list(self._inconsistent)

    def post(self, orders: Sequence[PostingOrder]) -> list[PostResult]:
        return [self._post_one(order) for order in orders]

    def _post_one(self, order: PostingOrder) -> PostResult:
        posting = order.posting
        check_balanced(posting.legs)
        standing = self.state.transaction_by_key.get(posting.payment_key)
        refusal = self._refusal(posting, standing)
        if refusal is not None:
            reason, detail = refusal
            self.refuse(posting.sequence_id, reason, detail)
            return PostResult(
                posting.sequence_id, PostStatus.REFUSED, standing or posting.transaction_id, reason, detail
            )
        for leg in posting.legs:
            self.state.balances[leg.account_id] += leg.direction.signed(leg.amount_minor)
        self.state.transactions[posting.transaction_id] = posting
        self.state.transaction_by_key[posting.payment_key] = posting.transaction_id
        self.state.posting_inputs[posting.transaction_id] = order.posting_input
        self.state.orders[posting.transaction_id] = order
        self.state.sequences[posting.sequence_id].status = "posted"
        return PostResult(posting.sequence_id, PostStatus.POSTED, posting.transaction_id)

    def _refusal(self, posting: Posting, standing: str | None) -> tuple[ReasonCode, str] | None:
        if standing is not None:
            same = self.state.transactions[standing].fingerprint == posting.fingerprint
            reason = ReasonCode.ALREADY_POSTED if same else ReasonCode.POSTING_CONFLICT
            return reason, f"the payment key is posted by {standing}"
        return next((fault for leg in posting.legs if (fault := self._fault(leg)) is not None), None)

    def _fault(self, leg: Leg) -> tuple[ReasonCode, str] | None:
        account = self.state.accounts.get(leg.account_id)
        if account is None:
            return ReasonCode.ACCOUNT_NOT_FOUND, f"the ledger has no account {leg.account_id}"
        if account.currency != leg.currency:
            return ReasonCode.CURRENCY_MISMATCH, f"account {leg.account_id} is kept in {account.currency}"
        frozen_debit = account.status is AccountStatus.FROZEN and leg.direction is Direction.DEBIT
        if account.status is AccountStatus.CLOSED or frozen_debit:
            return ReasonCode.ACCOUNT_NOT_OPEN, f"account {leg.account_id} is {account.status}"
        after = self.state.balances[leg.account_id] + leg.direction.signed(leg.amount_minor)
        if abs(after) > BALANCE_MAX:
            return ReasonCode.AMOUNT_OVERFLOW, f"the balance of {leg.account_id} would leave its range"
        return None

    def refuse(self, sequence_id: str, reason: ReasonCode, detail: str) -> None:
        sequence = self.state.sequences[sequence_id]
        if sequence.status == "waiting":
            sequence.status, sequence.reason, sequence.detail = "refused", reason, detail

    def enqueue(self, events: Sequence[Event[Any]]) -> None:
        self.state.outbox = [*self.state.outbox, *events]
