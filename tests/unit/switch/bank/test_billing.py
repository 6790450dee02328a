"""What a payment costs the account, where the rates come from, and what is turned back of it in parts."""

import asyncio
import itertools
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.payments import (
    make_account_details,
    make_approved,
    make_authorization,
    make_billing,
    make_enrichment,
)

from postrail.domain.errors import Retryable
from postrail.ports import ExchangeRate
from postrail.products import load_products
from postrail.settings import Settings
from postrail.stages.sequence_postings import sequence_postings
from switch.bank.billing import Bill, Biller, RateBook
from switch.bank.settle import _adjustment

PRODUCTS = load_products(Settings().resolved_config_dir() / "products" / "default.yaml")
RATE = ExchangeRate("EUR", "GBP", Decimal("0.86"), date(2026, 1, 2), "test rates")


class Reference:
    """Rates that can change, and be away."""

    def __init__(self) -> None:
        self.rate = RATE
        self.away = False
        self.asked = 0

    def accounts_by_token(self, tokens: Any) -> Any:
        return {}

    def rates(self, pairs: Any) -> Any:
        self.asked += 1
        if self.away:
            raise Retryable("away")
        return {("EUR", "GBP"): self.rate} if ("EUR", "GBP") in pairs else {}


def biller(reference: Reference) -> Biller:
    rates = RateBook(reference, refresh_seconds=60)
    asyncio.run(rates.learn([("EUR", "GBP"), ("JPY", "GBP")]))
    return Biller(PRODUCTS, rates)


@given(
    amount=st.integers(2, 10**9),
    code=st.sampled_from(["00", "01", "20"]),
    currency=st.sampled_from(["GBP", "EUR"]),
    product=st.sampled_from(["debit-standard", "debit-premium", "credit-classic"]),
)
def test_what_is_held_is_what_will_be_posted(amount: int, code: str, currency: str, product: str) -> None:
    """The debits of the customer's account in the posting sequence of the same payment, to the unit."""
    bill = biller(Reference()).bill(amount, currency, code, target="GBP", product=product)
    assert bill is not None
    payment = make_approved(
        make_authorization(amount_minor=amount, currency=currency, transaction_type=code),
        enrichment=make_enrichment(
            account=make_account_details(product=product), billing=make_billing(amount_minor=bill.billed_minor)
        ),
    )
    (parts,) = sequence_postings([payment], products=PRODUCTS)
    assert isinstance(parts, list)
    legs = [leg for part in parts for leg in part.part.legs if leg.account_id == "customer:000001:gbp"]
    assert bill.debited_minor == sum(leg.amount_minor for leg in legs if leg.direction == "debit")


def test_what_could_not_be_posted_has_no_bill() -> None:
    """No rate, no plan for the type, an unknown product, an amount that converts to nothing."""
    bill = biller(Reference()).bill
    assert bill(100, "JPY", "00", target="GBP", product="debit-standard") is None
    assert bill(100, "GBP", "31", target="GBP", product="debit-standard") is None
    assert bill(100, "GBP", "00", target="GBP", product="unheard-of") is None
    assert bill(100, "GBP", "00", target="GBP", product="debit-standard") == Bill(100, 100)


def test_an_old_rate_serves_until_a_newer_one_is_there() -> None:
    """It is asked for in the background, and stays when the reference is away."""
    reference, now = Reference(), [0.0]

    async def run() -> None:
        rates = RateBook(reference, refresh_seconds=60, monotonic=lambda: now[0])
        assert not rates.is_known("EUR", "GBP")
        await rates.learn([("EUR", "GBP")])
        reference.rate = ExchangeRate("EUR", "GBP", Decimal("0.90"), date(2026, 1, 3), "test rates")
        reference.away, now[0] = True, 61.0
        assert rates.is_known("EUR", "GBP")
        await _settled(rates)
        assert rates.find("EUR", "GBP") == RATE
        reference.away, now[0] = False, 122.0
        assert rates.is_known("EUR", "GBP")
        await _settled(rates)
        assert rates.find("EUR", "GBP") == reference.rate
        assert reference.asked == 3

    asyncio.run(run())


async def _settled(rates: RateBook) -> None:
    await asyncio.gather(*rates._asking)


def test_rates_that_cannot_be_asked_for_the_first_time_are_an_error() -> None:
    """And are asked for again the next time."""
    reference = Reference()
    reference.away = True
    rates = RateBook(reference, refresh_seconds=60)
    with pytest.raises(Retryable):
        asyncio.run(rates.learn([("EUR", "GBP")]))
    assert not rates.is_known("EUR", "GBP")


@given(
    legs=st.lists(st.integers(1, 10**9), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 10_000), max_size=5),
    amount=st.integers(1, 10_000),
)
def test_parts_turn_back_all_of_every_leg_and_stay_balanced(legs: list[int], cuts: list[int], amount: int) -> None:
    """However a payment is cut up: each part sums to zero, no part goes the wrong way, and together they are all."""
    stations = [0, *sorted(min(cut, amount) for cut in cuts), amount]
    both = [signed for leg in legs for signed in (-leg, leg)]
    moved = [0] * len(both)
    for before, after in itertools.pairwise(stations):
        part = [_adjustment(leg, before, after, amount) for leg in both]
        assert sum(part) == 0
        assert all(one * leg <= 0 for one, leg in zip(part, both, strict=True))
        moved = [total + one for total, one in zip(moved, part, strict=True)]
    assert moved == [-leg for leg in both]
