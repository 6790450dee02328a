"""Enriching: accounts, conversion, merchants, statement lines, and the payments that cannot go on."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders.payments import (
    CARD_TOKEN,
    make_account_details,
    make_authorization,
    make_enriched,
    make_standardised,
)
from tests.builders.strategies import authorizations, currencies

from postrail.adapters.memory.books import MemoryReferenceBook
from postrail.contracts.events import PaymentEnriched, PaymentRejected, PaymentStandardised
from postrail.contracts.payment import AccountDetails, Authorization
from postrail.domain.errors import ReasonCode, Retryable
from postrail.domain.money import AMOUNT_MINOR_MAX, Money, Rounding, convert
from postrail.merchants import MerchantDirectory, load_merchants
from postrail.ports import ExchangeRate
from postrail.stages.enrich import enrich

REFERENCE_DIR = Path(__file__).resolve().parents[3] / "config" / "reference"
OTHER_TOKEN = "9999990000000002"
UNKNOWN_TOKEN = "9999990000000003"
DAY = date(2026, 10, 1)


@pytest.fixture(scope="module")
def merchants() -> MerchantDirectory:
    """The directory that is delivered."""
    return load_merchants(REFERENCE_DIR)


class CountingBook(MemoryReferenceBook):
    """Counts its calls and remembers what was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.token_calls: list[list[str]] = []
        self.pair_calls: list[list[tuple[str, str]]] = []

    def accounts_by_token(self, tokens: Sequence[str]) -> dict[str, AccountDetails]:
        self.token_calls.append(list(tokens))
        return super().accounts_by_token(tokens)

    def rates(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ExchangeRate]:
        self.pair_calls.append(list(pairs))
        return super().rates(pairs)


def rate(source: str, target: str, value: str, publisher: str = "issuer-daily") -> ExchangeRate:
    return ExchangeRate(source, target, Decimal(value), DAY, publisher)


def book(*rates: ExchangeRate, **account: Any) -> CountingBook:
    return CountingBook(
        {CARD_TOKEN: make_account_details(**account), OTHER_TOKEN: make_account_details(currency="EUR")},
        rates or [rate("EUR", "GBP", "0.8600")],
    )


def payment(**overrides: Any) -> PaymentStandardised:
    return make_standardised(make_authorization(**overrides))


def enriched_one(merchants: MerchantDirectory, reference: CountingBook, **overrides: Any) -> PaymentEnriched:
    (result,) = enrich([payment(**overrides)], reference=reference, merchants=merchants)
    assert isinstance(result, PaymentEnriched)
    return result


def rejected_one(merchants: MerchantDirectory, reference: CountingBook, **overrides: Any) -> PaymentRejected:
    (result,) = enrich([payment(**overrides)], reference=reference, merchants=merchants)
    assert isinstance(result, PaymentRejected)
    assert result.stage == "enrich"
    return result


def test_a_foreign_purchase_is_enriched_whole(merchants: MerchantDirectory) -> None:
    """Account, cleaned merchant, conversion with its provenance, statement line, and the completed message."""
    result = enriched_one(merchants, book())
    assert result.enrichment.account == make_account_details()
    assert result.enrichment.merchant.name == "Cafe Central"
    assert result.enrichment.merchant.category == "Fast food and cafes"
    assert result.enrichment.description == "Cafe Central, Paris (FR) 25.50 EUR @ 0.8600"
    billing = result.enrichment.billing
    assert (billing.amount_minor, billing.currency) == (2193, "GBP")
    assert (billing.rate, billing.rate_date, billing.rate_source) == ("0.8600", "2026-10-01", "issuer-daily")
    assert billing.rounding is Rounding.HALF_EVEN
    assert result.message == make_enriched(enrichment=result.enrichment).message


def test_a_payment_in_the_accounts_currency_is_not_converted(merchants: MerchantDirectory) -> None:
    """No rate is asked for, none is stored, and the statement line needs no original amount."""
    reference = book()
    result = enriched_one(merchants, reference, currency="GBP")
    billing = result.enrichment.billing
    assert (billing.amount_minor, billing.currency, billing.rate, billing.rounding) == (2550, "GBP", None, None)
    assert result.enrichment.description == "Cafe Central, Paris (FR)"
    assert reference.pair_calls == []


