"""What the issuing bank and the journal's reversals know of one payment, for `postrail trace`.

There is no card data in it: the bank keeps a card as its token, and the answer it gave is not shown.
"""

from dataclasses import dataclass
from datetime import datetime

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements

_SQL = statements("switch_trace.sql")


@dataclass(frozen=True, slots=True)
class AuthorizationTrace:
    """The issuer's decision on a payment.

    Amounts are minor units: `amount_minor` and `reversed_minor` of `currency`, `held_minor` of the account's
    `held_currency`. `message_type`, `function_code`, `transaction_type`, `action_code` and `approval_code` are as in
    ISO 8583:1993 (MTI, DE 24, DE 3 positions 1-2, DE 39, DE 38). `original` is the pre-authorisation that a completion
    completes.
    """

    message_type: str
    function_code: str
    transaction_type: str
    action_code: str
    approval_code: str | None
    amount_minor: int
    currency: str
    held_minor: int | None
    held_currency: str | None
    hold_id: str | None
    hold_status: str | None
    reversed_minor: int
    decided_at: datetime
    original: str | None


@dataclass(frozen=True, slots=True)
class ReversalTrace:
    """A reversal message that the issuer received: `amount_minor` None asks for all, `reason` is DE 25."""

    amount_minor: int | None
    reason: str
    status: str
    transaction_id: str | None
    received_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A journal transaction that takes the payment's posting back."""

    transaction_id: str
    reverses: str
    description: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class SwitchTrace:
    """All of it; empty for a payment that came past the switch and was not taken back."""

    authorization: AuthorizationTrace | None = None
    reversals: tuple[ReversalTrace, ...] = ()
    taken_back: tuple[TakenBack, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.authorization or self.reversals or self.taken_back)


def trace_switch(database: Database, payment_id: str) -> SwitchTrace:
    """What is known of a payment; `payment_id` may be any text. Raises Retryable."""
    decided = database.fetch_one(_SQL["authorization"], payment_id)
    return SwitchTrace(
        authorization=AuthorizationTrace(**dict(decided)) if decided else None,
        reversals=tuple(ReversalTrace(**dict(row)) for row in database.fetch(_SQL["reversals"], payment_id)),
        taken_back=tuple(TakenBack(**dict(row)) for row in database.fetch(_SQL["taken_back"], payment_id)),
    )
