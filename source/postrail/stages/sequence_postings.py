"""sequence_postings: the account interface. One approved payment becomes 1..n balanced pairs of legs.

A purchase debits the customer (a liability of the bank shrinks) and credits the scheme's settlement account. The
whole sequence is a function of the payment and the product book: a payment that comes again yields the same
sequence id, the same parts and the same indexes, which is what makes it harmless.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from postrail.contracts.events import PaymentApproved, PaymentRejected, PostingRequested
from postrail.contracts.payment import LegData, PartData
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountType, account_id_of
from postrail.domain.money import Money
from postrail.domain.posting import Leg, PartKind, check_balanced, pair
from postrail.products import ProductBook

STAGE: Final = "sequence_postings"
"""Name of this stage in the events that it refuses with."""
_REASON_CHARS_MAX: Final = 140


def sequence_postings(
    payments: Sequence[PaymentApproved], *, products: ProductBook
) -> list[list[PostingRequested] | PaymentRejected]:
    """The posting sequence of each payment, or its refusal with NO_POSTING_PLAN; outcomes align with payments."""
    return [_sequence_or_refusal(payment, products) for payment in payments]


def sequence_id_of(payment_id: str) -> str:
    """The sequence of a payment has the payment's own UUID: `pay_0197…` is posted by `seq_0197…`."""
    return f"seq_{payment_id.rpartition('_')[2]}"


def _sequence_or_refusal(payment: PaymentApproved, products: ProductBook) -> list[PostingRequested] | PaymentRejected:
    try:
        movements = list(_movements(payment, products))
        for _, legs in movements:
            check_balanced(legs)
    except Permanent as refusal:
        return PaymentRejected(
            authorization=payment.authorization,
            payment_key=payment.payment_key,
            stage=STAGE,
            reason_code=refusal.reason,
            reason=refusal.detail[:_REASON_CHARS_MAX],
            decision=payment.decision,
        )
    payment_id = payment.authorization.payment_id
    return [
        # Built from parts that were validated with the payment or are checked above.
        PostingRequested.model_construct(
            payment_id=payment_id,
            sequence_id=sequence_id_of(payment_id),
            index=index,
            total=len(movements),
            payment_key=payment.payment_key,
            fingerprint=payment.fingerprint,
            part=PartData.model_construct(kind=kind, legs=tuple(map(_leg_data, legs))),
            booking=payment if index == 1 else None,
        )
        for index, (kind, legs) in enumerate(movements, start=1)
    ]


def _movements(payment: PaymentApproved, products: ProductBook) -> Iterator[tuple[PartKind, tuple[Leg, Leg]]]:
    """What moves, principal first. Raises Permanent(NO_POSTING_PLAN) for what the product book does not know."""
    account, billing = payment.enrichment.account, payment.enrichment.billing
    code, types = payment.authorization.transaction_type, products.transaction_types
    product = products.product(account.product)
    billed = Money(billing.amount_minor, billing.currency)
    customer = account.account_id
    settlement = account_id_of(AccountType.SETTLEMENT, "scheme", billed.currency)

    if code in types.refund:
        yield PartKind.PRINCIPAL, pair(settlement, customer, billed.amount_minor, billed.currency)
        return
    if code not in types.purchase and code not in types.cash:
        raise Permanent(ReasonCode.NO_POSTING_PLAN, f"transaction type {code} has no posting plan")
    yield PartKind.PRINCIPAL, pair(customer, settlement, billed.amount_minor, billed.currency)

    converted = payment.authorization.currency != billed.currency
    if product.fx_markup and converted:
        yield from _income(
            PartKind.FX_MARKUP, customer, "fx-markup", Money(product.fx_markup.of(billed), billed.currency)
        )
    if product.cash_fee and code in types.cash:
        yield from _income(PartKind.CASH_FEE, customer, "cash-fee", Money(product.cash_fee.of(billed), billed.currency))
    if product.interchange and code in types.purchase:
        share = Money(product.interchange.of(billed), billed.currency)
        yield from _income(PartKind.INTERCHANGE, settlement, "interchange", share)


def _income(kind: PartKind, payer: str, name: str, amount: Money) -> Iterator[tuple[PartKind, tuple[Leg, Leg]]]:
    """One movement into an income account; none when the amount rounded to zero."""
    if amount.amount_minor > 0:
        income = account_id_of(AccountType.INCOME, name, amount.currency)
        yield kind, pair(payer, income, amount.amount_minor, amount.currency)


def _leg_data(leg: Leg) -> LegData:
    return LegData.model_construct(
        account_id=leg.account_id, direction=leg.direction, amount_minor=leg.amount_minor, currency=leg.currency
    )