def test_a_batch_makes_one_call_for_accounts_and_one_for_rates(merchants: MerchantDirectory) -> None:
    """Each token and each pair is asked once, however often it occurs."""
    reference = book(rate("EUR", "GBP", "0.86"), rate("USD", "GBP", "0.77"))
    batch = [payment(), payment(), payment(currency="USD"), payment(card={"token": OTHER_TOKEN})]
    batch.append(payment(card={"token": UNKNOWN_TOKEN}))
    results = enrich(batch, reference=reference, merchants=merchants)
    assert reference.token_calls == [[CARD_TOKEN, OTHER_TOKEN, UNKNOWN_TOKEN]]
    assert reference.pair_calls == [[("EUR", "GBP"), ("USD", "GBP")]]
    assert [type(result).__name__ for result in results] == ["PaymentEnriched"] * 4 + ["PaymentRejected"]


def test_nothing_in_nothing_asked(merchants: MerchantDirectory) -> None:
    """An empty batch asks the book nothing."""
    reference = book()
    assert enrich([], reference=reference, merchants=merchants) == []
    assert reference.token_calls == []


def test_an_unknown_account_is_a_rejection(merchants: MerchantDirectory) -> None:
    """With a reason that does not repeat the token."""
    result = rejected_one(merchants, book(), card={"token": UNKNOWN_TOKEN})
    assert result.reason_code is ReasonCode.UNKNOWN_ACCOUNT
    assert UNKNOWN_TOKEN not in result.reason
    assert result.decision is None


def test_a_missing_rate_is_a_rejection_that_names_the_pair(merchants: MerchantDirectory) -> None:
    """From the transaction's to the account's currency."""
    result = rejected_one(merchants, book(), currency="ISK")
    assert result.reason_code is ReasonCode.NO_EXCHANGE_RATE
    assert result.reason == "no exchange rate from ISK to GBP"


@pytest.mark.parametrize("value", ["0", "-0.86", "NaN", "Infinity", "1E+12", "1E-13"])
def test_an_impossible_rate_is_no_rate(merchants: MerchantDirectory, value: str) -> None:
    """Zero, negative, infinite, or beyond what a stored rate can hold: refused, never used."""
    result = rejected_one(merchants, book(rate("EUR", "GBP", value)))
    assert result.reason_code is ReasonCode.NO_EXCHANGE_RATE


def test_a_rate_without_a_publisher_is_no_rate(merchants: MerchantDirectory) -> None:
    """Where a rate comes from is part of it."""
    assert rejected_one(merchants, book(rate("EUR", "GBP", "0.86", ""))).reason_code is ReasonCode.NO_EXCHANGE_RATE


def test_a_longer_rate_is_cut_to_what_is_stored(merchants: MerchantDirectory) -> None:
    """The stored rate is the rate that was used: converting again by it gives the same amount."""
    result = enriched_one(merchants, book(rate("EUR", "GBP", "0.1234567890125678")), amount_minor=AMOUNT_MINOR_MAX)
    billing = result.enrichment.billing
    assert billing.rate == "0.123456789013"
    again = convert(Money(AMOUNT_MINOR_MAX, "EUR"), "GBP", Decimal(billing.rate), Rounding.HALF_EVEN)
    assert again.amount_minor == billing.amount_minor


def test_less_than_a_minor_unit_is_an_invalid_amount(merchants: MerchantDirectory) -> None:
    """One Indonesian cent is no penny: nothing could be posted."""
    result = rejected_one(merchants, book(rate("IDR", "GBP", "0.000047")), currency="IDR", amount_minor=1)
    assert result.reason_code is ReasonCode.INVALID_AMOUNT
    assert result.reason == "0.01 IDR at 0.000047 is less than the smallest amount in GBP"


def test_more_than_a_payment_can_carry_is_an_invalid_amount(merchants: MerchantDirectory) -> None:
    """DE 4 has twelve digits; a conversion may not exceed what a message can say."""
    reference = book(rate("GBP", "JPY", "190"), currency="JPY")
    result = rejected_one(merchants, reference, currency="GBP", amount_minor=AMOUNT_MINOR_MAX)
    assert result.reason_code is ReasonCode.INVALID_AMOUNT
    assert "more than a payment can carry" in result.reason


