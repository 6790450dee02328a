"""Everything that can happen to payments, at random, beside a model that is small enough to be believed.

After each step the account's total and held balance are the model's; at the end the ledger proves itself.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.integration.switch.bank.bank_stage import (
    Books,
    Terminal,
    advice,
    build_bank,
    completion,
    issue_cards,
    partial_reversal,
    pre_authorisation,
    purchase,
    refund,
    repeated,
    reversal,
)
from tests.integration.switch.bank.pipeline import differences, post_items

from switch.bank.policy import BankPolicy
from switch.iso8583.message import Message

OPENING = 20_000
MAKERS = {"purchase": purchase, "refund": refund, "advice": advice, "pre_authorisation": pre_authorisation}


@dataclass(eq=False)
class Payment:
    """One payment as the model sees it. `hold` is none, active, captured, released or expired."""

    kind: str
    message: Message
    amount: int
    approved: bool
    hold: str
    held: int
    is_due: bool = True
    posted: bool = False
    undone: int = 0
    waiting: int = 0
    settled: int = 0
    completed_by: "Payment | None" = None
    completes: "Payment | None" = None

    @property
    def holder(self) -> "Payment":
        """Whose hold it is: a completion has that of its pre-authorisation."""
        return self.completes or self

    @property
    def left(self) -> int:
        return self.amount - self.undone

    @property
    def sign(self) -> int:
        return 1 if self.kind == "refund" else -1


@dataclass
class Model:
    """The account, and every payment."""

    total: int = OPENING
    payments: list[Payment] = field(default_factory=list)

    @property
    def held(self) -> int:
        return sum(payment.held for payment in self.payments)

    def ask(self, kind: str, amount: int, message: Message) -> tuple[str, Payment]:
        fits = self.total - self.held >= amount
        holds = kind != "refund" and fits
        approved = fits or kind in {"refund", "advice"}
        payment = Payment(
            kind,
            message,
            amount,
            approved,
            hold="active" if holds else "none",
            held=amount if holds else 0,
            is_due=kind != "pre_authorisation",
        )
        self.payments.append(payment)
        return "000" if approved else "116", payment

    def complete(self, original: Payment, amount: int, message: Message) -> str:
        left = original.left
        owed = (
            original.approved
            and original.kind == "pre_authorisation"
            and original.completed_by is None
            and amount <= left + left * 2_000 // 10_000
        )
        if not owed:
            return "900"
        done = Payment("completion", message, amount, True, hold="none", held=0, completes=original)
        original.completed_by = done
        self.payments.append(done)
        return "000"

    def reverse(self, named: Payment, asked: int | None) -> None:
        target = named.completed_by or named
        undo = target.left if asked is None else min(asked, target.left)
        if not named.approved or undo == 0:
            return
        target.undone += undo
        holder = target.holder
        is_open = named.kind == "pre_authorisation" and named.completed_by is None
        if target.left == 0 and holder.hold == "active":
            holder.hold, holder.held, target.waiting = "released", 0, 0
        elif is_open:
            holder.held -= undo if holder.hold == "active" else 0
        else:
            target.waiting += undo

    def post(self, payment: Payment) -> None:
        payment.is_due = False
        holder = payment.holder
        if holder.hold == "released":
            return
        payment.posted = True
        self.total += payment.sign * payment.amount
        if holder.hold == "active":
            holder.hold, holder.held = "captured", 0

    def settle(self) -> None:
        for payment in self.payments:
            if payment.posted:
                self.total -= payment.sign * payment.waiting
                payment.waiting = 0

    def expire(self) -> None:
        for payment in self.payments:
            if payment.hold == "active":
                payment.hold, payment.held = "expired", 0


class BankMachine(RuleBasedStateMachine):
    """The bank on a real database, and the model beside it."""

    dsn = ""
    payments = Bundle("payments")
    reversals = Bundle("reversals")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        # Nothing settles by itself: the machine says when.
        self.bank = build_bank(self.dsn, policy=BankPolicy(settle_seconds=3_600, linger_ms=0))
        self.bank._settler.start = self.bank._settler.wake = lambda: None  # type: ignore[method-assign]
        self.terminal = Terminal(self.bank)
        self.runner.run(self.bank.start())
        self.books = Books(self.dsn)
        self.model = Model()

    @initialize()
    def issue(self) -> None:
        (self.card,) = issue_cards(self.dsn, balance_minor=OPENING)

    def teardown(self) -> None:
        self.runner.run(self.bank.stop())
        self.runner.close()
        assert differences(self.dsn) == []

    def ask(self, message: Message) -> str:
        code: str = self.runner.run(self.terminal.ask(message))[39]
        return code

    def check(self) -> None:
        assert self.books.standing(self.card) == (self.model.total, self.model.held)

    @rule(target=payments, kind=st.sampled_from(sorted(MAKERS)), amount=st.integers(1, 12_000))
    def pay(self, kind: str, amount: int) -> Any:
        message = MAKERS[kind](self.card, amount)
        expected, payment = self.model.ask(kind, amount, message)
        assert self.ask(message) == expected
        self.check()
        return multiple(payment)

    @rule(payment=payments)
    def repeat(self, payment: Payment) -> None:
        assert self.ask(repeated(payment.message)) == ("000" if payment.approved else "116")
        self.check()

    @rule(payment=payments, amount=st.integers(1, 14_000))
    def complete(self, payment: Payment, amount: int) -> None:
        message = completion(payment.message, amount)
        expected = self.model.complete(payment, amount, message)
        assert self.ask(message) == expected
        assert self.ask(repeated(message)) == expected
        self.check()

    @rule(target=reversals, payment=payments, part=st.none() | st.integers(1, 6_000))
    def reverse(self, payment: Payment, part: int | None) -> Any:
        if part is None or part >= payment.amount:
            message = reversal(payment.message)
            self.model.reverse(payment, None)
        else:
            message = partial_reversal(payment.message, part)
            self.model.reverse(payment, part)
        assert self.ask(message) == "400"
        self.check()
        return multiple(message)

    @rule(message=reversals)
    def reverse_again(self, message: Message) -> None:
        assert self.ask(repeated(message)) == "400"
        self.check()

    @precondition(lambda self: any(each.is_due and each.approved for each in self.model.payments))
    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        due = [each for each in self.model.payments if each.is_due and each.approved]
        payment = data.draw(st.sampled_from(due))
        stan = payment.message[11]
        (item,) = [item for item in self.books.items() if f'"stan":"{stan}"' in item["authorization"]]
        self.model.post(payment)
        report = post_items(self.dsn, [item], [self.card])
        assert bool(report.posted) == payment.posted
        self.check()

    @rule()
    def settle(self) -> None:
        self.books.execute("UPDATE bank.reversals SET look_again_at = now() - interval '1 minute'")
        self.runner.run(self.bank._settler.settle_due())
        self.model.settle()
        self.check()

    @rule()
    def expire(self) -> None:
        self.books.rows("SELECT * FROM ledger.expire_holds(1000, now() + interval '1 year')")
        self.model.expire()
        self.check()


def test_random_lives_of_payments_agree_with_the_model(postgres_dsn: str) -> None:
    """Payments, copies, completions, reversals whole and partial, postings, settlements, expiries, in any order."""
    machine = type("Machine", (BankMachine,), {"dsn": postgres_dsn})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
