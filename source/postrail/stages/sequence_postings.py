"""sequence_postings: the account interface. One approved payment becomes 1..n balanced pairs of legs.

A purchase debits the customer (a liability of the bank shrinks) and credits the scheme's settlement account. The
whole sequence is a function of the payment and the product book: a payment that comes again yields the same
sequence id, the same parts and the same indexes, which is what makes it harmless.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from postrail.contracts.base import trusted
from postrail.contracts.events import PaymentApproved, PaymentRejected, PostingRequested
from postrail.contracts.payment import LegData, PartData
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountType, account_id_of
from postrail.domain.money import Money
from postrail.domain.posting import Direction, PartKind
from postrail.products import ProductBook

STAGE: Final = "sequence_postings"
"""Name of this stage in the events that it refuses with."""
_REASON_CHARS_MAX: Final = 140
# The bank's own accounts: a few for each currency.
_bank_account: Final = lru_cache(maxsize=1024)(account_id_of)


def sequence_postings(
    payments: Sequence[PaymentApproved], *, products: ProductBook
) -> list[list[PostingRequested] | PaymentRejected]:
    """The posting sequence of each payment, or its refusal with NO_POSTING_PLAN; outcomes align with payments."""
    return [_sequence_or_refusal(payment, products) for payment in payments]


def sequence_id_of(payment_id: str) -> str:
    """The sequence of a payment has the payment's own UUID: `pay_0197…` is posted by `seq_0197…`."""
    return f"seq_{payment_id.rpartition('_')[2]}"


def amount_debited(billed: Money, *, transaction_type: str, currency: str, product: str, products: ProductBook) -> int:
    """What the posting of such a payment will take from the customer's account: fees included, 0 for a refund.

    `billed` is the amount in the account's currency, `currency` that of the transaction; the answer is in minor units
    of the former. For whoever must hold the money beforehand. Raises Permanent as the posting would be refused:
    NO_POSTING_PLAN, INVALID_AMOUNT.
    """
    customer = "customer"
    movements = _movements_of(billed, transaction_type, currency, customer, product, products)
    return sum(one.amount_minor for one in movements if one.payer == customer)


def _sequence_or_refusal(payment: PaymentApproved, products: ProductBook) -> list[PostingRequested] | PaymentRejected:
    try:
        movements = _movements(payment, products)
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
    currency = payment.enrichment.billing.currency
    return [
        # Built from values that were validated with the payment or are checked with its movements.
        trusted(
            PostingRequested,
            {
                "payment_id": payment_id,
                "sequence_id": sequence_id_of(payment_id),
                "index": index,
                "total": len(movements),
                "payment_key": payment.payment_key,
                "fingerprint": payment.fingerprint,
                "part": _part(movement, currency),
                "booking": payment if index == 1 else None,
            },
        )
        for index, movement in enumerate(movements, start=1)
    ]


class _Movement(NamedTuple):
    """`amount_minor` > 0 minor units that leave `payer` (a debit) and reach `payee` (a credit)."""

    kind: PartKind
    payer: str
    payee: str
    amount_minor: int


def _movements(payment: PaymentApproved, products: ProductBook) -> list[_Movement]:
    """What moves for a payment, principal first; raises as `_movements_of` does."""
    account, billing, authorization = payment.enrichment.account, payment.enrichment.billing, payment.authorization
    billed = Money(billing.amount_minor, billing.currency)
    return _movements_of(
        billed, authorization.transaction_type, authorization.currency, account.account_id, account.product, products
    )


def _movements_of(
    billed: Money, code: str, currency: str, customer: str, product_name: str, products: ProductBook
) -> list[_Movement]:
    """What moves, principal first. `code` is DE 3 positions 1-2, `currency` that of the transaction.

    Raises Permanent: NO_POSTING_PLAN for what the product book does not know, INVALID_AMOUNT for a billed amount that
    is not positive.
    """
    types = products.transaction_types
    product = products.product(product_name)
    settlement = _bank_account(AccountType.SETTLEMENT, "scheme", billed.currency)

    if billed.amount_minor <= 0:
        raise Permanent(ReasonCode.INVALID_AMOUNT, f"leg on {customer} has amount {billed.amount_minor}")
    if code in types.refund:
        return [_Movement(PartKind.PRINCIPAL, settlement, customer, billed.amount_minor)]
    if code not in types.purchase and code not in types.cash:
        raise Permanent(ReasonCode.NO_POSTING_PLAN, f"transaction type {code} has no posting plan")
    movements = [_Movement(PartKind.PRINCIPAL, customer, settlement, billed.amount_minor)]
    if product.fx_markup and currency != billed.currency:
        markup = product.fx_markup.of(billed)
        movements.append(_Movement(PartKind.FX_MARKUP, customer, _income("fx-markup", billed.currency), markup))
    if product.cash_fee and code in types.cash:
        fee = product.cash_fee.of(billed)
        movements.append(_Movement(PartKind.CASH_FEE, customer, _income("cash-fee", billed.currency), fee))
    if product.interchange and code in types.purchase:
        share = product.interchange.of(billed)
        movements.append(_Movement(PartKind.INTERCHANGE, settlement, _income("interchange", billed.currency), share))
    # An amount that rounded to zero does not move.
    return movements if len(movements) == 1 else [one for one in movements if one.amount_minor > 0]


def _income(name: str, currency: str) -> str:
    return _bank_account(AccountType.INCOME, name, currency)


def _part(movement: _Movement, currency: str) -> PartData:
    """A debit and a credit of one amount: balanced by how they are made."""
    kind, payer, payee, amount_minor = movement
    debit = {"account_id": payer, "direction": Direction.DEBIT, "amount_minor": amount_minor, "currency": currency}
    credit = {"account_id": payee, "direction": Direction.CREDIT, "amount_minor": amount_minor, "currency": currency}
    return trusted(PartData, {"kind": kind, "legs": (trusted(LegData, debit), trusted(LegData, credit))})