@pytest.mark.parametrize(
    ("source", "target", "amount_minor", "value", "billed"),
    [
        ("JPY", "GBP", 1000, "0.0052", 520),
        ("KWD", "GBP", 1000, "2.51", 251),
        ("GBP", "JPY", 1000, "190", 1900),
        ("GBP", "KWD", 1000, "0.398", 3980),
        ("JPY", "KWD", 1000, "0.0021", 2100),
    ],
)
def test_exponents_of_both_currencies_count(
    merchants: MerchantDirectory, source: str, target: str, amount_minor: int, value: str, billed: int
) -> None:
    """JPY has no decimals, KWD has three."""
    reference = book(rate(source, target, value), currency=target)
    result = enriched_one(merchants, reference, currency=source, amount_minor=amount_minor)
    assert (result.enrichment.billing.amount_minor, result.enrichment.billing.currency) == (billed, target)


@pytest.mark.parametrize(
    ("rounding", "billed"),
    [(Rounding.HALF_EVEN, 12), (Rounding.HALF_UP, 13), (Rounding.DOWN, 12), (Rounding.CEILING, 13)],
)
def test_the_named_rounding_is_used_and_kept(merchants: MerchantDirectory, rounding: Rounding, billed: int) -> None:
    """0.25 EUR at one half is 12.5 pence."""
    reference = book(rate("EUR", "GBP", "0.5"))
    (result,) = enrich([payment(amount_minor=25)], reference=reference, merchants=merchants, rounding=rounding)
    assert isinstance(result, PaymentEnriched)
    assert result.enrichment.billing.amount_minor == billed
    assert result.enrichment.billing.rounding is rounding


@pytest.mark.parametrize(("transaction_type", "prefix"), [("00", ""), ("01", "Cash: "), ("09", ""), ("20", "Refund: ")])
def test_the_statement_line_says_what_kind_of_payment_it_is(
    merchants: MerchantDirectory, transaction_type: str, prefix: str
) -> None:
    """Refunds and cash are named; refunds are enriched as purchases are."""
    result = enriched_one(merchants, book(), transaction_type=transaction_type)
    assert result.enrichment.description == f"{prefix}Cafe Central, Paris (FR) 25.50 EUR @ 0.8600"
    assert result.enrichment.billing.amount_minor == 2193


def test_a_long_name_gives_way_to_the_amount(merchants: MerchantDirectory) -> None:
    """At most 140 characters, and the amount and the rate are among them."""
    result = enriched_one(
        merchants,
        book(rate("KWD", "GBP", "0.000001000001")),
        currency="KWD",
        amount_minor=AMOUNT_MINOR_MAX,
        transaction_type="20",
        merchant={"name": "Ŋ" * 60, "city": "ß" * 35},
    )
    assert len(result.enrichment.description) <= 140
    assert result.enrichment.description.endswith(" 999999999.999 KWD @ 0.000001000001")


def test_one_bad_payment_does_not_stop_its_neighbours(merchants: MerchantDirectory) -> None:
    """Results align with the input whatever becomes of each."""
    batch = [payment(), payment(currency="ISK"), payment(card={"token": UNKNOWN_TOKEN}), payment(currency="GBP")]
    results = enrich(batch, reference=book(), merchants=merchants)
    assert [isinstance(result, PaymentEnriched) for result in results] == [True, False, False, True]


def test_trouble_with_the_book_is_passed_on(merchants: MerchantDirectory) -> None:
    """An unreachable book is no unknown account."""

    class Unreachable(CountingBook):
        def accounts_by_token(self, tokens: Sequence[str]) -> dict[str, AccountDetails]:
            raise Retryable("throttled")

    with pytest.raises(Retryable):
        enrich([payment()], reference=Unreachable(), merchants=merchants)


@settings(max_examples=60, deadline=None)
@given(
    authorization=authorizations,
    home=currencies,
    value=st.decimals("0.000000000001", "999999", allow_nan=False, allow_infinity=False),
)
def test_what_leaves_satisfies_the_contract(
    merchants: MerchantDirectory, authorization: Authorization, home: str, value: Decimal
) -> None:
    """Written as JSON and read again with full validation, each result is the same."""
    accounts: Mapping[str, AccountDetails] = {authorization.card.token: make_account_details(currency=home)}
    reference = MemoryReferenceBook(accounts, [ExchangeRate(authorization.currency, home, value, DAY, "p")])
    (result,) = enrich([make_standardised(authorization)], reference=reference, merchants=merchants)
    assert type(result).model_validate_json(result.model_dump_json()) == result
    if isinstance(result, PaymentRejected):
        assert result.reason_code is ReasonCode.INVALID_AMOUNT
