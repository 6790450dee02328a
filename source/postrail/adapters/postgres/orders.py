"""Posting orders as the parallel arrays that `ledger.post` takes, one call for a batch of any size."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from postrail.adapters.postgres.waves import split_into_waves
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.hold import is_hold_id
from postrail.domain.iso4217 import UnknownCurrency, currency_by_code
from postrail.domain.posting import Direction, Posting, check_balanced
from postrail.ports import PostingOrder

BIGINT_MAX = 2**63 - 1
"""Largest amount of one leg, in minor units: what PostgreSQL keeps in eight bytes."""

LEGS_MAX: Final = 62
"""Most legs of one transaction: the database checks their numbers as the bits of a bigint."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UUID_AT: Final = 4
"""Ids are a prefix of three letters, an underscore, and a uuid in hex; the ledger keeps the uuid."""


def waves(orders: Sequence[PostingOrder]) -> list[list[int]]:
    """Places of orders in groups that repeat no payment key and no sequence; later ones of a kind in later groups."""
    keys = {order.posting.payment_key for order in orders}
    sequences = {order.posting.sequence_id for order in orders}
    if len(keys) == len(sequences) == len(orders):
        # nearly always
        return [list(range(len(orders)))] if orders else []
    return split_into_waves(
        [(f"key {order.posting.payment_key}", f"sequence {order.posting.sequence_id}") for order in orders]
    )


def posting_columns(
    orders: Sequence[PostingOrder],
    refusals: Mapping[int, tuple[str, str]],
    kind: str,
    correlation_id: str | None,
) -> list[object]:
    """The arguments of `ledger.post`. `refusals` holds reason and detail by order number, from 1.

    Orders that are wrong in themselves are added to the refusals, with UNBALANCED, INVALID_AMOUNT, AMOUNT_OVERFLOW,
    UNKNOWN_CURRENCY or INVALID_VALUE (ids that the ledger cannot keep, more legs than LEGS_MAX).
    """
    refused = dict(refusals)
    accounts: dict[tuple[str, str], int] = {}
    order_no: list[int] = []
    leg_no: list[int] = []
    account: list[int] = []
    amount_minor: list[int] = []
    debit = Direction.DEBIT
    for number, order in enumerate(orders, start=1):
        legs = order.posting.legs
        own = _own_refusal(order.posting) or _foreign_hold(order.hold_id)
        if own is not None:
            refused.setdefault(number, (own.reason.value, own.detail))
        if number in refused:
            continue
        for leg_number, leg in enumerate(legs, start=1):
            order_no.append(number)
            leg_no.append(leg_number)
            account.append(accounts.setdefault((leg.account_id, leg.currency), len(accounts) + 1))
            amount_minor.append(-leg.amount_minor if leg.direction is debit else leg.amount_minor)
    postings = [order.posting for order in orders]
    # A refused order writes nothing, and what is wrong with it must not spoil the call for its neighbours.
    kept = [None if number in refused else posting for number, posting in enumerate(postings, start=1)]
    held = any(order.hold_id is not None for order in orders)
    return [
        kind,
        correlation_id,
        [posting and posting.transaction_id[_UUID_AT:] for posting in kept],
        [posting and posting.payment_id[_UUID_AT:] for posting in kept],
        [posting and posting.sequence_id[_UUID_AT:] for posting in kept],
        [posting.payment_key for posting in postings],
        [posting.fingerprint for posting in postings],
        [posting.description for posting in postings],
        [_EPOCH + timedelta(microseconds=posting.occurred_at_us) for posting in postings],
        [posting and len(posting.legs) for posting in kept],
        None,
        [
            order.hold_id[_UUID_AT:] if posting and order.hold_id else None
            for order, posting in zip(orders, kept, strict=True)
        ]
        if held
        else None,
        [order.final_capture for order in orders] if held else None,
        list(refused),
        [reason for reason, _ in refused.values()],
        [detail for _, detail in refused.values()],
        [account_id for account_id, _ in accounts],
        [_currency_no(currency) for _, currency in accounts],
        order_no,
        leg_no,
        account,
        amount_minor,
        [order.owed for order in orders] if any(order.owed for order in orders) else None,
    ]


@lru_cache(maxsize=512)
def _currency_no(currency: str) -> int:
    return int(currency_by_code(currency).numeric)


def _own_refusal(posting: Posting) -> Permanent | None:
    """What is wrong with the legs themselves, before the database is asked. The usual pair of legs is seen at once."""
    legs = posting.legs
    sums: dict[str, int] = {}
    sound = len(legs) > 1
    for leg in legs:
        amount = leg.amount_minor
        if amount <= 0 or amount > BIGINT_MAX:
            sound = False
        sums[leg.currency] = sums.get(leg.currency, 0) + (amount if leg.direction is Direction.CREDIT else -amount)
    if sound and not any(sums.values()):
        return _unkeepable(posting, sums)
    try:
        check_balanced(legs)
    except Permanent as refusal:
        return refusal
    return Permanent(ReasonCode.AMOUNT_OVERFLOW, "the amount of a leg does not fit the ledger")


def _foreign_hold(hold_id: str | None) -> Permanent | None:
    if hold_id is None or is_hold_id(hold_id):
        return None
    return Permanent(ReasonCode.HOLD_NOT_FOUND, f"{hold_id!r} is no id of a hold")


def _unkeepable(posting: Posting, currencies: Iterable[str]) -> Permanent | None:
    """What the ledger has no room for in a posting whose legs are sound: many legs, a foreign id, a lost currency."""
    if len(posting.legs) > LEGS_MAX:
        return Permanent(ReasonCode.INVALID_VALUE, f"a posting has at most {LEGS_MAX} legs, not {len(posting.legs)}")
    if not (posting.payment_id.startswith("pay_") and posting.sequence_id.startswith("seq_")):
        # Other prefixes would come back from the journal as these.
        return Permanent(ReasonCode.INVALID_VALUE, f"not pay_ and seq_: {posting.payment_id}, {posting.sequence_id}")
    for currency in currencies:
        try:
            _currency_no(currency)
        except UnknownCurrency:
            return Permanent(ReasonCode.UNKNOWN_CURRENCY, f"{currency} is no active ISO 4217 currency")
    return None
